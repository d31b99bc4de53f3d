"""Whose faces are whose, now or ever: nothing is forgotten because a source says something else today."""

from dataclasses import replace
from typing import Any

import pytest
from builders import NOON, RECIPE, RULES, asset, content, face_answer, hint, one_identity, plans
from databases import at_version

from immich_facesets.assets import Asset, FaceHint, Person, PersonKey
from immich_facesets.dates import DateKind
from immich_facesets.faces import Box
from immich_facesets.facesets.minors import DatedFace
from immich_facesets.grouping.plan import Link
from immich_facesets.listing import plan_page
from service.store import assets, births, contents, face_readings, folders, identities, past_people, sources
from service.store.database import Store, migrate

MIA = ("anna", "mia")
LEFT, RIGHT = Box(100, 100, 300, 300), Box(600, 100, 800, 300)


def seen(person: str | None = "mia", *, box: Box = LEFT, **more: Any) -> FaceHint:
    return replace(hint("f1", box=box, person_id=person), **more)


def put(store: Store, *hints: FaceHint, **changes: Any) -> Asset:
    """A picture of two faces, the left one face 1, the right one face 2, in which Immich has these."""
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    item = asset(hints=hints, **changes)
    store.write_now(assets.remember_page, plans(item), run_id=1)
    found = content(item, face_answer(1, box=LEFT), face_answer(2, box=RIGHT))
    store.write_now(contents.record_content, found, NOON)
    return item


def look(store: Store, item: Asset, *hints: FaceHint) -> None:
    store.write_now(face_readings.record_look, item, hints, now=NOON, rules=RULES)


def given(store: Store) -> dict[int, frozenset[PersonKey]]:
    return store.read_now(past_people.people_of_faces, RECIPE.space, {MIA})


@pytest.mark.parametrize("later", [(), (seen("other"),), (seen(None),)], ids=["deleted", "reassigned", "unassigned"])
def test_a_face_once_given_to_a_person_stays_known_as_that(store: Store, later: tuple[FaceHint, ...]) -> None:
    item = put(store, seen())
    assert given(store) == {1: {MIA}}
    look(store, item, *later)
    look(store, item, *later)
    assert given(store) == {1: {MIA}}


def test_the_copy_of_a_deleted_picture_still_shows_the_same_person(store: Store) -> None:
    put(store, seen())
    store.write_now(sources.remember_source, "ben", "immich", "user-2")
    store.write_now(assets.remember_page, plans(asset("b1", source="ben", checksum=asset().checksum)), run_id=1)
    store.write_now(assets.mark_gone, "anna", "a1")
    assert given(store) == {1: {MIA}}


def share(store: Store, **changes: Any) -> None:
    """Ben has the same bytes, and Immich knows nobody in the copy."""
    store.write_now(sources.remember_source, "ben", "immich", "user-2")
    copy = asset("b1", source="ben", checksum=asset().checksum, **changes)
    store.write_now(assets.remember_page, plans(copy), run_id=1)


def remove_anna(store: Store) -> None:
    store.write_now(folders.remove_source, "anna")
    store.write_now(folders.forget_removed, ["anna"])


def test_a_face_of_a_minor_stays_known_after_its_source_is_removed(store: Store) -> None:
    put(store, seen(birth_date="2015-02-03"))
    share(store)
    remove_anna(store)
    assert given(store) == {1: {MIA}}
    assert store.read_now(births.births_of_people) == {MIA: ("2015-02-03",)}


def test_a_face_of_a_minor_stays_known_where_an_edit_cut_it_off(store: Store) -> None:
    """Ben has the bytes that Anna's asset showed before."""
    item = put(store, seen(birth_date="2015-02-03"))
    share(store)
    cut = replace(item, checksum="c" * 40, width=400, height=400, hints=(), updated_at=NOON)
    known = store.read_now(assets.known_assets, "anna", ["a1"])
    store.write_now(assets.remember_page, plan_page([cut], known, NOON, RULES), run_id=2)
    look(store, cut)
    store.write_now(contents.record_content, content(cut), NOON)
    assert given(store) == {1: {MIA}}


def test_a_face_of_a_minor_stays_known_when_its_picture_returns_from_elsewhere(store: Store) -> None:
    put(store, seen(birth_date="2015-02-03"))
    remove_anna(store)
    store.write_now(contents.drop_orphans)
    share(store)
    store.write_now(contents.record_content, content(asset(), face_answer(1, box=LEFT)), NOON)
    assert list(given(store).values()) == [{MIA}]


def test_of_people_without_a_birth_date_nothing_stays_of_a_removed_source(store: Store) -> None:
    put(store, seen())
    share(store)
    remove_anna(store)
    assert given(store) == {}


