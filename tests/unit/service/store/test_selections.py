"""Faces that a request selects instead of naming them: which they are, and that no others are decided."""

from typing import Any

import msgspec
import pytest
from moderated_library import Moderated
from sqlalchemy import Connection, select, update

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import (
    ConfirmFaces,
    FaceSelection,
    ForgetPerson,
    MergePeople,
    MoveFaces,
    RejectFaces,
    request_from_json,
)
from service.store.database import Store
from service.store.moderation import preview_decisions
from service.store.selections import selected_faces
from service.store.tables import assets, memberships


@pytest.fixture
def library(store: Store) -> Moderated:
    """One person with 8 pictures, identity 1, at distances of 0.1 to 0.8, taken on the first of January 2011 to 2018."""
    found = Moderated(store)
    found.add(1, count=8)
    found.add(2, count=4)
    found.group()
    for place in range(8):
        found.store.write_now(_place, found.face(f"p{place}"), place)
    return found


def _place(tx: Connection, face_id: int, place: int) -> None:
    tx.execute(update(memberships).where(memberships.c.face_id == face_id).values(distance=0.1 * (place + 1)))
    dated = {"local_date": f"{2011 + place}-01-01T12:00:00", "date_kind": "camera" if place else "file"}
    tx.execute(update(assets).where(assets.c.content == f"{place + 1:064x}").values(**dated))


def chosen(library: Moderated, **limits: Any) -> list[str]:
    found = library.store.read_now(selected_faces, FaceSelection(identity=1, **limits))
    names = {library.face(f"p{place}"): f"p{place}" for place in range(8)}
    return [names[face] for face in found]


def test_limits_hold_together_and_faces_without_a_date_are_beyond_those_of_time(library: Moderated) -> None:
    assert chosen(library) == [f"p{place}" for place in range(8)]
    assert chosen(library, farther_than=0.55) == ["p5", "p6", "p7"]
    assert chosen(library, nearer_than=0.25) == ["p0", "p1"]
    assert chosen(library, taken_before="2013") == ["p1"], "the first picture states no date that counts"
    assert chosen(library, taken_since="2017-01-01") == ["p6", "p7"]
    assert chosen(library, taken_since="2015-01", taken_before="2017", farther_than=0.55) == ["p5"]
    assert len(chosen(library, source="anna")) == 8
    assert chosen(library, source="berta") == []


def test_a_preview_answers_the_count_without_which_nothing_is_decided(library: Moderated) -> None:
    far = FaceSelection(identity=1, farther_than=0.55)
    shown = library.store.read_now(preview_decisions, [RejectFaces(select=far)])
    assert (shown.selected, shown.decisions) == ((3,), ())
    with pytest.raises(RequestError, match="needs its count, which a preview answers") as caught:
        library.decide(RejectFaces(select=far))
    assert caught.value.status == 400
    with pytest.raises(RequestError, match="has 3 faces of identity 1 now, and not 2: preview it again") as caught:
        library.decide(RejectFaces(select=msgspec.structs.replace(far, count=2)))
    assert caught.value.status == 409
    assert library.number("p7") == 1
    done = library.decide(RejectFaces(select=msgspec.structs.replace(far, count=3)))
    assert done.selected == (3,)
    assert [library.number(f"p{place}") for place in (4, 5, 6, 7)] == [1, None, None, None]


def test_a_batch_selects_before_its_first_request(library: Moderated) -> None:
    late = FaceSelection(identity=1, taken_since="2017", count=2)
    done = library.decide(MoveFaces(faces=(library.face("p7"),), into=2), MoveFaces(select=late))
    assert done.selected == (2,), "the first request has moved one of them by then"
    assert {library.number("p6"), library.number("p7")} == {3}


def test_a_selection_follows_merges_and_finds_nothing_of_an_erased_identity(library: Moderated) -> None:
    library.decide(MergePeople(numbers=(2,), into=1))
    done = library.decide(ConfirmFaces(select=FaceSelection(identity=2, count=12)))
    assert done.selected == (12,)
    library.decide(ForgetPerson(identity=1, confirm=1))
    for number in (1, 2):
        with pytest.raises(RequestError, match=f"the data of identity {number} was erased") as caught:
            library.decide(ConfirmFaces(select=FaceSelection(identity=number, count=12)))
        assert caught.value.status == 410


def test_a_selection_without_a_face_and_one_beside_faces_are_refused(library: Moderated) -> None:
    with pytest.raises(RequestError, match="no face of identity 1 is within these limits"):
        library.decide(RejectFaces(select=FaceSelection(identity=1, farther_than=1.5, count=0)))
    with pytest.raises(RequestError, match="there is no identity 999") as caught:
        library.decide(RejectFaces(select=FaceSelection(identity=999, count=0)))
    assert caught.value.status == 404
    for plain in (
        {"action": "reject"},
        {"action": "reject", "faces": []},
        {"action": "reject", "faces": [1], "select": {"identity": 1}},
        {"action": "ignore", "faces": [1], "select": {"identity": 1}},
        {"action": "reject", "select": {"identity": 1, "nearer": 0.5}},
        {"action": "reject", "select": {"identity": 1, "taken_before": "soon"}},
        {"action": "reject", "select": {"identity": 1, "taken_before": "2015-13"}},
        {"action": "reject", "select": {"identity": 1, "taken_since": "2015-12-00"}},
    ):
        with pytest.raises(RequestError, match="no request for a decision") as caught:
            request_from_json(plain)
        assert caught.value.status == 400
    assert library.store.read_now(lambda tx: len(list(tx.scalars(select(memberships.c.face_id))))) == 12
