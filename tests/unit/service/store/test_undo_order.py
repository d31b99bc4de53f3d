"""Decisions that are undone in any order leave what a library has in which only the others were ever made."""

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from builders import RECIPE
from library_with_eras import era_of, eras, merge_eras, rename_era, with_eras, write
from moderated_library import Moderated

from immich_facesets.eras import KeptEra
from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import (
    ChooseCover,
    ConfirmFaces,
    IncludeInSets,
    MergePeople,
    MoveFaces,
    NeverExportIdentity,
    RejectFaces,
    Request,
    SplitPerson,
    SwitchProfiles,
    UndoDecision,
)
from service.store import decisions
from service.store.database import Store, open_engine
from service.store.export_folder import barred_identities

Act = Callable[[Moderated], int]
"""Something that is decided of people and pictures, and the number of the decision."""


def a_library(folder: Path, migrated: Path, name: str) -> Moderated:
    """Three people; the first has three decided eras, the second has two, and the third has none."""
    shutil.copyfile(migrated, folder / name)
    library = with_eras(Moderated(Store(open_engine(f"sqlite:///{folder / name}"))))
    later = [library.face(f"p{number}") for number in range(7, 12)]
    theirs = (
        KeptEra("2020", 2020, 2020, 2020, frozenset(later[:2]), {}),
        KeptEra("2021", 2021, 2021, 2022, frozenset(later[2:4]), {later[4]: 0.8}),
    )
    write(library, 2, theirs)
    rename_era(library, "p5", "Today")
    rename_era(library, "p7", "Young")
    return library


def of(number: int, request: Request) -> Act:
    """A request about an identity, while it is no part of another one."""

    def act(library: Moderated) -> int:
        if number not in library.members().values():
            raise RequestError(f"identity {number} is a part of another one")
        return library.decide(request).decisions[0]

    return act


def while_apart(number: int, request: Request) -> Act:
    """A request about an identity, while nobody else is a part of it: it would be about them, too, once they are apart."""

    def act(library: Moderated) -> int:
        if number in library.store.read_now(decisions.constraints_now, RECIPE.space).merged.values():
            raise RequestError(f"others are a part of identity {number}")
        return of(number, request)(library)

    return act


def on_face(picture: str, request: Callable[[int], Request]) -> Act:
    return lambda library: library.decide(request(library.face(picture))).decisions[0]


def move(picture: str, into: int) -> Act:
    return lambda library: of(into, MoveFaces(faces=(library.face(picture),), into=into))(library)


def acts(dice: random.Random) -> dict[str, Act]:
    """Everything that may be decided in one test, in the order in which it is made."""
    off, on = dice.sample(["kohya", "xmp", "frigate"], 2)
    one, two = dice.sample([1, 2, 3], 2)
    first, second = dice.sample(["p1", "p4", "p5"], 2)
    found: dict[str, Act] = {
        "rename 2003": lambda library: rename_era(library, "p4", "School"),
        "rename 2015": lambda library: rename_era(library, "p5", "Now"),
        "rename 2020": lambda library: rename_era(library, "p7", "Small"),
        f"merge eras {first} {second}": lambda library: merge_eras(library, first, second),
        "merge eras p7 p10": lambda library: merge_eras(library, "p7", "p10"),
        "reject p3": on_face("p3", lambda face: RejectFaces(faces=(face,))),
        "reject p8": on_face("p8", lambda face: RejectFaces(faces=(face,))),
        "move p0 to 2": move("p0", 2),
        "confirm p2": on_face("p2", lambda face: ConfirmFaces(faces=(face,))),
        "include p2": on_face("p2", lambda face: IncludeInSets(faces=(face,))),
        "merge 1 into 2": of(1, MergePeople(numbers=(1,), into=2)),
        f"merge {two} into {one}": of(one, MergePeople(numbers=(two,), into=one)),
        f"{off} off for {one}": of(one, SwitchProfiles(identity=one, off=(off,))),
        f"{on} off for {two}": of(two, SwitchProfiles(identity=two, off=(on,))),
        f"{on} on for {one}": of(one, SwitchProfiles(identity=one, on=(on,))),
        f"never export {two}": while_apart(two, NeverExportIdentity(identity=two)),
        "cover p11": on_face("p11", lambda face: ChooseCover(face=face)),
    }
    return dict(dice.sample(sorted(found.items()), len(found)))


def state(library: Moderated) -> dict[str, object]:
    known = library.store.read_now(decisions.constraints_now, RECIPE.space)
    return {
        **library.state(),
        "confirmed": known.confirmed,
        "for_sets": known.for_sets,
        "eras": {number: [era for era in eras(library, number) if era.face_ids] for number in (1, 2, 3)},
    }


@pytest.mark.parametrize("seed", [2, 4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 60))])
def test_what_is_left_counts_as_if_nothing_else_had_been_decided(
    tmp_path: Path, migrated_sqlite: Path, seed: int
) -> None:
    dice = random.Random(seed)
    library = a_library(tmp_path, migrated_sqlite, "here.db")
    before, every, made = state(library), acts(dice), dict[int, str]()
    log = []
    for name in list(every)[: dice.randint(3, 9)]:
        try:
            made[every[name](library)] = name
        except RequestError:
            continue
        log.append(name)
        if dice.random() < 0.2:
            log.append(undone(library, dice, made))
    while made and dice.random() < 0.7:
        log.append(undone(library, dice, made))
    alone = a_library(tmp_path, migrated_sqlite, "there.db")
    for _, name in sorted(made.items()):
        try:
            every[name](alone)
        except RequestError:
            continue
    assert state(library) == state(alone), f"after {log}, {sorted(made.items())} is left"
    while made:
        log.append(undone(library, dice, made))
    assert state(library) == before, f"after {log}"


