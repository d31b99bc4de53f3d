"""Any sequence of decisions and syncs: nothing that was fixed moves, and replayed on a fresh import it ends the same."""

import random
import shutil
from pathlib import Path

import pytest
from moderated_library import Moderated

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import (
    AllowTwice,
    AssignReference,
    ConfirmFaces,
    HoldFromSets,
    IgnoreOthers,
    IgnoreStrangers,
    IncludeInSets,
    KeepTwoApart,
    LockIdentity,
    MarkNotAFace,
    MergePeople,
    MoveFaces,
    NameIdentity,
    NewPerson,
    RejectFaces,
    RemoveReference,
    Request,
    SplitPerson,
    SwitchProfiles,
    UndoDecision,
)
from service.store import decisions, identities, references
from service.store.database import Store, open_engine

PEOPLE = 4


def a_store(folder: Path, migrated: Path, name: str) -> Store:
    shutil.copyfile(migrated, folder / name)
    return Store(open_engine(f"sqlite:///{folder / name}"))


def a_request(dice: random.Random, library: Moderated) -> Request:
    """Any request about what is there, sensible or not."""
    members = library.members()
    numbers = sorted(set(members.values())) or [1]
    names = sorted(library.pictures, key=lambda name: int(name[1:]))
    some = dice.sample([(name, place) for name in names for place in range(len(library.pictures[name]))], 2)
    faces = tuple(library.face(*one) for one in some[: dice.randint(1, 2)])
    one, two = dice.choice(numbers), dice.choice(numbers)
    made = len(library.records())
    kinds: list[Request] = [
        MergePeople(numbers=(one,), into=two, label=dice.choice([None, "Ada"])),
        SplitPerson(faces=faces),
        MoveFaces(faces=faces, into=dice.choice([None, one])),
        ConfirmFaces(faces=faces[:1]),
        RejectFaces(faces=faces, identity=one),
        IgnoreStrangers(faces=faces),
        IgnoreStrangers(identity=one),
        IgnoreOthers(faces=faces[:1]),
        MarkNotAFace(faces=faces),
        LockIdentity(identity=one, is_on=dice.random() < 0.3),
        NameIdentity(identity=one, label=dice.choice(["Ada", "Bob", None]), is_namesake=True),
        KeepTwoApart(identity=one, other=two),
        AllowTwice(faces=faces[:1]),
        HoldFromSets(faces=faces, is_on=dice.random() < 0.7),
        IncludeInSets(faces=faces, is_on=dice.random() < 0.7),
        SwitchProfiles(identity=one, off=(dice.choice(["kohya", "xmp"]),)),
        SwitchProfiles(identity=one, on=(dice.choice(["kohya", "xmp"]),)),
        *(a_reference_request(dice, library, one) for _ in range(2)),
        *(UndoDecision(decision=max(1, dice.randint(made - 3, max(made, 1)))) for _ in range(4)),
    ]
    return dice.choice(kinds)


def a_reference_request(dice: random.Random, library: Moderated, number: int) -> Request:
    """A decision about a reference picture, which may be deleted already."""
    reference = dice.randint(1, len(library.sent))
    if dice.random() < 0.2:
        return RemoveReference(reference=reference)
    return AssignReference(reference=reference, identity=number)


def sequence(library: Moderated, seed: int, steps: int = 14) -> None:
    """Make decisions at random, with a grouping now and then, and check after each that it holds."""
    dice, made = random.Random(seed), 0
    for person in range(1, PEOPLE + 1):
        library.add(person, count=4 + person)
    library.add(1, 2)
    library.add(2, 3)
    library.group()
    for who, rival in ((1, None), (2, 3), (3, None)):
        library.refer(who, who, rival)
    library.refer(PEOPLE + 1, NewPerson(label="Zoe"))
    while made < steps:
        try:
            library.decide(a_request(dice, library))
        except RequestError:
            continue
        made += 1
        holds(library)
        if dice.random() < 0.3:
            decided = fixed(library)
            library.group()
            holds(library)
            assert fixed(library) == decided, "a grouping moved what a person fixed"


