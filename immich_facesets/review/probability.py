"""
The probability that two identities that look alike are one person.

The odds were fitted by ``tests/bench/bench_review.py``, which also prints how they hold on other people.
"""

import math

AT_NO_REACH, PER_REACH = -4.0, 40.0
"""The log odds at a reach of 0, and their growth per unit of it (``grouping.suggestions``)."""

PER_EXCESS = 9.0
"""How much the log odds fall per unit of the excess of the same years, as a share of the cluster cut."""


def one_person(reach: float, excess: float, cut: float) -> float:
    """Return the probability that two identities are one person; ``excess`` NaN: too few faces of the same years."""
    odds = AT_NO_REACH + PER_REACH * reach - (0.0 if math.isnan(excess) else PER_EXCESS * excess / cut)
    return 1.0 / (1.0 + math.exp(-min(max(odds, -30.0), 30.0)))


OVERLAPPING = 0.9
"""The probability that two identities are one person of which many faces fit the other as well."""

ONE_OF_TWO = 0.9
"""The probability that a face between two identities, which grouping left out, is one of theirs."""
