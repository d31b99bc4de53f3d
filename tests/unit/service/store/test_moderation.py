"""Decisions take effect at once: what the next full grouping finds is what was decided."""

import pytest
from builders import NOON, RECIPE
from moderated_library import Moderated

from immich_facesets.eras import KeptEra
from immich_facesets.errors import RequestError
from immich_facesets.facesets.minors import Held
from immich_facesets.moderation.requests import (
    AllowTwice,
    ChooseCover,
    ConfirmFaces,
    HoldFromSets,
    IgnoreOthers,
    IgnoreStrangers,
    KeepTwoApart,
    LockIdentity,
    MarkMinor,
    MarkNotAFace,
    MergePeople,
    MoveFaces,
    NameIdentity,
    NeverExportIdentity,
    PutOff,
    RedoDecision,
    RejectFaces,
    SplitPerson,
    StateBirthDate,
    UndoDecision,
)
from service.passes.publishing.minors import held_faces
from service.store import decisions, eras, exports, moderation, placed_pictures
from service.store.database import Store
from service.store.decided_members import write_members
from service.store.eras import EraVersion
from service.store.identities import labels


@pytest.fixture
def library(store: Store) -> Moderated:
    """Three people with 7, 5 and 4 pictures: identities 1, 2 and 3; p16 shows the second and the third."""
    found = Moderated(store)
    for person, count in ((1, 7), (2, 5), (3, 4)):
        found.add(person, count=count)
    found.add(2, 3)
    found.group()
    assert [found.number(name) for name in ("p0", "p7", "p12")] == [1, 2, 3]
    assert (found.number("p16", 0), found.number("p16", 1)) == (2, 3)
    return found


def stays(library: Moderated) -> None:
    """A full grouping changes nothing of what is there."""
    plan = library.plan()
    assert (plan.new, plan.joins, plan.leaves, plan.links, plan.absorbed) == ((), (), (), (), ())


class TestMerging:
    def test_a_merge_gives_one_person_and_the_old_number_leads_to_it(self, library: Moderated) -> None:
        done = library.decide(MergePeople(numbers=(2,), into=1))
        assert done.effect.merged == ((2, 1),)
        assert {library.number(name) for name in ("p0", "p7", "p16")} == {1}
        assert library.state()["identities"][2]["merged_into"] == 1  # type: ignore[index]
        stays(library)
        library.decide(NameIdentity(identity=2, label="Ada"))
        assert library.store.read_now(labels)[1] == "Ada"

    def test_merge_then_undo_is_the_identity(self, library: Moderated) -> None:
        library.decide(LockIdentity(identity=2), NameIdentity(identity=2, label="Ada"))
        before = library.state()
        done = library.decide(MergePeople(numbers=(2,), into=1, even_if_locked=True))
        merged = library.state()["identities"][1]  # type: ignore[index]
        assert (merged["label"], merged["is_locked"]) == ("Ada", True)
        library.decide(UndoDecision(decision=done.decisions[0], even_if_locked=True))
        assert library.state() == before
        stays(library)
        library.decide(RedoDecision(decision=done.decisions[0], even_if_locked=True))
        assert library.number("p7") == 1
        stays(library)

    def test_a_name_that_followed_ends_with_the_undo_of_the_naming(self, library: Moderated) -> None:
        before = library.state()
        named = library.decide(NameIdentity(identity=2, label="Ada"))
        merged = library.decide(MergePeople(numbers=(2,), into=1))
        assert library.store.read_now(labels)[1] == "Ada"
        library.decide(UndoDecision(decision=named.decisions[0]))
        assert 1 not in library.store.read_now(labels)
        library.decide(UndoDecision(decision=merged.decisions[0]))
        assert library.state() == before

    def test_faces_that_came_since_go_where_they_fit_best(self, library: Moderated) -> None:
        done = library.decide(MergePeople(numbers=(2,), into=1))
        (one,), (two,) = library.add(1), library.add(2)
        joined = {library.face(one): 1, library.face(two): 1}
        how = dict.fromkeys(joined, "matched")
        library.store.write_now(write_members, joined, dict.fromkeys(joined, 0.3), how)
        library.decide(UndoDecision(decision=done.decisions[0]))
        assert (library.number(one), library.number(two)) == (1, 2)
        library.group()
        assert (library.number(one), library.number(two)) == (1, 2)

    def test_two_side_by_side_are_refused_until_the_picture_may_show_one_twice(self, library: Moderated) -> None:
        with pytest.raises(RequestError, match=r"would be twice in 1 picture .*allow-twice"):
            library.decide(MergePeople(numbers=(3,), into=2))
        allow = AllowTwice(faces=(library.face("p16"),))
        done = library.decide(allow, MergePeople(numbers=(3,), into=2))
        assert library.number("p12") == 2
        stays(library)
        library.decide(UndoDecision(decision=done.decisions[1]))
        assert library.number("p12") == 3, "both decisions of one step are taken back"

    def test_both_named_asks_which_and_people_follow(self, library: Moderated) -> None:
        library.name_people(a="Ada", b="Bob")
        for name in ("a", "b"):
            library.add(4 if name == "a" else 5, count=4, given=name)
        library.group()
        ada, bob = library.number("p17"), library.number("p21")
        assert ada is not None
        assert bob is not None
        with pytest.raises(RequestError, match=r"different names: choose .*--label"):
            library.decide(MergePeople(numbers=(bob,), into=ada))
        before = library.state()
        done = library.decide(MergePeople(numbers=(bob,), into=ada, label="Bob"))
        assert library.store.read_now(labels)[ada] == "Bob"
        assert library.state()["people"] == {"a": ada, "b": ada}
        stays(library)
        library.decide(UndoDecision(decision=done.decisions[0]))
        assert library.state() == before
        stays(library)


