"""The state of a grouping between its steps."""

import numpy as np

from immich_facesets.grouping.identities import UNASSIGNED, Birthdays, Identities, Known
from immich_facesets.grouping.plan import _number
from immich_facesets.grouping.row_constraints import CannotLink
from immich_facesets.grouping.rules import GateCounts
from immich_facesets.grouping.state import GroupingState
from immich_facesets.moderation.constraints import Constraints


def test_final_numbers_replace_provisional_ones_everywhere() -> None:
    identities = Identities([Known(2, "discovered", False, frozenset())], Constraints(), first_new=5)
    smaller, larger = identities.create("asserted"), identities.create("discovered")
    identities.people.attach(("immich", "anna"), smaller)
    identities.people.attach(("immich", "mia"), 2)
    identities.gate_counts = {larger: GateCounts(3, 3, 3, 3)}
    owner = np.array([2, smaller, smaller, larger, larger, larger, UNASSIGNED, UNASSIGNED])
    state = GroupingState(
        owner=owner,
        former=np.full(8, UNASSIGNED),
        how={},
        identities=identities,
        is_active=np.ones(8, np.bool_),
        is_held=np.zeros(8, np.bool_),
        is_waiting=np.zeros(8, np.bool_),
        ambiguous={6: (smaller, larger), 7: (2, smaller)},
    )
    birthdays = Birthdays()
    birthdays.add(smaller, 1000.0)
    cannot_link = CannotLink({7: frozenset({larger})}, np.zeros(8), birthdays)
    new = _number(state, cannot_link)
    assert birthdays.known() == [(6, 1000.0)]
    assert cannot_link.by_row == {7: frozenset({5})}
    assert [(one.number, one.origin, one.people) for one in new] == [
        (5, "discovered", frozenset()),
        (6, "asserted", frozenset({("immich", "anna")})),
    ]
    assert state.owner.tolist() == [2, 6, 6, 5, 5, 5, UNASSIGNED, UNASSIGNED]
    assert state.ambiguous == {6: (6, 5), 7: (2, 6)}
    assert identities.gate_counts == {5: GateCounts(3, 3, 3, 3)}
    assert identities.people.identity_of == {("immich", "anna"): 6, ("immich", "mia"): 2}
