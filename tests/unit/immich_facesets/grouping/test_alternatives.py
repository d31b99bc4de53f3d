"""Alternative identities of a face: the nearest gets it unless a moderator decided, and the others stay visible."""

import numpy as np
from mixtures import Library, people, table_of, unit

from immich_facesets.grouping.alternatives import alternatives
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints

RULES = GroupingRules(method="plain", min_faces=3)
POINTS = OperatingPoints()


def crowd() -> tuple[Library, int]:
    """Two similar people, a third, and a face between the first two, a little nearer to the first; returns its id."""
    rng = np.random.default_rng(4)
    vectors, _ = people(rng, [8, 8, 8], 0.5)
    first, second = (unit(vectors[rows].mean(axis=0)[None])[0] for rows in (slice(0, 8), slice(8, 16)))
    between = unit((1.05 * first + second)[None])
    table = table_of(np.concatenate([vectors, between]))
    return Library(table, rules=RULES), 25


def test_every_identity_within_reach_of_a_face_is_told_nearest_first() -> None:
    library, face = crowd()
    library.group()
    mine = library.memberships[face]
    assert mine == library.memberships[1]
    told = alternatives(library.table, library.memberships, mine, POINTS, RULES)
    assert [one.identity for one in told[face]] == [library.memberships[9]]
    vectors = library.table.vectors
    centre = unit(vectors[8:16].mean(axis=0)[None])[0]
    assert abs(told[face][0].distance - (1 - float(vectors[24] @ centre))) < 1e-3
    assert told.keys() == {face}, "a face near to no other identity has no candidates"
    assert alternatives(library.table, library.memberships, library.memberships[17], POINTS, RULES) == {}


def test_a_decision_outweighs_the_nearest_and_the_nearest_stays_a_candidate() -> None:
    library, face = crowd()
    library.group()
    nearest, other = library.memberships[1], library.memberships[9]
    library.constraints = Constraints(must={face: other})
    library.group()
    assert library.memberships[face] == other
    told = alternatives(library.table, library.memberships, other, POINTS, RULES)
    assert [one.identity for one in told[face]] == [nearest]


def test_there_are_no_alternatives_without_identities() -> None:
    nobody = table_of(np.empty((0, 64), np.float32))
    assert alternatives(nobody, {}, 1, POINTS, RULES) == {}
