"""The people who are nearly there, and the gate that holds each back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import Library, people, table_of, unit

from immich_facesets.grouping.nearly_there import NearlyThere, PoorFaces, count_nearly_there, held_by
from immich_facesets.grouping.plan import GroupingRules, Method
from immich_facesets.grouping.rules import GateCounts

METHODS = pytest.mark.parametrize("method", ["careful", "plain"])


@st.composite
def gate_counts(draw: st.DrawFn) -> GateCounts:
    faces = draw(st.integers(1, 40))
    clear = draw(st.integers(0, faces))
    near = draw(st.integers(0, clear))
    return GateCounts(faces, clear, near, draw(st.integers(0, near)))


@given(st.lists(gate_counts(), max_size=20), st.integers(1, 20))
def test_each_group_is_counted_once_or_is_not_half_a_person(groups: list[GateCounts], needed: int) -> None:
    found = count_nearly_there(groups, NearlyThere(needed=needed, library=100, identities=0))
    assert found.people == sum(one.faces >= 2 and 2 * one.faces >= needed for one in groups)
    assert found.most <= max((one.pictures for one in groups), default=0)


@pytest.mark.parametrize(
    ("counts", "gate"),
    [
        (GateCounts(2, 2, 2, 2), None),
        (GateCounts(3, 3, 3, 3), "pictures"),
        (GateCounts(5, 0, 0, 0), "pictures"),
        (GateCounts(6, 5, 5, 5), "quality"),
        (GateCounts(9, 6, 5, 5), "likeness"),
        (GateCounts(9, 7, 6, 2), "moments"),
    ],
)
def test_the_first_gate_that_holds_back(counts: GateCounts, gate: str | None) -> None:
    assert held_by(counts, 6) == gate


def found_in(library: Library) -> NearlyThere:
    found = library.plan().report.nearly_there
    assert found is not None
    return found


def rules(method: Method) -> GroupingRules:
    return GroupingRules(method=method, min_faces=6, min_known=6)


@METHODS
def test_a_person_on_too_few_pictures(method: Method) -> None:
    vectors, _ = people(np.random.default_rng(3), [5, 2, 8], 0.3)
    library = Library(table_of(vectors), rules=rules(method))
    library.group()
    expected = NearlyThere(needed=6, library=15, identities=1, pictures=1, most=5, poor=PoorFaces(faces=7))
    assert found_in(library) == expected


@METHODS
def test_a_person_whose_faces_are_poor(method: Method) -> None:
    vectors, _ = people(np.random.default_rng(3), [8], 0.3)
    blur = np.array([100.0] * 4 + [5.0] * 4, dtype=np.float32)
    library = Library(table_of(vectors, blur=blur, face_short=np.float32(50.0) + blur), rules=rules(method))
    found = found_in(library)
    assert (found.people, found.quality, found.most) == (1, 1, 4)
    assert found.poor == PoorFaces(faces=8, small=4, blurred=4)


@METHODS
def test_a_person_of_one_moment(method: Method) -> None:
    vectors, _ = people(np.random.default_rng(3), [1, 1], 0.3)
    burst = unit(vectors[0] + 0.001 * np.random.default_rng(4).normal(size=(9, vectors.shape[1])))
    found = found_in(Library(table_of(burst), rules=rules(method)))
    assert (found.people, found.moments, found.most) == (1, 1, 1)


@METHODS
def test_faces_left_over_of_a_known_person_are_nobody_new(method: Method) -> None:
    vectors, _ = people(np.random.default_rng(3), [14], 0.3)
    blur = np.array([100.0] * 8 + [5.0] * 6, dtype=np.float32)
    pictures = [*range(8), *range(6)]
    library = Library(table_of(vectors, blur=blur, pictures=pictures), rules=rules(method))
    library.group()
    assert len(library.memberships) == 8
    assert found_in(library).people == 0


def test_a_look_at_new_faces_among_many_loose_ones_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = people(np.random.default_rng(3), [5], 0.3)
    library = Library(table_of(vectors), rules=rules("careful"), fresh=frozenset({5}))
    assert found_in(library).people == 1
    monkeypatch.setattr("immich_facesets.grouping.nearly_there.MOST_OFTEN", 4)
    assert library.plan().report.nearly_there is None
    library.fresh = None
    monkeypatch.setattr("immich_facesets.grouping.nearly_there.MOST_LOOSE", 4)
    assert found_in(library).people == 1
