"""
The end of an oscillation: people join and part for ever where placing others undoes what their own faces show.

A person leaves an identity whose other faces are more, and far. The placing of the others may then bring both identities
so near that they are one person, which attracts the faces that part them again. Where a turn begins as an earlier one
did, all turns between them would come again. From the first of these, in an order by content, nobody leaves an identity.
So the end is the same from wherever in the oscillation a grouping begins.
"""

import numpy as np

from immich_facesets.assets import PersonKey
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.state import GroupingState

_Beginning = tuple[bytes, bytes, tuple[tuple[PersonKey, int], ...]]


class Oscillation:
    """The beginnings of the turns of one grouping."""

    def __init__(self) -> None:
        self._seen: list[_Beginning] = []
        self._first: _Beginning | None = None

    def begin_turn(self, state: GroupingState) -> None:
        """Set ``state.keeps_attached`` from the turn on in which the oscillation is to end."""
        if state.keeps_attached or not state.identities.people.identity_of:
            return
        beginning = _beginning(state)
        if self._first is None and beginning in self._seen[:-1]:
            self._first = min(self._seen[self._seen.index(beginning) :])
        self._seen.append(beginning)
        state.keeps_attached = beginning == self._first


def _beginning(state: GroupingState) -> _Beginning:
    """Return the owner of each row, and who is held and attached; new identities are in the order of their rows."""
    first_new = state.identities.first_new
    numbers, rows = np.unique(state.owner, return_index=True)
    new = numbers[np.argsort(rows)]
    new = new[(new >= first_new) & (new != UNASSIGNED)]
    label = dict(zip(new.tolist(), range(first_new, first_new + len(new)), strict=True))
    people = sorted(state.identities.people.identity_of.items())
    for _, number in people:  # of identities without a row
        if number >= first_new:
            label.setdefault(number, first_new + len(label))
    owners = state.owner.copy()
    for number, shown in label.items():
        owners[state.owner == number] = shown
    held = state.is_held.tobytes()
    return owners.tobytes(), held, tuple((person, label.get(number, number)) for person, number in people)
