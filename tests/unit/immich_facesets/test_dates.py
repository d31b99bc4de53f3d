"""Dates as days since 1970."""

import math
from datetime import UTC, date, datetime

import pytest

from immich_facesets.dates import (
    EVIDENCE,
    DateKind,
    StatedDate,
    best_date,
    date_of,
    day_of,
    day_of_instant,
    judged,
    read_date,
    span_of,
)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1970-01-02", 1.0),
        ("1969-12-31", -1.0),
        ("2020-02-29T23:59:59.000Z", 18321.0),
        ("2021-02-29", None),
        ("2020", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_whole_iso_date_is_a_day(text: str | None, day: float | None) -> None:
    assert day_of(text) == day
    assert read_date(text) == (None if day is None else date_of(day))


def test_an_instant_keeps_its_part_of_the_day() -> None:
    assert day_of_instant(datetime(1970, 1, 2, 12, tzinfo=UTC)) == 1.5
    assert day_of_instant(None) is None


@pytest.mark.parametrize("day", [date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29)])
def test_a_day_is_the_same_date_again(day: date) -> None:
    number = day_of(day.isoformat())
    assert number is not None
    assert date_of(number) == day


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(1825, 12, 31), DateKind.IMPOSSIBLE),
        (date(1826, 1, 1), DateKind.CAMERA),
        (date(2026, 5, 2), DateKind.CAMERA),  # local dates are ahead of UTC
        (date(2026, 5, 3), DateKind.IMPOSSIBLE),
        (date(2050, 1, 1), DateKind.IMPOSSIBLE),
    ],
)
def test_a_date_in_the_future_or_before_photography_is_impossible(day: date, expected: DateKind) -> None:
    assert judged(DateKind.CAMERA, day, date(2026, 5, 1)) is expected


def test_the_date_that_is_worth_most_counts_and_of_equal_ones_the_first() -> None:
    def stated(year: int, kind: DateKind) -> StatedDate:
        return StatedDate(datetime(year, 1, 1, tzinfo=UTC), kind)

    future = stated(2050, DateKind.CAMERA)
    given = [future, stated(2026, DateKind.FILE), stated(1995, DateKind.METADATA), stated(1996, DateKind.METADATA)]
    assert best_date(given, date(2026, 5, 1)) == given[2]
    assert best_date(given[:2], date(2026, 5, 1)) == given[1]
    assert best_date([future], date(2026, 5, 1)) == StatedDate(future.moment, DateKind.IMPOSSIBLE)
    assert best_date([], date(2026, 5, 1)) is None


def test_only_the_dates_of_cameras_and_metadata_are_evidence() -> None:
    assert [kind.value for kind in EVIDENCE] == ["camera", "metadata"]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("2020-05-01", 86400.0),
        ("2020-05-01T10:20:30", 0.0),
        ("2020-05-01T10:20:30+02:00", 0.0),
        ("2020-05-01 later", 86400.0),
    ],
)
def test_a_date_spans_its_day_and_a_time_only_itself(text: str, length: float) -> None:
    first, last = span_of(text)
    day = span_of("2020-05-01")
    assert last - first == length
    assert day[0] <= first <= last <= day[1]


@pytest.mark.parametrize("text", [None, "", "soon", "2020-13-01"])
def test_no_date_spans_all_time(text: str | None) -> None:
    assert span_of(text) == (-math.inf, math.inf)
