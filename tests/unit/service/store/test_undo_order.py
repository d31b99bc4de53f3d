"""Decisions that are undone in any order leave what a library has in which only the others were ever made."""

import pytest
from library_with_eras import eras, merge_eras, rename_era, with_eras, write
from moderated_library import Moderated

from immich_facesets.eras import KeptEra
from immich_facesets.moderation.requests import MergePeople, MoveFaces, RejectFaces, SplitPerson, UndoDecision
from service.store.database import Store


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


def test_a_face_that_was_moved_leaves_the_era_that_a_merge_brought_with_its_undo(store: Store) -> None:
    library = with_eras(Moderated(store))
    rename_era(library, "p3", "Kindergarten")
    write(library, 2, [KeptEra("2020", 2020, 2020, 2020, frozenset({library.face("p7")}))])
    library.decide(MoveFaces(faces=(library.face("p0"),), into=2))
    before = (eras(library), eras(library, 2))
    undo(library, library.decide(MergePeople(numbers=(1,), into=2)).decisions[0])
    assert (eras(library), eras(library, 2)) == before


def undo(library: Moderated, number: int) -> None:
    library.decide(UndoDecision(decision=number))
