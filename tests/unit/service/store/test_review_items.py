"""The stored review queue: written by a grouping, shortened by decisions, and never holding what was answered."""

import asyncio
from dataclasses import replace

import pytest
from counted_statements import counted_statements
from moderated_library import Moderated
from sqlalchemy import Connection, select

from immich_facesets.moderation.requests import (
    ForgetPerson,
    IgnoreStrangers,
    KeepTwoApart,
    LockIdentity,
    MergePeople,
    NameIdentity,
    PutOff,
    RejectFaces,
    Request,
    SplitPerson,
    StateBirthDate,
    UndoDecision,
)
from immich_facesets.review.answers import answers_of
from immich_facesets.review.items import IMPOSSIBLE, Item, Reason
from immich_facesets.review.mixing import Parting
from service.reports.library.review import ReviewReads
from service.store import named_values, review_items
from service.store import tables as t
from service.store.browsing.review_page import review_page
from service.store.browsing.slices import Slice
from service.store.database import Store
from service.web.library.review import ReviewQuery


@pytest.fixture
def library(store: Store) -> Moderated:
    found = Moderated(store)
    for person, count in ((1, 7), (2, 6), (3, 5)):
        found.add(person, count=count)
    found.group()
    return found


def pair(*numbers: int, settles: int = 3, probability: float = 0.8) -> Item:
    return Item(
        kind="merge",
        reason="alike",
        identities=numbers,
        faces=(7, 6),
        probability=probability,
        settles=settles,
        basis=11,
        evidence=((1, 2), (8,)),
    )


def member(face: int, *numbers: int) -> Item:
    return replace(pair(*numbers), kind="member", reason="far", face_id=face, faces=(7, 6)[: len(numbers)], settles=1)


def write(library: Moderated, *items: Item) -> list[str]:
    library.store.write_now(review_items.write_queue, items)
    return keys(library)


def keys(library: Moderated) -> list[str]:
    page = library.store.read_now(review_page, Slice(50)).page
    return [one.item.key for one in page.items]


def rows(library: Moderated) -> dict[str, int]:
    def read(tx: Connection) -> dict[str, int]:
        return {row.key: row.item_id for row in tx.execute(select(t.review_items))}

    return library.store.read_now(read)


def test_the_queue_is_read_in_the_order_of_benefit_a_page_at_a_time(library: Moderated) -> None:
    face = library.face("p0")
    assert write(library, member(face, 1), pair(1, 2), pair(2, 3, settles=5)) == [
        "merge 2 3",
        "merge 1 2",
        f"face {face}",
    ]
    first = library.store.read_now(review_page, Slice(2))
    assert (first.total, [one.item.key for one in first.page.items]) == (3, ["merge 2 3", "merge 1 2"])
    rest = library.store.read_now(review_page, Slice(2, first.page.last))
    assert [one.item.key for one in rest.page.items] == [f"face {face}"]
    assert rest.page.last is None
    assert set(rest.faces) >= {face}
    only = library.store.read_now(review_page, Slice(9), "member")
    assert (only.total, [one.item for one in only.page.items]) == (1, [member(face, 1)])


def test_the_number_of_statements_does_not_grow_with_the_page(library: Moderated) -> None:
    faces = [library.face(f"p{place}") for place in range(7)]
    items = [replace(member(face, 1, 2), evidence=((faces[0],), (library.face("p8"),))) for face in faces]
    write(library, *items)
    counts = []
    for limit in (1, 7):
        with counted_statements(library.store) as sent:
            found = library.store.read_now(review_page, Slice(limit))
        assert len(found.page.items) == limit
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_ages_and_years_are_those_of_each_identity(library: Moderated) -> None:
    library.decide(StateBirthDate(identity=1, birth_date="1990-05-01"))
    face = library.face("p0")
    write(library, replace(member(face, 1, 2), evidence=((face,), (library.face("p8"),))))
    shown = asyncio.run(ReviewReads(library.store, "/below").page(ReviewQuery()))
    (item,) = shown.items
    assert item.face is not None
    taken = item.face.taken
    assert taken is not None
    age = int(taken[:4]) - 1990 - (taken[5:10] < "05-01")
    assert item.ages == (age, None)
    assert [one.age for identity in item.identities for one in identity.evidence] == [age, None]
    assert item.identities[0].birth_date == "1990-05-01"
    assert (item.identities[0].first_date, item.identities[0].last_date) == (taken[:10], taken[:10])
    assert item.identities[0].evidence[0].face.picture.places


