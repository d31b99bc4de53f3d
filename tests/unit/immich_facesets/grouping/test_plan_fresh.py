"""Incremental grouping: members keep their number for any new faces, order and scope."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import Library, people, table_of

from immich_facesets.grouping.plan import GroupingRules, Method


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[np.random.Generator, list[int], float, int]:
    """A seed, the faces of each person, the spread within a person, and the number of syncs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    return rng, sizes, draw(st.sampled_from([0.4, 0.8, 1.0])), draw(st.integers(2, 5))


@settings(max_examples=25)
@given(arriving=arrivals(), method=st.sampled_from(["careful", "plain"]))
def test_numbers_and_members_of_previous_syncs_never_change(
    *, arriving: tuple[np.random.Generator, list[int], float, int], method: Method
) -> None:
    rng, sizes, spread, syncs = arriving
    vectors, who = people(rng, sizes, spread)
    pictures = rng.integers(0, len(vectors), len(vectors))  # some hold several faces
    everybody = table_of(vectors, pictures=pictures, blur=rng.uniform(20, 200, len(vectors)).astype(np.float32))
    library = Library(everybody.rows(np.arange(0)), rules=GroupingRules(method=method, min_faces=3))
    order = rng.permutation(len(who))
    for number, batch in enumerate(np.array_split(order, syncs), start=1):
        seen = order[: len(order) * number // syncs]
        library.table = everybody.rows(np.union1d(seen, batch))
        library.fresh = frozenset(everybody.face_ids[batch].tolist()) if number > 1 else None
        members, known = dict(library.memberships), set(library.known)
        plan = library.group()
        assert plan.leaves == ()
        assert members.items() <= library.memberships.items(), "no face changes its identity"
        assert min((new.number for new in plan.new), default=max(known, default=0) + 1) > max(known, default=0)
        assert known <= library.known.keys()
        sizes_of_new = [len(library.faces_of(new.number)) for new in plan.new]
        assert sizes_of_new == sorted(sizes_of_new, reverse=True)
