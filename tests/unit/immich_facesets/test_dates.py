"""Dates as days since 1970."""

from datetime import UTC, date, datetime

import pytest

from immich_facesets.dates import date_of, day_of, day_of_instant, read_date


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
