"""Faces that are included by hand, and profiles that are switched off for a person: decided, undone, carried elsewhere."""

from pathlib import Path

import pytest
from builders import NOON, RECIPE
from moderated_library import Moderated

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import (
    ForgetPerson,
    HoldFromSets,
    IncludeInSets,
    MergePeople,
    MoveFaces,
    Request,
    SwitchProfiles,
    UndoDecision,
)
from service.store import decisions, export_folder, exports
from service.store.database import Store, open_engine


@pytest.fixture
def library(store: Store) -> Moderated:
    """Three people with 5, 4 and 3 pictures: identities 1, 2 and 3."""
    found = Moderated(store)
    for person, count in ((1, 5), (2, 4), (3, 3)):
        found.add(person, count=count)
    found.group()
    return found


def included(library: Moderated) -> dict[int, int]:
    return dict(library.store.read_now(decisions.constraints_now, RECIPE.space).for_sets)


def off_of(library: Moderated, number: int) -> list[str]:
    """The profiles that are off, as the row of the identity has them."""
    found = library.state()["identities"][number]["profiles_off"]  # type: ignore[index]
    assert isinstance(found, list)
    return found


def test_an_included_face_counts_for_the_person_whose_it_is_then(library: Moderated) -> None:
    face = library.face("p0")
    library.decide(IncludeInSets(faces=(face,)))
    assert included(library) == {face: 1}
    library.decide(MergePeople(numbers=(1,), into=2))
    assert included(library) == {face: 2}
    library.decide(MoveFaces(faces=(face,), into=3))
    assert included(library) == {face: 2}, "of somebody else it is not included by that"


def test_left_out_and_included_take_turns_and_are_undone(library: Moderated) -> None:
    face = library.face("p0")
    library.decide(HoldFromSets(faces=(face,)))
    done = library.decide(IncludeInSets(faces=(face,)))
    assert face in {one.face.face_id for one in library.store.read_now(exports.members, RECIPE.space)}
    assert done.effect.is_of_facesets
    library.decide(UndoDecision(decision=done.decisions[0]))
    assert face not in {one.face.face_id for one in library.store.read_now(exports.members, RECIPE.space)}
    assert included(library) == {}
    library.decide(IncludeInSets(faces=(face,)))
    library.decide(IncludeInSets(faces=(face,), is_on=False))
    assert included(library) == {}


