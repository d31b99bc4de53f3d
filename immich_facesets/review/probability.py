"""
The probabilities of the questions. The odds were fitted by ``tests/bench/bench_review.py``, which prints how they hold.

The probability that a member is wrong is that of its confidence, which grouping has.
"""

import math

AT_NO_REACH, PER_REACH = -4.0, 40.0
"""The log odds that two identities are one person at a reach of 0, and their growth per unit (``grouping.suggestions``)."""

PER_EXCESS = 9.0
"""How much the log odds fall per unit of the excess of the same years, as a share of the cluster cut."""

OVERLAPPING = 0.5
"""
The probability that two identities are one person of which many faces fit the other as well.

Of 16 such pairs 6 were; in the others one identity had got most faces of the other's person.
"""

PARTS_AT_NO_REACH, PARTS_PER_REACH = 3.5, -57.0
"""
The log odds that each part of a proposed split is another person, and their growth per unit of reach.

The reach is that of the largest part and of the part nearest to it.
"""

ONE_OF_TWO = 0.9
"""The probability that a face between two identities, which grouping left out, is one of theirs. Unmeasured."""

TWICE = 0.8
"""The probability that a second face of a picture, as near as a member, is the person, or the member is not. Unmeasured."""

CONTRADICTED = 0.98
"""The probability that something is wrong where two facts contradict each other. Unmeasured; the date may be wrong."""

NEARLY = 0.9
"""The probability that a group of faces that is nearly a person shows one person alone."""


def one_person(reach: float, excess: float, cut: float) -> float:
    """Return the probability that two identities are one person; ``excess`` NaN: too few faces of the same years."""
    return _probability(AT_NO_REACH + PER_REACH * reach - (0.0 if math.isnan(excess) else PER_EXCESS * excess / cut))


def other_people(reach: float) -> float:
    """Return the probability that each part of a proposed split is another person."""
    return _probability(PARTS_AT_NO_REACH + PARTS_PER_REACH * reach)


def _probability(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(odds, -30.0), 30.0)))
