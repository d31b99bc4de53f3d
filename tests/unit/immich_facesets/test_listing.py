"""Listing plans: changes of a page of assets, and assets whose faces must be read again."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import NOON, RULES, WORTH_FETCHING, asset
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.assets import Asset
from immich_facesets.listing import AssetPlan, KnownAsset, ListingRules, is_wanted, next_look, plan_page

MINUTES = (5, 30, 120, 720, 2880, 7200, 14400)


def known_after(plan: AssetPlan) -> KnownAsset:
    """The stored values of an asset after its plan was written."""
    of = plan.asset
    return KnownAsset(
        fingerprint=of.fingerprint,
        updated_at=of.updated_at,
        date_kind=of.date_kind,
        width=of.width,
        height=of.height,
        is_wanted=plan.is_wanted,
        is_gone=False,
        hints_read_at=plan.hints_read_at,
        hints_due_at=plan.hints_due_at,
        hint_looks=plan.hint_looks,
    )


def plan(of: Asset, before: KnownAsset | None = None, now: datetime = NOON) -> AssetPlan:
    (planned,) = plan_page([of], {} if before is None else {of.asset_id: before}, now, RULES)
    return planned


@pytest.mark.parametrize(("of", "wanted"), WORTH_FETCHING)
def test_a_big_face_in_the_original_makes_a_picture_worth_fetching(of: Asset, wanted: bool) -> None:
    assert is_wanted(of, of.hints or (), RULES) is wanted


def test_a_new_asset_with_its_faces_is_taken_at_once() -> None:
    planned = plan(asset())
    assert (planned.is_new, planned.is_changed, planned.is_wanted) == (True, False, True)
    assert planned.hints == asset().hints
    assert (planned.hints_read_at, planned.hint_looks) == (NOON, 1)


def test_a_new_asset_without_its_faces_is_due_for_a_look_at_once() -> None:
    planned = plan(asset(hints=None))
    assert (planned.is_new, planned.is_wanted, planned.hints) == (True, False, None)
    assert (planned.hints_read_at, planned.hints_due_at, planned.hint_looks) == (None, NOON, 0)


def test_a_known_asset_without_its_faces_keeps_what_is_known_of_them() -> None:
    before = known_after(plan(asset()))
    later = NOON + timedelta(days=1)
    planned = plan(asset(hints=None), before, later)
    assert (planned.is_new, planned.is_changed, planned.hints) == (False, False, None)
    assert known_after(planned) == before


@pytest.mark.parametrize(
    "changes",
    [{"updated_at": NOON}, {"checksum": "9" * 40}, {"width": 2000}, {"height": None}],
    ids=["touched", "other bytes", "other size", "size unknown"],
)
def test_a_changed_asset_is_due_for_a_look_and_stays_wanted_until_then(changes: dict[str, Any]) -> None:
    before = known_after(plan(asset()))
    planned = plan(asset(hints=None, **changes), before, NOON + timedelta(hours=1))
    assert (planned.is_new, planned.is_changed, planned.is_wanted) == (False, True, True)
    assert (planned.hints_due_at, planned.hint_looks) == (NOON + timedelta(hours=1), 0)


def test_an_asset_that_was_gone_comes_back_as_new() -> None:
    before = replace(known_after(plan(asset())), is_gone=True)
    planned = plan(asset(hints=None), before)
    assert (planned.is_new, planned.is_wanted) == (True, False), "its hints were dropped with it"
    assert (planned.hints_read_at, planned.hints_due_at) == (None, NOON)
    assert plan(asset(), before).hint_looks == 1


def test_an_asset_whose_first_look_never_happened_stays_due() -> None:
    before = known_after(plan(asset(hints=None)))
    later = NOON + timedelta(days=3)
    assert plan(asset(hints=None), before, later).hints_due_at == later


def test_faces_that_come_along_move_the_schedule_only_when_a_look_is_due() -> None:
    young = asset(created_at=NOON, updated_at=NOON)
    first = known_after(plan(young))
    assert first.hints_due_at == NOON + timedelta(minutes=5)
    early = plan(young, first, NOON + timedelta(minutes=4))
    assert (early.hint_looks, early.hints_due_at) == (1, first.hints_due_at)
    due = plan(young, first, NOON + timedelta(minutes=5))
    assert (due.hint_looks, due.hints_due_at) == (2, NOON + timedelta(minutes=35))
    assert due.hints_read_at == NOON + timedelta(minutes=5)


def test_faces_that_vanish_make_a_picture_unwanted() -> None:
    before = known_after(plan(asset()))
    assert not plan(asset(hints=()), before).is_wanted
    assert plan(asset(hints=()), before).hints == ()


def test_a_young_asset_is_looked_at_again_after_growing_pauses() -> None:
    created = NOON
    for looks, minutes in enumerate(MINUTES, start=1):
        due = next_look("a1", created, looks, NOON, RULES)
        assert due == NOON + timedelta(minutes=minutes)
    beyond = next_look("a1", created, len(MINUTES) + 1, NOON, RULES)
    assert beyond is not None
    assert timedelta(days=15) <= beyond - NOON <= timedelta(days=45)


def test_an_old_asset_is_looked_at_again_about_once_a_month() -> None:
    due = next_look("a1", NOON - timedelta(days=14), 1, NOON, RULES)
    assert due is not None
    assert timedelta(days=15) <= due - NOON <= timedelta(days=45)


def test_second_looks_are_spread_evenly_so_that_no_sync_has_them_all() -> None:
    old = NOON - timedelta(days=400)
    days = [0] * 31
    for number in range(3000):
        due = next_look(f"asset-{number}", old, 1, NOON, RULES)
        assert due is not None
        days[(due - NOON).days - 15] += 1
    assert max(days) < 2 * 3000 / 30


@given(
    looks=st.integers(0, 40),
    age=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9000)),
    asset_id=st.text(max_size=40),
)
def test_the_next_look_always_comes_and_is_always_the_same(looks: int, age: timedelta, asset_id: str) -> None:
    due = next_look(asset_id, NOON - age, looks, NOON, RULES)
    assert due is not None
    assert NOON < due <= NOON + 1.5 * RULES.second_look
    assert due == next_look(asset_id, NOON - age, looks, NOON, RULES)


@given(with_hints=st.booleans(), days=st.integers(0, 400), gone=st.booleans())
def test_a_page_that_says_nothing_new_changes_nothing(with_hints: bool, days: int, gone: bool) -> None:
    of = asset(created_at=NOON - timedelta(days=days))
    first = known_after(plan(of))
    seen = replace(first, is_gone=gone)
    again = plan(of if with_hints else replace(of, hints=None), seen)
    assert again.is_new is gone
    assert not again.is_changed
    if not gone:
        assert known_after(again) == first


def test_the_rules_can_be_stricter() -> None:
    (planned,) = plan_page([asset()], {}, NOON, ListingRules(min_face_short=201))
    assert not planned.is_wanted