class TestFaces:
    def test_split_faces_are_a_new_person_for_good(self, library: Moderated) -> None:
        apart = (library.face("p0"), library.face("p1"))
        done = library.decide(SplitPerson(faces=apart))
        assert done.effect.new == (4,)
        assert (library.number("p0"), library.number("p2")) == (4, 1)
        stays(library)
        before = library.state()
        library.decide(UndoDecision(decision=done.decisions[0]))
        assert library.number("p0") == 1
        stays(library)
        library.decide(RedoDecision(decision=done.decisions[0]))
        assert library.state() == before

    def test_moved_to_a_new_person_whose_number_is_never_given_again(self, library: Moderated) -> None:
        done = library.decide(MoveFaces(faces=(library.face("p0"),)))
        assert library.number("p0") == 4
        library.decide(UndoDecision(decision=done.decisions[0]))
        library.decide(MoveFaces(faces=(library.face("p1"),)))
        assert library.number("p1") == 5
        stays(library)

    def test_a_moved_face_takes_the_place_in_its_picture(self, library: Moderated) -> None:
        done = library.decide(MoveFaces(faces=(library.face("p16", 1),), into=2))
        assert (library.number("p16", 0), library.number("p16", 1)) == (None, 2)
        assert done.effect.released == 1
        library.group()
        assert library.number("p16", 1) == 2

    def test_a_confirmed_face_is_not_pushed_out_by_another(self, library: Moderated) -> None:
        library.decide(ConfirmFaces(faces=(library.face("p16", 0),)))
        with pytest.raises(RequestError, match="would be twice"):
            library.decide(MoveFaces(faces=(library.face("p16", 1),), into=2))

    def test_rejected_faces_never_come_back(self, library: Moderated) -> None:
        library.decide(RejectFaces(faces=(library.face("p0"),)))
        assert library.number("p0") is None
        library.group()
        assert library.number("p0") is None

    @pytest.mark.parametrize("is_confirmed", [False, True])
    def test_a_face_of_nobody_is_of_nobody_again_when_its_move_is_taken_back(
        self, library: Moderated, *, is_confirmed: bool
    ) -> None:
        (stray,) = library.add(9)
        library.group()
        faces = (library.face(stray),)
        request = ConfirmFaces(faces=faces, identity=1) if is_confirmed else MoveFaces(faces=faces)
        done = library.decide(request)
        number = library.number(stray)
        assert number is not None
        library.decide(UndoDecision(decision=done.decisions[0]))
        assert library.number(stray) is None
        library.decide(RedoDecision(decision=done.decisions[0]))
        assert library.number(stray) == number

    def test_of_a_group_photo_all_others_are_ignored_in_one_step(self, library: Moderated) -> None:
        library.decide(IgnoreOthers(faces=(library.face("p16", 0),)))
        assert (library.number("p16", 0), library.number("p16", 1)) == (2, None)
        stays(library)
        with pytest.raises(RequestError, match="nobody else"):
            library.decide(IgnoreOthers(faces=(library.face("p16", 0),)))

    def test_what_is_no_face_belongs_to_nobody(self, library: Moderated) -> None:
        done = library.decide(MarkNotAFace(faces=(library.face("p0"),)))
        library.group()
        assert library.number("p0") is None
        library.decide(UndoDecision(decision=done.decisions[0]))
        assert library.number("p0") == 1

    def test_strangers_go_on_collecting_their_own(self, library: Moderated) -> None:
        library.decide(IgnoreStrangers(identity=3))
        (new,) = library.add(3)
        library.group()
        assert library.number(new) == 3
        assert library.state()["identities"][3]["is_stranger"]  # type: ignore[index]