def test_faces_of_several_people_are_a_decision_for_each(library: Moderated) -> None:
    faces = (library.face("p0"), library.face("p5"))
    done = library.decide(IncludeInSets(faces=faces))
    assert done.kinds == ("for_sets", "for_sets")
    assert included(library) == {faces[0]: 1, faces[1]: 2}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (IncludeInSets(faces=(1,), is_on=False), "was not included by hand"),
        (
            SwitchProfiles(identity=1, off=("koya",)),
            "there is no profile koya; those that can be switched are: aligned",
        ),
        (SwitchProfiles(identity=1, off=("fsz",)), "always written: 'never-export'"),
        (SwitchProfiles(identity=1, on=("xmp",)), "xmp: written for identity 1 already"),
        (SwitchProfiles(identity=99, off=("xmp",)), "no identity 99"),
    ],
)
def test_the_impossible_is_refused_with_what_to_do(library: Moderated, request_: Request, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        library.decide(request_)
    assert library.records() == []


def test_a_face_of_nobody_is_in_no_face_set(library: Moderated) -> None:
    (stray,) = library.add(7)
    with pytest.raises(RequestError, match="is of nobody: say whose it is first"):
        library.decide(IncludeInSets(faces=(library.face(stray),)))


def test_profiles_are_switched_one_by_one_and_undone(library: Moderated) -> None:
    library.decide(SwitchProfiles(identity=1, off=("xmp",)))
    done = library.decide(SwitchProfiles(identity=1, off=("kohya",), on=("xmp",)))
    assert done.effect.settings == ((1, "profiles_off"),)
    assert off_of(library, 1) == ["kohya"]
    library.decide(UndoDecision(decision=done.decisions[0]))
    assert off_of(library, 1) == ["xmp"]
    done = library.decide(SwitchProfiles(identity=1, on=("xmp",)))
    assert done.effect.settings == ((1, "profiles_on"),)
    assert off_of(library, 1) == []


def test_a_merge_switches_off_what_was_off_for_either_and_its_undo_gives_both_back(library: Moderated) -> None:
    library.decide(SwitchProfiles(identity=1, off=("kohya",)), SwitchProfiles(identity=2, off=("xmp",)))
    before = library.state()
    done = library.decide(MergePeople(numbers=(2,), into=1))
    assert off_of(library, 1) == ["kohya", "xmp"]
    assert (2, "kohya") in library.store.read_now(export_folder.switched_off), "the exports of the old number go, too"
    library.decide(UndoDecision(decision=done.decisions[0]))
    assert library.state() == before


def test_what_was_switched_after_a_merge_is_all_that_is_left_when_the_merge_is_undone(library: Moderated) -> None:
    library.decide(SwitchProfiles(identity=1, off=("kohya",)), SwitchProfiles(identity=2, off=("xmp",)))
    merged = library.decide(MergePeople(numbers=(2,), into=1)).decisions[0]
    switched = library.decide(SwitchProfiles(identity=1, off=("frigate",), on=("kohya",))).decisions[0]
    assert off_of(library, 1) == ["frigate", "xmp"]
    library.decide(UndoDecision(decision=merged))
    assert (off_of(library, 1), off_of(library, 2)) == (["frigate"], ["xmp"])
    library.decide(UndoDecision(decision=switched))
    assert (off_of(library, 1), off_of(library, 2)) == (["kohya"], ["xmp"])


def test_no_profile_is_off_for_a_person_who_is_forgotten(library: Moderated) -> None:
    library.decide(SwitchProfiles(identity=1, off=("kohya",)), SwitchProfiles(identity=2, off=("xmp",)))
    library.decide(ForgetPerson(identity=1, confirm=1))
    assert library.store.read_now(export_folder.switched_off) == {(2, "xmp")}


def test_directories_of_a_switched_off_profile_must_go_and_no_others(library: Moderated) -> None:
    written = [
        ("faceset_001", None, 1),
        ("_profiles/kohya/faceset_001", "kohya", 1),
        ("_profiles/kohya/faceset_002", "kohya", 2),
        ("_profiles/visomaster/everybody", "visomaster", None),
        ("_profiles/xmp/anna", "xmp", None),
    ]
    for directory, profile, identity in written:
        entry = {"identity": identity, "faces": 3} | ({} if profile is None else {"profile": profile})
        library.store.write_now(
            exports.record_export, directory, digest="d", entry=entry, identity=identity, made_by="sync", now=NOON
        )
    library.decide(SwitchProfiles(identity=1, off=("kohya", "xmp")))
    gone = library.store.read_now(export_folder.barred_directories, [1])
    assert gone == ["_profiles/kohya/faceset_001", "_profiles/xmp/anna"]
    assert library.store.read_now(export_folder.barred_directories, [2]) == []
    assert library.store.read_now(export_folder.directories_of_barred) == ["_profiles/kohya/faceset_001"]


def test_what_was_switched_off_meanwhile_concerns_that_person_and_forms_of_everybody(library: Moderated) -> None:
    library.decide(SwitchProfiles(identity=2, off=("xmp",)))
    before = library.store.read_now(export_folder.unwanted_now)
    library.decide(SwitchProfiles(identity=1, off=("kohya",)))
    new = library.store.read_now(export_folder.unwanted_now).since(before)
    concerned = [(1, "kohya"), (None, "kohya")]
    free = [(1, "fsz"), (1, "xmp"), (2, "kohya"), (2, "xmp"), (None, "xmp")]
    assert [new.concerns(*one) for one in concerned + free] == [True] * 2 + [False] * 5


def test_both_are_carried_to_another_installation(library: Moderated, tmp_path: Path, migrated_sqlite: Path) -> None:
    library.decide(IncludeInSets(faces=(library.face("p0"),)), SwitchProfiles(identity=2, off=("kohya",)))
    there = tmp_path / "there.db"
    there.write_bytes(migrated_sqlite.read_bytes())
    again = library.moved(Store(open_engine(f"sqlite:///{there}")))
    assert included(again) == {again.face("p0"): again.number("p0")}
    assert off_of(again, again.number("p5") or 0) == ["kohya"]