def test_a_better_date_counts_also_after_a_removal_and_in_an_external_library(store: Store) -> None:
    """An asset of an external library has another fingerprint after every change, with the same bytes."""
    wrong = {"local_date": "2001-01-01", "date_kind": DateKind.METADATA, "checksum": None}
    item = put(store, seen(birth_date="1995-02-03"), **wrong)
    store.write_now(identities.apply_grouping, one_identity(1), NOON)
    assert dates(store) == {1: "2001-01-01", 2: "2001-01-01"}
    right = replace(item, local_date="2019-01-01", updated_at=NOON)
    known = store.read_now(assets.known_assets, "anna", ["a1"])
    store.write_now(assets.remember_page, plan_page([right], known, NOON, RULES), run_id=2)
    assert dates(store) == {1: "2019-01-01", 2: "2019-01-01"}
    remove_anna(store)
    assert dates(store) == {1: "2019-01-01", 2: "2019-01-01"}
    put(store, seen(), local_date="2020-02-02", date_kind=DateKind.METADATA, checksum=None)
    assert dates(store) == {1: "2020-02-02", 2: "2020-02-02"}, "the same source states it anew"


def dates(store: Store) -> dict[int, str]:
    return {face.face_id: str(face.taken) for face in store.read_now(past_people.dated_faces, RECIPE.space)}


def test_whom_an_identity_resembled_follows_it_into_another(store: Store) -> None:
    put(store, seen(birth_date="2015-02-03"))
    store.write_now(identities.apply_grouping, one_identity(1), NOON)
    store.write_now(past_people.keep_likenesses, [Link("anna", "mia", 1)])
    assert store.read_now(past_people.minors_alike) == {1: {MIA}}
    into = replace(one_identity(1), joins=(), absorbed=((1, 2),))
    into = replace(into, new=(replace(into.new[0], number=2),))
    store.write_now(identities.apply_grouping, into, NOON)
    assert store.read_now(past_people.minors_alike) == {1: {MIA}, 2: {MIA}}


def test_a_date_of_a_removed_source_counts_for_known_people_alone(store: Store) -> None:
    put(store, seen(), local_date="2001-01-01T10:00:00", date_kind=DateKind.METADATA)
    unknown = asset("a2", local_date="2001-01-01T10:00:00", date_kind=DateKind.METADATA)
    store.write_now(assets.remember_page, plans(unknown), run_id=1)
    store.write_now(contents.record_content, content(unknown, face_answer(3)), NOON)
    share(store, local_date="2019-01-01", date_kind=DateKind.METADATA)
    twin = asset("b2", source="ben", checksum=unknown.checksum, local_date="2019-01-01", date_kind=DateKind.METADATA)
    store.write_now(assets.remember_page, plans(twin), run_id=1)
    store.write_now(identities.apply_grouping, one_identity(1), NOON)
    remove_anna(store)
    assert dates(store) == {1: "2001-01-01", 2: "2001-01-01", 3: "2019-01-01"}


def test_a_box_without_extent_means_any_face_of_the_picture(store: Store) -> None:
    put(store, seen(box=Box(0, 0, 0, 0)))
    assert given(store) == {1: {MIA}, 2: {MIA}}


def test_where_no_face_is_at_the_place_of_a_box_those_that_touch_it_count(store: Store) -> None:
    put(store, seen(box=Box(290, 100, 610, 300)))
    assert given(store) == {1: {MIA}, 2: {MIA}}


def test_a_birth_date_beside_a_face_is_known_though_the_person_is_in_no_list(store: Store) -> None:
    item = put(store, seen(birth_date="2015-02-03"))
    store.write_now(sources.remember_people, "anna", [])
    look(store, item, seen())
    assert store.read_now(births.births_of_people) == {MIA: ("2015-02-03",)}


def test_an_identity_keeps_everybody_who_was_ever_attached_to_it(store: Store) -> None:
    put(store, seen())
    store.write_now(sources.remember_people, "anna", [Person("mia", "Mia", None, is_hidden=False)])
    linked = replace(one_identity(1), links=(Link("anna", "mia", 1),))
    store.write_now(identities.apply_grouping, linked, NOON)
    at_version(store, "0009")
    migrate(store.engine)
    store.write_now(sources.remember_people, "anna", [])
    assert store.read_now(past_people.people_of_identities, {MIA}) == {1: {MIA}}
    assert store.read_now(past_people.people_of_identities, {("anna", "eva")}) == {}


def test_the_date_of_a_face_is_the_earliest_that_says_something_of_all_copies_ever(store: Store) -> None:
    put(store, seen(), local_date="2026-01-01", date_kind=DateKind.FILE)
    assert [str(face.taken) for face in store.read_now(past_people.dated_faces, RECIPE.space)] == ["None", "None"]
    for number, day in enumerate(("2020-01-01", "2019-01-01")):
        copy = asset(f"b{number}", checksum=asset().checksum, local_date=day, date_kind=DateKind.METADATA)
        store.write_now(assets.remember_page, plans(copy), run_id=1)
    store.write_now(assets.mark_gone, "anna", "b1")
    found = store.read_now(past_people.dated_faces, RECIPE.space)
    assert [(face.face_id, face.identity, str(face.taken)) for face in found] == [
        (1, 0, "2019-01-01"),
        (2, 0, "2019-01-01"),
    ]
    store.write_now(identities.apply_grouping, one_identity(2), NOON)
    assert isinstance(store.read_now(past_people.dated_faces, RECIPE.space)[1], DatedFace)
    assert store.read_now(past_people.dated_faces, RECIPE.space)[1].identity == 1
