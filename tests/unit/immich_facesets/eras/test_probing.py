"""Era probe: its verdict and the reasons for it."""

import numpy as np
import pytest
from era_builders import Period, periods

from immich_facesets.eras import EraRules, Verdict, probe, verdict_of, years_of
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.spaces import OperatingPoints

RULES = EraRules()
YOUNG, OLD, WEDDING = Period(2001, 25), Period(2015, 30), Period(2015, 30, days=1)


@pytest.mark.parametrize(
    ("table", "verdict", "reason"),
    [
        (periods(YOUNG, OLD), Verdict.SORTABLE, "2 groups that look alike, 2001 to 2015"),
        (periods(WEDDING, Period(2001, 30, days=1)), Verdict.SORTABLE, "2 groups"),
        (periods(Period(2001, 24), Period(2015, 30, days=0)), Verdict.FEW_DATED, "24 of 54 faces are dated"),
        (periods(YOUNG, Period(2015, 30, days=0)), Verdict.ONE_PERIOD, "most faces are of 2001"),
        (
            periods(Period(2003, 22), Period(2010, 15), Period(2011, 14), step=1.2),
            Verdict.SORTABLE,
            "3 groups that look alike, 2003 to 2011",
        ),
        (periods(YOUNG, Period(2015, 15, days=1)), Verdict.ONE_PERIOD, "most faces are of 2001"),
        (periods(YOUNG, Period(2015, 4)), Verdict.ONE_PERIOD, "most faces are of 2001"),
        (
            periods(*[Period(2000 + year, 9) for year in range(6)], step=1.2),
            Verdict.NO_ANCHOR,
            "the largest group has 9",
        ),
        (periods(YOUNG, WEDDING), Verdict.ONE_EVENT, "another time is one event"),
        (periods(Period(2001, 50, days=1)), Verdict.ONE_EVENT, "all dated faces are of one day"),
        (periods(YOUNG, Period(2006, 30)), Verdict.ONE_PERIOD, "most faces are of 2001, 2006"),
        (periods(), Verdict.FEW_DATED, "0 of 0"),
    ],
)
def test_the_verdict_gives_its_reason(table: FaceTable, verdict: Verdict, reason: str) -> None:
    found = probe(table.vectors, [year or None for year in years_of(table.taken).tolist()], RULES, taken=table.taken)
    assert found.verdict is verdict
    assert reason in found.reason
    assert found.is_sortable == (verdict is Verdict.SORTABLE)
    assert verdict_of(table, RULES) == (found.verdict, found.reason)


def test_pairs_of_one_group_are_nearer_than_pairs_of_two() -> None:
    table = periods(YOUNG, OLD)
    found = probe(table.vectors, years_of(table.taken).tolist(), RULES)
    assert sum(found.within) == 25 * 24 // 2 + 30 * 29 // 2
    assert sum(found.histogram) == 55 * 54 // 2
    between = np.array(found.histogram) - np.array(found.within)
    assert (between >= 0).all()
    middle = np.arange(20)
    assert np.average(middle, weights=found.within) < np.average(middle, weights=between)


def test_the_cuts_follow_the_space() -> None:
    table = periods(YOUNG)
    found = probe(table.vectors, years_of(table.taken).tolist(), EraRules.scaled(OperatingPoints(cluster=0.66)))
    assert [cut for cut, _ in found.parts] == pytest.approx([0.36, 0.42, 0.48, 0.54, 0.60])