def test_a_row_stays_while_its_item_does(library: Moderated) -> None:
    write(library, pair(1, 2), pair(2, 3))
    before = rows(library)
    assert write(library, pair(2, 3, settles=9), pair(1, 3)) == ["merge 2 3", "merge 1 3"]
    assert rows(library)["merge 2 3"] == before["merge 2 3"]
    known = library.store.read_now(review_items.stored_queue).items
    assert {key: item.basis for key, item in known.items()} == {"merge 2 3": 11, "merge 1 3": 11}
    write(library, replace(pair(2, 3), evidence=None))
    (one,) = library.store.read_now(review_page, Slice(9)).page.items
    assert one.item.evidence == ((1, 2), (8,)), "the stored evidence holds"
    write(library, replace(pair(1, 3), evidence=None))
    assert library.store.read_now(review_items.stored_queue).items["merge 1 3"].basis == 0, "nothing is stored of it"


@pytest.mark.parametrize(
    ("request_for", "left"),
    [
        (MergePeople(numbers=(2,), into=1), ["merge 1 3"]),
        (KeepTwoApart(identity=1, other=2), ["merge 1 3", "merge 2 3", "face"]),
        (IgnoreStrangers(identity=2), ["merge 1 3"]),
        (LockIdentity(identity=2), ["merge 1 2", "merge 1 3", "merge 2 3"]),
        (PutOff(identity=1, other=2, seen=pair(1, 2).seen), ["merge 1 3", "merge 2 3", "face"]),
        (PutOff(identity=1, other=2), ["merge 1 2", "merge 1 3", "merge 2 3", "face"]),
    ],
)
def test_a_decision_removes_what_it_settles_at_once(library: Moderated, request_for: Request, left: list[str]) -> None:
    face = library.face("p7")
    write(library, pair(1, 2), pair(1, 3), pair(2, 3), member(face, 2, 3))
    library.decide(request_for)
    assert sorted(keys(library)) == sorted(f"face {face}" if one == "face" else one for one in left)
    again = write(library, pair(1, 2), pair(1, 3), pair(2, 3), member(face, 2, 3))
    assert sorted(again) == sorted(f"face {face}" if one == "face" else one for one in left), "nor is it written again"


@pytest.mark.parametrize(
    "request_for",
    [
        MergePeople(numbers=(2,), into=1),
        KeepTwoApart(identity=1, other=2),
        IgnoreStrangers(identity=2),
        LockIdentity(identity=2),
        PutOff(identity=1, other=2, seen=pair(1, 2).seen),
    ],
)
def test_an_undo_asks_again_what_a_decision_settled_under_the_same_number(
    library: Moderated, request_for: Request
) -> None:
    write(library, pair(1, 2), pair(1, 3), pair(2, 3), member(library.face("p7"), 2, 3))
    before = rows(library)
    done = library.decide(request_for)
    assert rows(library).keys() < before.keys()
    library.decide(UndoDecision(decision=done.decisions[0]))
    assert rows(library) == before


def test_what_no_longer_holds_is_not_asked_again(library: Moderated) -> None:
    mine, shown = library.face("p7"), library.face("p0")
    write(library, replace(pair(1, 2), evidence=((shown,), (mine,))), member(mine, 2, 3))
    apart = library.decide(KeepTwoApart(identity=1, other=2))
    reject = library.decide(RejectFaces(faces=(mine,)))
    assert keys(library) == []
    library.decide(UndoDecision(decision=apart.decisions[0]))
    assert keys(library) == [], "a face that it shows is elsewhere"
    library.decide(UndoDecision(decision=reject.decisions[0]))
    assert keys(library) == ["merge 1 2", f"face {mine}"]


def test_what_a_later_decision_settles_too_is_not_asked_again(library: Moderated) -> None:
    write(library, member(library.face("p7"), 2))
    reject = library.decide(RejectFaces(faces=(library.face("p7"),)))
    library.decide(LockIdentity(identity=2))
    library.decide(UndoDecision(decision=reject.decisions[0], even_if_locked=True))
    assert keys(library) == []
    library.decide(LockIdentity(identity=2, is_on=False))
    assert keys(library) == [f"face {library.face('p7')}"]