def undone(library: Moderated, dice: random.Random, made: dict[int, str]) -> str:
    """Undo one of these decisions at random; where that is refused, another one. One without effect is as good as undone."""
    for number in dice.sample(sorted(made), len(made)):
        try:
            library.decide(UndoDecision(decision=number, even_if_locked=True))
        except RequestError as error:
            if "what it changed is not there now" not in str(error):
                continue
        return f"undo {made.pop(number)}"
    raise AssertionError(f"nothing can be undone of {made}")


def test_who_was_part_of_a_person_that_must_never_be_exported_stays_out_after_the_undo(store: Store) -> None:
    library = with_eras(Moderated(store))
    before = state(library)
    merged = library.decide(MergePeople(numbers=(1,), into=2)).decisions[0]
    barred = library.decide(NeverExportIdentity(identity=2)).decisions[0]
    undo(library, merged)
    assert store.read_now(barred_identities) >= {1, 2}
    undo(library, barred)
    assert state(library) == before


@pytest.mark.parametrize("is_moved", [True, False])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_face_that_was_away_while_eras_were_merged_is_in_its_own_again(
    store: Store, is_moved: bool, order: tuple[int, int]
) -> None:
    library, before = (found := with_eras(Moderated(store))), eras(found)
    face = library.face("p3")
    away = MoveFaces(faces=(face,), into=3) if is_moved else RejectFaces(faces=(face,))
    made = [library.decide(away).decisions[0], merge_eras(library, "p1", "p4")]
    undo(library, made[order[0]])
    names = {era.name for era in eras(library) if face in era.face_ids}
    assert names == ({"1995"} if order[0] == 0 else set()), "it is in the eras that are decided, once it is back"
    undo(library, made[order[1]])
    assert (eras(library), eras(library, 3)) == (before, ())


def test_an_era_that_a_split_takes_whole_comes_back_with_the_undo(store: Store) -> None:
    library, before = (found := with_eras(Moderated(store))), eras(found)
    faces = tuple(library.face(name) for name in ("p3", "p4"))
    made = library.decide(SplitPerson(faces=faces)).decisions[0]
    assert {era.name for era in eras(library) if era.face_ids} == {"1995", "2015"}
    undo(library, made)
    assert eras(library) == before


@pytest.mark.parametrize("name", ["2020", "1995"])
@pytest.mark.parametrize("picture", ["p1", "p5", "p7"])
def test_a_change_of_eras_outlasts_the_undo_of_a_merge_of_people(store: Store, name: str, picture: str) -> None:
    library = with_eras(Moderated(store))
    faces = frozenset(library.face(f"p{number}") for number in range(7, 12))
    write(library, 2, [KeptEra(name, 2020, 2020, 2020, faces)])
    rename_era(library, "p3", "Kindergarten")
    before = (eras(library), eras(library, 2))
    merged = library.decide(MergePeople(numbers=(1,), into=2)).decisions[0]
    renamed = rename_era(library, picture, "School")
    concerned = {one for one in ("p1", "p5", "p7") if era_of(library, one)[1].name == "School"}
    undo(library, merged)
    now = [era for number, kept in enumerate(before, start=1) for era in eras(library, number) if era not in kept]
    were = [era for number in (1, 2) for era in before[number - 1] if era not in eras(library, number)]
    assert [replace(era, name="") for era in now] == [replace(era, name="") for era in were], "but for their names"
    assert {era.name for era in now} == {"School"}
    assert {one for one in ("p1", "p5", "p7") if era_of(library, one)[1].name == "School"} == concerned
    undo(library, renamed)
    assert (eras(library), eras(library, 2)) == before


def test_a_face_that_was_moved_leaves_the_era_that_a_merge_brought_with_its_undo(store: Store) -> None:
    library = with_eras(Moderated(store))
    rename_era(library, "p3", "Kindergarten")
    write(library, 2, [KeptEra("2020", 2020, 2020, 2020, frozenset({library.face("p7")}))])
    library.decide(MoveFaces(faces=(library.face("p0"),), into=2))
    before = (eras(library), eras(library, 2))
    undo(library, library.decide(MergePeople(numbers=(1,), into=2)).decisions[0])
    assert (eras(library), eras(library, 2)) == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_era_that_another_persons_joined_by_its_name_has_its_own_years_again(
    store: Store, order: tuple[int, int]
) -> None:
    """A change of another era names the faces that joined alone: an earlier change named the others."""
    library = with_eras(Moderated(store))
    write(
        library, 3, [KeptEra("1995", 1995, 1995, 1995, frozenset(library.face(f"p{one}") for one in range(12, 16)), {})]
    )
    rename_era(library, "p5", "Today")
    before = (eras(library), eras(library, 3))
    made = [library.decide(MergePeople(numbers=(3,), into=1)).decisions[0], rename_era(library, "p4", "School")]
    for place in order:
        undo(library, made[place])
    assert (eras(library), eras(library, 3)) == before


def undo(library: Moderated, number: int) -> None:
    library.decide(UndoDecision(decision=number))