class TestSettings:
    def test_what_is_put_off_settles_nothing(self, library: Moderated) -> None:
        library.decide(PutOff(identity=1, other=2))
        (record,) = library.records()
        assert record.members == ()
        assert library.store.read_now(decisions.constraints_now, RECIPE.space).numbers() == frozenset()

    def test_a_name_that_another_has_asks_for_a_merge_or_a_namesake(self, library: Moderated) -> None:
        library.decide(NameIdentity(identity=1, label="Ada"))
        with pytest.raises(RequestError, match=r"merge 2 into 1; .*--namesake"):
            library.decide(NameIdentity(identity=2, label="ada"))
        library.decide(NameIdentity(identity=2, label="ada", is_namesake=True))
        assert library.store.read_now(labels) == {1: "Ada", 2: "ada"}

    def test_settings_are_written_and_taken_back(self, library: Moderated) -> None:
        before = library.state()
        done = library.decide(
            LockIdentity(identity=1), NeverExportIdentity(identity=1), ChooseCover(face=library.face("p0"))
        )
        row = library.state()["identities"][1]  # type: ignore[index]
        assert (row["is_locked"], row["never_export"], row["cover"]["sha256"]) == (True, True, f"{1:064x}")
        library.decide(UndoDecision(decision=done.decisions[0]))
        assert library.state() == before

    def test_a_locked_identity_is_changed_only_when_that_is_said(self, library: Moderated) -> None:
        library.decide(LockIdentity(identity=1))
        with pytest.raises(RequestError, match="identity 1 is locked: unlock it") as refused:
            library.decide(MoveFaces(faces=(library.face("p0"),), into=2))
        assert refused.value.status == 423
        library.decide(MoveFaces(faces=(library.face("p0"),), into=2, even_if_locked=True))
        assert library.number("p0") == 2
        stays(library)


class TestUndoing:
    def test_what_later_decisions_settle_says_so(self, library: Moderated) -> None:
        face = library.face("p0")
        first = library.decide(MoveFaces(faces=(face,), into=2)).decisions[0]
        second = library.decide(MoveFaces(faces=(face,), into=3)).decisions[0]
        with pytest.raises(RequestError, match=rf"decision {second} \(move\) settles the same since"):
            library.decide(UndoDecision(decision=first))
        library.decide(UndoDecision(decision=second))
        assert library.number("p0") == 2
        library.decide(UndoDecision(decision=first))
        assert library.number("p0") == 1
        with pytest.raises(RequestError, match="undone already"):
            library.decide(UndoDecision(decision=first))
        with pytest.raises(RequestError, match="in effect"):
            library.decide(KeepTwoApart(identity=1, other=2), RedoDecision(decision=4 + 1))

    def test_of_nothing(self, library: Moderated) -> None:
        with pytest.raises(RequestError, match="no decision 7"):
            library.decide(UndoDecision(decision=7))
        assert library.records() == []


def test_a_preview_says_the_same_and_writes_nothing(library: Moderated) -> None:
    before = library.state()
    asked = (MergePeople(numbers=(2,), into=1), NameIdentity(identity=1, label="Ada"))
    found = library.store.read_now(moderation.preview_decisions, asked)
    assert (library.state(), library.records()) == (before, [])
    done = library.decide(*asked)
    assert (found.kinds, found.effect) == (done.kinds, done.effect)
    assert found.decisions == ()


