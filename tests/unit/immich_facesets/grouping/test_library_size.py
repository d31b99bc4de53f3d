"""The least number of pictures by the size of the library, and the numbers of identities while a library grows."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import Library, people, table_of

from immich_facesets.grouping.library_size import FEW, MANY, SOME, STEPS, least_pictures
from immich_facesets.grouping.plan import GroupingRules, Method

SIZES = st.integers(0, 50_000)


@given(SIZES, SIZES)
def test_a_larger_library_never_asks_for_fewer(one: int, other: int) -> None:
    assert least_pictures(min(one, other)) <= least_pictures(max(one, other))


@given(SIZES)
def test_it_is_one_of_three(size: int) -> None:
    assert least_pictures(size) in {FEW, SOME, MANY}


def test_the_steps() -> None:
    (small, _), (middle, _) = STEPS
    assert [least_pictures(size) for size in (0, 1, small, small + 1, middle, middle + 1)] == [6, 6, 6, 10, 10, 15]


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(2, 20), min_size=1, max_size=4),
    more=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    steps=st.lists(st.integers(6, 15), min_size=1, max_size=3),
    method=st.sampled_from(["careful", "plain"]),
)
def test_no_number_changes_when_the_library_grows_past_a_step(
    seed: int, sizes: list[int], more: list[int], steps: list[int], method: Method
) -> None:
    vectors, who = people(np.random.default_rng(seed), [*sizes, *more], 0.4)
    known = int((who < len(sizes)).sum())
    everything = table_of(vectors)
    library = Library(
        everything.rows(np.arange(known)), rules=GroupingRules(method=method, min_faces=FEW, min_known=FEW)
    )
    library.group()
    before = dict(library.memberships)
    assert len(set(before.values())) == sum(size >= FEW for size in sizes)
    library.table = everything
    for step in sorted(steps):
        library.rules = replace(library.rules, min_faces=step)
        library.group()
        assert {face: library.memberships.get(face) for face in before} == before
        assert library.plan().is_empty


def test_a_new_person_needs_as_many_as_the_larger_library_asks_for() -> None:
    vectors, who = people(np.random.default_rng(1), [7, 7, 10], 0.4)
    table = table_of(vectors)
    library = Library(table.rows(np.flatnonzero(who == 0)), rules=GroupingRules(min_faces=6, min_known=6))
    library.group()
    library.table, library.rules = table, GroupingRules(min_faces=10, min_known=6)
    library.group()
    assert library.parts() == {frozenset(range(1, 8)), frozenset(range(15, 25))}
    assert library.faces_of(1) == set(range(1, 8))


def test_a_known_person_still_grows_there() -> None:
    vectors, _ = people(np.random.default_rng(1), [9], 0.4)
    library = Library(table_of(vectors[:6]), rules=GroupingRules(min_faces=6, min_known=6))
    library.group()
    library.rules = GroupingRules(min_faces=15, min_known=6)
    library.table, library.fresh = table_of(vectors), frozenset({7, 8, 9})
    library.group()
    assert library.faces_of(1) == set(range(1, 10))


def test_a_number_that_is_set_ends_an_identity_with_fewer() -> None:
    vectors, _ = people(np.random.default_rng(1), [7], 0.4)
    library = Library(table_of(vectors), rules=GroupingRules(min_faces=6, min_known=6))
    library.group()
    library.rules = GroupingRules(min_faces=10)
    library.group()
    assert not library.memberships