def test_a_question_that_a_grouping_asks_anew_is_there_once(library: Moderated) -> None:
    write(library, pair(1, 2))
    done = library.decide(PutOff(identity=1, other=2, seen=pair(1, 2).seen))
    write(library, pair(1, 2, probability=0.95))
    library.decide(UndoDecision(decision=done.decisions[0]))
    (one,) = library.store.read_now(review_page, Slice(9)).page.items
    assert one.item.probability == 0.95


def test_no_answered_question_outlasts_a_person_who_is_forgotten(library: Moderated) -> None:
    write(library, pair(1, 2))
    library.decide(KeepTwoApart(identity=1, other=2))
    assert library.store.read_now(named_values.read_answered)
    library.decide(ForgetPerson(identity=2, confirm=2))
    assert library.store.read_now(named_values.read_answered) == []


def test_no_answered_question_comes_back_with_faces_of_another_model(library: Moderated) -> None:
    stray = library.face(library.add(4)[0])
    write(library, replace(pair(), kind="nearly", reason="pictures", part=(stray,), faces=(1,), evidence=()))
    library.decide(IgnoreStrangers(faces=(stray,)))
    library.store.write_now(named_values.write_value, "space", "another")
    library.decide(NameIdentity(identity=1, label="A"))
    assert keys(library) == []


def test_a_face_that_is_rejected_is_no_question_any_more(library: Moderated) -> None:
    face, other = library.face("p7"), library.face("p8")
    write(library, member(face, 2, 3), member(other, 2, 3))
    library.decide(RejectFaces(faces=(face,)))
    assert keys(library) == [f"face {other}"]


def test_what_an_answer_moves_goes_with_it(library: Moderated) -> None:
    faces = tuple(library.face(f"p{place}") for place in range(3))
    mixed = replace(pair(1), kind="mixed", reason="parts", part=faces, faces=(7, 3))
    stray = library.add(4)[0]
    nearly = replace(pair(), kind="nearly", reason="pictures", part=(library.face(stray),), faces=(1,))
    assert len(write(library, mixed, nearly)) == 2
    (one, other) = library.store.read_now(review_page, Slice(9)).page.items
    assert {one.item, other.item} == {mixed, nearly}, "all of an item is stored"
    library.decide(SplitPerson(faces=faces))
    assert keys(library) == [nearly.key]
    assert write(library, mixed, nearly) == [nearly.key]
    library.decide(IgnoreStrangers(faces=nearly.part))
    assert keys(library) == []
    assert write(library, mixed, nearly) == []


def test_every_answer_is_accepted_by_the_store_and_asked_again_when_it_is_taken_back(library: Moderated) -> None:
    items = [pair(1, 2), pair(1, 3), member(library.face("p7"), 2, 3), member(library.face("p13"), 3)]
    faces = tuple(library.face(f"p{place}") for place in range(3))
    items.append(
        replace(pair(1), kind="mixed", reason="parts", part=faces, evidence=((library.face("p3"),), faces[:1]))
    )
    items.append(replace(items[-1], faces=(7, 2, 1), evidence=(*(items[-1].evidence or ()), faces[2:])))
    stray = library.add(4)[0]
    items.append(replace(pair(), kind="nearly", reason="pictures", part=(library.face(stray),)))
    second = library.face(library.add(1, 1)[0], 1)
    other = library.face(list(library.pictures)[-1])
    items.append(replace(member(second, 1), reason="twice_in_picture", part=(other,)))
    library.group()
    for item in items:
        for answer in answers_of(item):
            write(library, item)
            done = library.decide(*answer.requests)
            assert keys(library) == [], f"{answer.meaning} settles {item.key}"
            assert write(library, item) == [], f"{answer.meaning} settles {item.key}"
            library.decide(UndoDecision(decision=done.decisions[0]))
            assert keys(library) == [item.key], f"{answer.meaning} is taken back"
            (asked,) = library.store.read_now(review_page, Slice(9)).page.items
            assert asked.item == item


@pytest.mark.parametrize("reason", IMPOSSIBLE)
def test_the_answers_about_an_impossible_member_change_a_locked_identity(library: Moderated, reason: Reason) -> None:
    library.decide(LockIdentity(identity=1))
    part = (library.face("p1"),) if reason == "two_in_picture" else ()
    item = replace(member(library.face("p0"), 1), reason=reason, part=part)
    for answer in answers_of(item):
        assert write(library, item) == [item.key], "a lock is no answer"
        done = library.decide(*answer.requests)
        assert keys(library) == [], f"{answer.meaning} settles it"
        assert write(library, item) == [], f"{answer.meaning} settles it"
        library.decide(UndoDecision(decision=done.decisions[0], even_if_locked=True))