def fixed(library: Moderated) -> dict[int, int | None]:
    """The identity of each face that a decision settles."""
    known = library.store.read_now(decisions.constraints_now, "space-1")
    now = {library.face(*key): number for key, number in library.members().items()}
    return {face: now.get(face) for face in {*known.must, *known.ignored}}


def holds(library: Moderated) -> None:
    """No must-link and no cannot-link is broken, and nobody is twice in a picture unless that is allowed."""
    known = library.store.read_now(decisions.constraints_now, "space-1")
    now = {library.face(*key): number for key, number in library.members().items()}
    assert {face: now.get(face) for face in known.must} == dict(known.must)
    assert not set(now.items()) & known.must_not
    assert not now.keys() & known.ignored
    assert not known.merged.keys() & set(now.values())
    assert not known.merged.keys() & set(known.references.values())
    assert known.references == owners(library)
    for name, who in library.pictures.items():
        here = [now.get(library.face(name, place)) for place in range(len(who))]
        if len(here) == 2 and here[0] == here[1] and here[0] is not None:
            assert {library.face(name, 0), library.face(name, 1)} & known.together


def owners(library: Moderated) -> dict[str, int]:
    """The identity of each reference picture that is used, as the list of each identity has it."""
    numbers = sorted({one.number for one in library.store.read_now(identities.all_known)})
    found = [one for number in numbers for one in library.store.read_now(references.references_of, number)]
    return {one.picture.digest: one.identity for one in found if one.is_used}


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 40))])
def test_replayed_on_a_fresh_import_a_sequence_ends_in_the_same_state(
    tmp_path: Path, migrated_sqlite: Path, seed: int
) -> None:
    library = Moderated(a_store(tmp_path, migrated_sqlite, "here.db"))
    sequence(library, seed)
    library.group()
    again = library.moved(a_store(tmp_path, migrated_sqlite, "there.db"))
    holds(again)
    assert fixed_by_place(again) == fixed_by_place(library)
    assert again.parts() == library.parts()
    assert exported_by_place(again) == exported_by_place(library)
    assert again.state()["references"] == library.state()["references"]


def exported_by_place(library: Moderated) -> tuple[set[tuple[str, int]], set[tuple[frozenset[tuple[str, int]], str]]]:
    """The faces that are included by hand, and the profiles that are switched off for the people, whatever the numbers."""
    known, members = library.store.read_now(decisions.constraints_now, "space-1"), library.members()
    included = {key for key, number in members.items() if known.for_sets.get(library.face(*key)) == number}
    off = {
        (frozenset(key for key, to in members.items() if to == number), profile)
        for number in set(members.values())
        for profile in known.profiles_off.get(number, ())
    }
    return included, off


def fixed_by_place(library: Moderated) -> dict[tuple[str, int], int | None]:
    settled = fixed(library)
    keys = {
        library.face(name, place): (name, place) for name, who in library.pictures.items() for place in range(len(who))
    }
    return {keys[face]: number for face, number in settled.items()}


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20))])
def test_merge_then_undo_is_the_identity_after_any_sequence(tmp_path: Path, migrated_sqlite: Path, seed: int) -> None:
    library = Moderated(a_store(tmp_path, migrated_sqlite, "here.db"))
    sequence(library, seed, steps=6)
    both = [name for name, who in library.pictures.items() if len(who) > 1]
    library.decide(AllowTwice(faces=tuple(library.face(name) for name in both)))
    dice, done = random.Random(seed), 0
    for _ in range(30):
        before = library.state()
        numbers = sorted(set(library.members().values()))
        one, two = dice.sample(numbers, 2)
        try:
            made = library.decide(
                MergePeople(numbers=(one,), into=two, label=dice.choice([None, "Ada", "Bob"]), even_if_locked=True)
            )
        except RequestError:
            continue
        done += 1
        library.decide(UndoDecision(decision=made.decisions[0], even_if_locked=True))
        assert library.state() == before
    assert done