def test_face_sets_follow_only_what_concerns_them(library: Moderated) -> None:
    for request in (PutOff(identity=1), KeepTwoApart(identity=1, other=2), LockIdentity(identity=1)):
        assert not library.decide(request).effect.is_of_facesets, request
    face = library.face("p7")
    for other in (ConfirmFaces(faces=(face,)), HoldFromSets(faces=(face,)), RejectFaces(faces=(face,))):
        assert library.decide(other).effect.is_of_facesets, other
    assert library.decide(NameIdentity(identity=1, label="Ada")).effect.is_of_facesets


def test_who_when_where_and_why_are_recorded(library: Moderated) -> None:
    library.decide(LockIdentity(identity=1))
    (record,) = library.records()
    assert (record.made_by, record.made_from, record.reason) == ("anna", "command", "a reason")
    assert record.uid == record.batch
    assert [part.number for part in record.members] == [1]
    assert len(record.members[0].faces) == 7


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (NameIdentity(identity=99, label="a"), "no identity 99"),
        (MoveFaces(faces=(9999,), into=1), "no face 9999"),
        (MergePeople(numbers=(1,), into=1), "are identity 1 already"),
        (KeepTwoApart(identity=1, other=1), "are one identity"),
    ],
)
def test_the_impossible_is_refused_with_what_to_do(library: Moderated, request_: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        library.decide(request_)  # type: ignore[arg-type]
    assert library.records() == []


class TestExports:
    def test_the_right_person_not_for_sets_stays_a_member_and_is_never_exported(self, library: Moderated) -> None:
        face = library.face("p0")
        library.decide(HoldFromSets(faces=(face,)))
        assert library.number("p0") == 1
        assert face not in exported(library)
        library.decide(HoldFromSets(faces=(face,), is_on=False))
        assert face in exported(library)

    def test_strangers_and_what_is_no_face_are_not_exported(self, library: Moderated) -> None:
        kept = exported(library)
        library.decide(IgnoreStrangers(identity=3), MarkNotAFace(faces=(library.face("p0"),)))
        gone = {library.face(name) for name in ("p0", "p12", "p13", "p14", "p15")} | {library.face("p16", 1)}
        assert exported(library) == kept - gone


def exported(library: Moderated) -> set[int]:
    """The faces that exports may have; those of face sets are among those of forms with whole pictures."""
    read = library.store.read_now
    sets = {one.face.face_id for one in read(exports.members, RECIPE.space)}
    assert sets <= {face.face_id for face, _ in read(placed_pictures.exportable_faces, RECIPE.space)}
    return sets


async def test_a_birth_date_by_hand_and_a_minor_hold_faces_back(library: Moderated) -> None:
    async def held() -> dict[int, Held]:
        return await held_faces(library.store, RECIPE.space, within=0.1)

    assert await held() == {}
    done = library.decide(StateBirthDate(identity=1, birth_date="2015-01-01"))
    ones = {library.face(f"p{number}") for number in range(7)}
    assert await held() == dict.fromkeys(ones, Held.MINOR), "the pictures are of 2025"
    library.decide(UndoDecision(decision=done.decisions[0]))
    library.decide(StateBirthDate(identity=1, birth_date="1980-01-01"))
    assert await held() == {}
    library.decide(MarkMinor(identity=1))
    assert await held() == dict.fromkeys(ones, Held.MINOR)
    library.decide(MarkMinor(identity=1, is_on=False))
    assert await held() == {}


def test_nobody_is_older_than_a_birth_date_by_hand(library: Moderated) -> None:
    library.decide(StateBirthDate(identity=1, birth_date="2025-12-01"))
    library.group()
    assert library.number("p0") != 1, "the pictures are of May 2025"


def test_eras_follow_a_merge_and_come_back_with_its_undo(library: Moderated) -> None:
    founders = frozenset(library.face(f"p{number}") for number in range(7, 12))
    era = KeptEra("2011", 2011, 2011, 2011, founders)
    version = EraVersion("years", "d")
    assert library.store.write_now(eras.record_eras, 2, [era], leaves=(), before=None, version=version, now=NOON)
    before = library.store.read_now(eras.stored_eras)
    done = library.decide(MergePeople(numbers=(2,), into=1))
    assert library.store.read_now(eras.stored_eras)[1].eras == (era,)
    library.decide(UndoDecision(decision=done.decisions[0]))
    after = library.store.read_now(eras.stored_eras)
    assert after[2] == before[2]
    assert 1 not in after
