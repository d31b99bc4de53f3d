"""A library that arrives in many syncs, in shuffled order, grouped after each as the service does."""

from dataclasses import dataclass

import numpy as np
from mixtures import Library

from immich_facesets.grouping.plan import FaceTable, GroupingRules
from immich_facesets.spaces import OperatingPoints
from service.passes.group_inputs.scope import MOST_FRESH

LEAST = 0.995
"""The least pairwise F of the result of many syncs to that of one."""

WHOLE_EVERY = 24
"""Hourly syncs look at all faces once a day."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """
    The library at the end. ``moved``: faces that went from one identity to another which both existed before;
    ``released``: faces that left an identity.
    """

    library: Library
    moved: int
    released: int


def arrive(table: FaceTable, rules: GroupingRules, points: OperatingPoints, *, syncs: int, seed: int) -> Arrival:
    """Group the faces of ``table`` in so many syncs of equal size; the last looks at all."""
    order = np.random.default_rng(seed).permutation(len(table))
    library = Library(table.rows(order[:0]), rules=rules, points=points)
    moved = released = since = 0
    for number in range(1, syncs + 1):
        seen, before = order[: len(order) * number // syncs], dict(library.memberships)
        batch = seen[len(order) * (number - 1) // syncs :]
        since += 1
        is_whole = len(batch) > MOST_FRESH * len(seen) or since >= WHOLE_EVERY or number == syncs
        since = 0 if is_whole else since
        library.table = table.rows(np.sort(seen))
        library.fresh = None if is_whole else frozenset(table.face_ids[batch].tolist())
        released += len(library.group().leaves)
        moved += sum(library.memberships.get(face, one) != one for face, one in before.items())
    return Arrival(library, moved, released)
