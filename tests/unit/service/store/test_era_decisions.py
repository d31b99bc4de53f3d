"""Changes of eras as decisions in a real store: made, undone, carried elsewhere, and through merges of people."""

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from builders import NOON
from library_with_eras import FIRST, change, eras, rename, stored, with_eras, write
from moderated_library import BY, Moderated
from sqlalchemy import Connection, delete, func, insert, select, update

from immich_facesets.eras import DecidedEras, KeptEra
from immich_facesets.errors import RequestError
from immich_facesets.moderation.decisions import Decision, Eras
from immich_facesets.moderation.records import from_lines, to_lines
from immich_facesets.moderation.requests import (
    ForgetPerson,
    MergePeople,
    MoveFaces,
    NameIdentity,
    RedoDecision,
    RejectFaces,
    Request,
    UndoDecision,
)
from service.store import decisions, moderation
from service.store import tables as t
from service.store.browsing.standing import standing
from service.store.database import Store, open_engine
from service.store.decision_imports import import_decisions
from service.store.era_decisions import EraEdit, decide_eras
from service.store.eras import EraVersion, stored_eras, written_eras


@pytest.fixture
def library(store: Store) -> Moderated:
    """Three people with 7, 5 and 4 pictures, identities 1 to 3; the first has three eras."""
    return with_eras(Moderated(store))


def undo(library: Moderated, number: int) -> int:
    return library.decide(UndoDecision(decision=number)).decisions[0]


def test_a_change_has_an_author_a_reason_and_faces_by_which_the_person_is_found(library: Moderated) -> None:
    number = rename(library, "2003", "School")
    (one,) = library.records()
    assert (one.decision_id, one.made_by, one.made_from, one.reason) == (number, "anna", "command", "a reason")
    assert isinstance(one.decision, Eras)
    assert (one.decision.change, one.decision.eras, one.decision.name) == ("rename", ("2003",), "School")
    assert len(one.decision.placed) == 7, "the faces in the other eras too: the first decision has them all"
    assert [(part.number, len(part.faces)) for part in one.members] == [(1, 7)]
    assert {era.name for era in eras(library)} == {"1995", "School", "2015"}


def test_an_undo_gives_back_the_eras_exactly_and_a_redo_the_change(library: Moderated) -> None:
    before = eras(library)
    number = rename(library, "2003", "School")
    changed = eras(library)
    preview = library.store.read_now(moderation.preview_decisions, [UndoDecision(decision=number)])
    assert preview.effect.settings == ((1, "eras"),)
    assert preview.effect.is_of_facesets
    undo(library, number)
    assert eras(library) == before
    assert stored(library).version != FIRST, "a publish that runs has planned with the name"
    library.decide(RedoDecision(decision=number))
    assert eras(library) == changed


def test_a_merge_of_eras_and_a_split_are_undone(library: Moderated) -> None:
    one, two, three = before = eras(library)
    both = replace(one, to_year=2003, founders=one.founders | two.founders, joined={**one.joined, **two.joined})
    number = change(library, [both, three], what="merge", names=["2003"], name="1995")
    assert {era.name: len(era.face_ids) for era in eras(library)} == {"1995": 5, "2015": 2}
    undo(library, number)
    assert eras(library) == before
    number = change(
        library, [replace(one, founders=frozenset(sorted(one.founders)[:1]), joined={}), three], what="split"
    )
    undo(library, number)
    assert eras(library) == before


def test_changes_of_different_eras_are_undone_in_any_order(library: Moderated) -> None:
    before = eras(library)
    first, second = rename(library, "1995", "Child"), rename(library, "2015", "Today")
    undo(library, first)
    assert {era.name for era in eras(library)} == {"1995", "2003", "Today"}
    undo(library, second)
    assert eras(library) == before