def test_a_mixed_identity_shows_a_part_for_each_further_person(library: Moderated) -> None:
    faces = tuple(library.face(f"p{place}") for place in range(4))
    shown = ((library.face("p4"),), faces[:1], faces[3:])
    write(library, replace(pair(1), kind="mixed", reason="parts", faces=(7, 3, 1), part=faces, evidence=shown))
    (found,) = asyncio.run(ReviewReads(library.store, "").page(ReviewQuery())).items
    assert [(part.faces, [one.face.id for one in part.evidence]) for part in found.parts] == [
        (3, [faces[0]]),
        (1, [faces[3]]),
    ]
    assert "3 and 1 faces other people" in found.question
    (split,) = (one.requests for one in found.answers if one.key == "n")
    library.decide(*split)
    assert [library.number(f"p{place}") for place in range(5)] == [4, 4, 4, 5, 1]


def test_proposals_are_stored_and_forgotten_with_a_person(library: Moderated) -> None:
    parted = {1: Parting(5, -0.25, ((1, 2), (3,)), (4,)), 3: Parting(6)}
    library.store.write_now(named_values.write_partings, parted)
    assert library.store.read_now(named_values.read_partings) == parted
    library.decide(ForgetPerson(identity=2, confirm=2))
    assert library.store.read_now(named_values.read_partings) == {}


def test_not_sure_comes_back_when_there_is_more_to_see_or_it_is_undone(library: Moderated) -> None:
    write(library, pair(1, 2))
    done = library.decide(PutOff(identity=1, other=2, seen=pair(1, 2).seen))
    assert write(library, pair(1, 2, probability=0.85)) == []
    assert write(library, pair(1, 2, probability=0.95)) == ["merge 1 2"]
    library.decide(PutOff(identity=1, other=2, seen=pair(1, 2, probability=0.95).seen))
    assert write(library, pair(1, 2, probability=0.95)) == []
    library.decide(UndoDecision(decision=done.decisions[0] + 1))
    assert write(library, pair(1, 2)) == [], "the first one counts again"
    library.decide(UndoDecision(decision=done.decisions[0]))
    assert write(library, pair(1, 2)) == ["merge 1 2"]


def test_what_was_put_off_as_a_whole_comes_last(library: Moderated) -> None:
    library.decide(PutOff(identity=3))
    assert write(library, pair(1, 2), pair(1, 3, settles=50)) == ["merge 1 2", "merge 1 3"]


def test_what_is_put_off_goes_to_the_end_at_once(library: Moderated) -> None:
    assert write(library, pair(1, 2), pair(1, 3, settles=50)) == ["merge 1 3", "merge 1 2"]
    done = library.decide(PutOff(identity=3))
    assert keys(library) == ["merge 1 2", "merge 1 3"]
    library.decide(UndoDecision(decision=done.decisions[0]))
    assert keys(library) == ["merge 1 3", "merge 1 2"]


def test_a_question_about_a_mixed_identity_goes_when_a_face_that_it_shows_is_moved(library: Moderated) -> None:
    faces = tuple(library.face(f"p{place}") for place in range(4))
    mixed = replace(pair(1), kind="mixed", reason="parts", part=faces[:2], evidence=((faces[3],), faces[:1]))
    write(library, mixed)
    library.decide(RejectFaces(faces=(faces[2],)))
    assert keys(library) == [mixed.key], "it is not shown"
    library.decide(RejectFaces(faces=(faces[3],)))
    assert keys(library) == [], "its answers would take the rejection back"


def test_a_person_who_answers_adds_to_a_locked_identity(library: Moderated) -> None:
    library.decide(LockIdentity(identity=1))
    yes, *_ = answers_of(pair(1, 2))
    library.decide(*yes.requests)
    assert library.number("p7") == 1


def test_a_question_about_a_face_that_is_gone_is_not_written(library: Moderated) -> None:
    assert write(library, member(999_999, 1, 2), pair(1, 2)) == ["merge 1 2"]


def test_an_item_goes_with_its_face(library: Moderated) -> None:
    face = library.face("p0")
    write(library, member(face, 1), pair(1, 2))

    def drop(tx: Connection) -> None:
        tx.execute(t.faces.delete().where(t.faces.c.face_id == face))

    library.store.write_now(drop)
    assert keys(library) == ["merge 1 2"]
