"""The numbers that faces bring back: an identity that is found again has the number that it had before."""

import numpy as np

from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.state import GroupingState


def former_number(problem: GroupingProblem, state: GroupingState, rows: Rows) -> int | None:
    """
    Return the number that faces which found an identity bring back; None if they bring none.

    They must be most of the number's faces, or those must be most of them. No identity may have it now.
    """
    numbers, counts = np.unique(state.former[rows], return_counts=True)
    for place in np.lexsort((numbers, -counts)):
        number, count = int(numbers[place]), int(counts[place])
        if number == UNASSIGNED or not state.identities.may_return(number) or not problem.constraints.is_free(number):
            continue
        is_most = 2 * count > len(rows) or 2 * count > np.count_nonzero(state.former == number)
        if is_most and not (state.owner == number).any():
            return number
    return None