def test_a_decision_reads_the_changes_of_eras_of_those_whom_it_touches_alone(
    library: Moderated, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, read = rename(library, "2003", "School"), list[int]()

    def spied(*given: object) -> dict[int, Decision]:
        found = decisions.whole_eras(*given)  # type: ignore[arg-type]
        read.extend(found)
        return found

    monkeypatch.setattr(moderation, "whole_eras", spied)

    def read_by(request: Request) -> list[int]:
        read.clear()
        library.decide(request)
        return list(read)

    assert read_by(NameIdentity(identity=2, label="B")) == []
    assert read_by(MergePeople(numbers=(1,), into=2)) == [number]
    assert read_by(NameIdentity(identity=2, label="C")) == [number], "those of a merged person, too"
    assert read_by(MoveFaces(faces=(library.face("p3"),), into=3)) == [number]


def test_who_asks_for_no_eras_reads_no_faces_of_them(library: Moderated) -> None:
    number = rename(library, "2003", "School")
    assert not library.store.read_now(standing).effect.eras
    assert not library.store.read_now(decisions.constraints_now, "").eras
    (whole,), (outline,) = library.records(), library.store.read_now(decisions.all_records, with_eras=False)
    assert outline == msgspec.structs.replace(whole, decision=Eras(1, "rename", (), ()))
    made = {number: outline.decision}
    assert library.store.read_now(decisions.whole_eras, made, [2]) == {}
    assert library.store.read_now(decisions.whole_eras, made, [1]) == {number: whole.decision}


def test_what_a_later_change_settles_cannot_be_undone_and_is_named(library: Moderated) -> None:
    first = rename(library, "1995", "Child")
    second = rename(library, "Child", "Small")
    with pytest.raises(RequestError, match=rf"decision {second} \(eras\) settles the same since"):
        undo(library, first)
    assert len(library.records()) == 2


def test_an_undo_gives_no_era_the_name_of_another_one(library: Moderated) -> None:
    first = rename(library, "1995", "Child")
    rename(library, "2003", "1995")
    with pytest.raises(RequestError, match="another era is called 1995 since"):
        library.store.read_now(moderation.preview_decisions, [UndoDecision(decision=first)])
    with pytest.raises(RequestError, match="another era is called 1995 since"):
        undo(library, first)
    assert len(library.records()) == 2


def test_an_era_that_a_later_split_parted_is_not_half_undone(library: Moderated) -> None:
    first = rename(library, "1995", "Child")
    child, *others = sorted(eras(library), key=lambda era: era.name != "Child")
    face = min(child.founders)
    parted = replace(child, name="1994", founders=frozenset({face}), joined={})
    change(library, [replace(child, founders=child.founders - {face}), parted, *others], what="split")
    with pytest.raises(RequestError, match="later decisions moved a part"):
        undo(library, first)


def test_what_was_decided_of_other_eras_than_those_of_now_is_not_undone(library: Moderated) -> None:
    number = change(library, eras(library)[:2], what="split")
    library.store.write_now(lambda tx: tx.execute(update(t.era_looks).values(basis="ages:2001-01-01:3-5")))
    with pytest.raises(RequestError, match="change the present ones instead"):
        undo(library, number)


def test_who_saw_other_eras_decides_nothing(library: Moderated) -> None:
    before = stored(library)
    rename(library, "2003", "School")
    edit = EraEdit("rename", before, replace(before, version=EraVersion("years", "x")), ("1995",), "Child")
    assert library.store.write_now(decide_eras, 1, edit, BY, NOON) is None
    assert len(library.records()) == 1


def test_a_split_that_moves_no_face_is_no_decision_and_a_name_for_no_face_is_refused(library: Moderated) -> None:
    before = stored(library)
    after = replace(before, version=EraVersion("years", "looked at again"))
    assert library.store.write_now(decide_eras, 1, EraEdit("split", before, after), BY, NOON) == ()
    with pytest.raises(RequestError, match="no face is in these eras"):
        library.store.write_now(decide_eras, 1, EraEdit("rename", after, after), BY, NOON)
    assert library.records() == []


def test_eras_that_were_decided_follow_a_merge_of_people_and_come_back_with_its_undo(library: Moderated) -> None:
    rename(library, "2003", "School")
    first = eras(library)
    theirs = (KeptEra("2020", 2020, 2020, 2020, frozenset(library.face(f"p{number}") for number in range(7, 12))),)
    write(library, 2, theirs)
    merged = library.decide(MergePeople(numbers=(1,), into=2)).decisions[0]
    assert eras(library, 2) == tuple(sorted((*first, *theirs), key=lambda era: era.name))
    undo(library, merged)
    assert (eras(library), eras(library, 2)) == (first, theirs)


@pytest.mark.parametrize("is_decided", [True, False])
def test_people_with_eras_of_one_name_have_their_own_again_after_a_merge_that_was_undone(
    library: Moderated, is_decided: bool
) -> None:
    faces = [library.face(f"p{number}") for number in range(7, 16)]
    theirs = (KeptEra("1995", 1990, 1991, 1995, frozenset(faces[:3]), {faces[3]: 0.8}),)
    write(library, 2, theirs)
    if is_decided:
        rename(library, "2003", "School")
    first = eras(library)
    merged = library.decide(MergePeople(numbers=(1,), into=2)).decisions[0]
    (both,) = [era for era in eras(library, 2) if era.name == "1995"]
    assert len(both.face_ids) == 7
    undo(library, merged)
    assert (eras(library), eras(library, 2)) == (first, theirs)
    merged = library.decide(MergePeople(numbers=(1, 2), into=3)).decisions[0]
    undo(library, merged)
    assert (eras(library), eras(library, 2), eras(library, 3)) == (first, theirs, ())


def test_a_face_of_nobody_keeps_no_era_from_coming_back_with_the_undo_of_a_merge(library: Moderated) -> None:
    library.decide(RejectFaces(faces=(library.face("p5"),)))
    before = eras(library)
    merged = library.decide(MergePeople(numbers=(1,), into=3)).decisions[0]
    undo(library, library.decide(RejectFaces(faces=(library.face("p0"),))).decisions[0])
    undo(library, library.decide(MergePeople(numbers=(3,), into=2)).decisions[0])
    undo(library, merged)
    assert (eras(library), eras(library, 3)) == (before, ())


def test_a_face_that_is_somebody_elses_is_in_none_of_the_eras(library: Moderated) -> None:
    number = rename(library, "2003", "School")
    library.decide(MoveFaces(faces=(library.face("p3"),), into=3))
    undo(library, number)
    (era,) = [one for one in eras(library) if one.name == "2003"]
    assert era.face_ids == {library.face("p4")}
    assert library.face("p3") not in stored(library, 3).pins


def test_a_face_that_is_away_follows_its_era_and_returns_to_it(library: Moderated) -> None:
    before, face = eras(library), library.face("p3")
    number = rename(library, "2003", "School")
    mine = t.memberships.c.face_id == face
    row = library.store.read_now(lambda tx: dict(tx.execute(select(t.memberships).where(mine)).one()._mapping))
    library.store.write_now(lambda tx: tx.execute(delete(t.memberships).where(mine)))
    undo(library, number)
    library.store.write_now(lambda tx: tx.execute(insert(t.memberships), [row]))
    assert library.store.read_now(written_eras, 1)[1].eras == before == eras(library)
    assert face in {face for era in before for face in era.face_ids}


def test_a_fresh_library_has_the_eras_that_were_decided(
    library: Moderated, tmp_path: Path, migrated_sqlite: Path
) -> None:
    rename(library, "2003", "School")
    undo(library, rename(library, "2015", "Today"))
    file = shutil.copyfile(migrated_sqlite, tmp_path / "other.db")
    other = library.moved(Store(open_engine(f"sqlite:///{file}")))
    ids = {library.face(f"p{number}"): other.face(f"p{number}") for number in range(7)}
    wanted = [
        replace(
            era,
            founders=frozenset(ids[face] for face in era.founders),
            joined={ids[face]: sure for face, sure in era.joined.items()},
        )
        for era in eras(library)
    ]
    number = other.number("p0") or 0
    assert list(DecidedEras(stored(other, number).pins, "years").over(()).eras) == wanted


def test_a_library_that_was_synced_already_takes_the_eras_over_at_once(
    library: Moderated, tmp_path: Path, migrated_sqlite: Path
) -> None:
    rename(library, "2003", "School")
    undo(library, rename(library, "2015", "Today"))
    file = shutil.copyfile(migrated_sqlite, tmp_path / "other.db")
    other = with_eras(Moderated(Store(open_engine(f"sqlite:///{file}"))))
    lines = from_lines(b"".join(to_lines(library.records())))
    for added in (3, 0):
        assert other.store.write_now(import_decisions, lines, NOON).added == added
        assert other.store.read_now(written_eras, 1)[1].eras == eras(library)


def test_decided_faces_are_found_where_another_model_finds_them(library: Moderated) -> None:
    rename(library, "2003", "School")
    before = eras(library)

    def shift(tx: Connection) -> None:
        tx.execute(update(t.faces).values(x1=t.faces.c.x1 + 9, y2=t.faces.c.y2 - 7))
        tx.execute(delete(t.eras))

    library.store.write_now(shift)
    assert DecidedEras(stored(library).pins, "years").over(()).eras == before


def test_nothing_is_left_of_the_eras_of_a_forgotten_person(library: Moderated) -> None:
    rename(library, "2003", "School")
    library.decide(ForgetPerson(identity=1, confirm=1))
    assert library.store.read_now(stored_eras) == {}
    assert "School" not in str(library.records())
    assert library.store.read_now(lambda tx: tx.scalar(select(func.count()).select_from(t.eras))) == 0
