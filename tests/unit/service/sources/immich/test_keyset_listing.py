"""Keyset listing: every asset once, for any behaviour of pages."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from immich_scene import NOON, VERSIONS, add_face, add_picture, listed, pages_of, scene

from immich_facesets.errors import SetupError, TransientError
from service.demo.immich import FakeAsset, FakeImmich
from service.remote.guard import CircuitOpenError


def fill(immich: FakeImmich, instants: Iterable[float]) -> set[str]:
    return {add_picture(immich, f"{n}.jpg", seconds=seconds).asset_id for n, seconds in enumerate(instants)}


def searches(immich: FakeImmich) -> int:
    return immich.requests.count("search")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_keyset_sweep_sees_every_picture_once(version: str) -> None:
    async with scene(version, page_limit=10) as (immich, _, source):
        ids = fill(immich, (n * 60 for n in range(95)))
        assets = await listed(source)
    assert {asset.asset_id for asset in assets.values()} == ids


@pytest.mark.parametrize("version", VERSIONS)
async def test_pictures_that_share_an_instant_across_a_page_edge_are_all_seen(version: str) -> None:
    """By page number, 2.7 would lose some of these and list others twice."""
    async with scene(version, page_limit=10) as (immich, _, source):
        ids = fill(immich, (n // 4 * 60 for n in range(97)))
        assets = await listed(source)
    assert {asset.asset_id for asset in assets.values()} == ids


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tied", [10, 11, 37, 60])
async def test_more_pictures_in_one_instant_than_a_page_holds_are_all_seen(version: str, tied: int) -> None:
    async with scene(version, page_limit=10) as (immich, _, source):
        ids = fill(immich, [100, 100.001, 200, *[50] * tied, 49.999, 49.9985, 49.998, 10, 10, 9])
        pages = await pages_of(source)
    assert not [page.bad_spots for page in pages if page.bad_spots]
    assert {asset.asset_id for page in pages for asset in page.assets} == ids


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("step", [0.00023, 0.00035, 0.0007])
async def test_times_finer_than_a_millisecond_lose_nothing(version: str, step: float) -> None:
    """The database stores microseconds, the answers hold only milliseconds."""
    async with scene(version, page_limit=10) as (immich, _, source):
        ids = fill(immich, (n * step for n in range(80)))
        assets = await listed(source)
    assert {asset.asset_id for asset in assets.values()} == ids


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_newest_come_first(version: str) -> None:
    async with scene(version, page_limit=10) as (immich, _, source):
        fill(immich, (n * 60 for n in range(35)))
        moments = [asset.taken_at for page in await pages_of(source) for asset in page.assets]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize("version", VERSIONS)
async def test_pictures_from_before_1970_and_from_the_far_future_are_listed(version: str) -> None:
    async with scene(version, page_limit=2) as (immich, _, source):
        for year in (1, 1839, 1969, 2024, 9999):
            moment = datetime(year, 1, 1, tzinfo=UTC)
            add_picture(immich, f"{year}.jpg", seconds=(moment - NOON).total_seconds())
        assert set(await listed(source)) == {"1.jpg", "1839.jpg", "1969.jpg", "2024.jpg", "9999.jpg"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_only_what_changed_is_listed_when_asked_for_changes(version: str) -> None:
    async with scene(version) as (immich, _, source):
        fill(immich, range(5))
        changed = add_picture(immich, "changed.jpg", updated_at=datetime(2050, 1, 1, tzinfo=UTC))
        assets = await listed(source, updated_after=datetime(2049, 1, 1, tzinfo=UTC))
    assert [asset.asset_id for asset in assets.values()] == [changed.asset_id]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_large_library_costs_few_questions(version: str) -> None:
    async with scene(version) as (immich, _, source):
        fill(immich, (n // 2 for n in range(2500)))
        await source.open()
        immich.requests.clear()
        assert len(await listed(source)) == 2500
    # three pages of 1000, and one request for each other kind of picture, and for each kind of videos
    assert searches(immich) <= {"2.7.5": 10, "3.1.0": 10, "3.3.5": 6}[version]


def breaks_on(culprit: FakeAsset) -> Any:
    """A server that fails on every page holding this picture, as on a row it cannot turn into JSON."""

    def strikes(query: str, body: object) -> bool:
        del query
        assert isinstance(body, dict)
        wanted = body.get("filter", body)
        if wanted.get("isOffline"):
            return False
        taken = wanted.get("takenAt", {})
        low = taken.get("gte") or body.get("takenAfter") or "0001-01-01T00:00:00Z"
        high = taken.get("lte") or body.get("takenBefore") or "9999-12-31T00:00:00Z"
        visible = body.get("visibility", "timeline") == "timeline"
        return visible and datetime.fromisoformat(low) <= culprit.taken_at <= datetime.fromisoformat(high)

    return strikes


@pytest.mark.parametrize("version", ["2.7.5", "3.1.0"])
async def test_one_row_that_breaks_the_server_hides_only_its_own_instant(version: str) -> None:
    async with scene(version, page_limit=10) as (immich, _, source):
        fill(immich, (n * 3600 for n in range(30)))
        culprit = add_picture(immich, "culprit.jpg", seconds=12 * 3600 + 1800)
        immich.faults.add("search", "status", status=500, when=breaks_on(culprit))
        pages = await pages_of(source)
    names = {asset.file_name for page in pages for asset in page.assets}
    assert names == {f"{n}.jpg" for n in range(30)}
    spots = [spot for page in pages for spot in page.bad_spots]
    assert 1 <= len(spots) <= 2
    assert all("2024-05-06T00:30:00" in spot or "2024-05-06T00:29:59.999" in spot for spot in spots)


async def test_a_bad_spot_on_3_2_is_passed_and_no_picture_is_called_faceless() -> None:
    async with scene("3.3.5", page_limit=10) as (immich, _, source):
        fill(immich, (n * 3600 for n in range(30)))
        culprit = add_picture(immich, "culprit.jpg", seconds=12 * 3600 + 1800)
        add_face(immich, culprit)
        immich.faults.add("search", "status", status=500, when=breaks_on(culprit))
        pages = await pages_of(source)
    assets = [asset for page in pages for asset in page.assets]
    assert len(assets) == 30
    assert {asset.hints for asset in assets} == {None}
    assert any(page.bad_spots for page in pages)


async def test_a_page_that_fails_once_or_twice_is_simply_asked_again() -> None:
    async with scene("3.1.0", page_limit=10) as (immich, _, source):
        ids = fill(immich, (n * 60 for n in range(40)))
        immich.faults.add("search", "status", status=500, times=2, after=2)
        pages = await pages_of(source)
    assert {asset.asset_id for page in pages for asset in page.assets} == ids
    assert not any(page.bad_spots for page in pages)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_search_that_never_works_is_an_outage_and_not_a_thousand_bad_spots(version: str) -> None:
    async with scene(version) as (immich, _, source):
        fill(immich, range(5))
        await source.open()
        immich.requests.clear()
        immich.faults.add("search", "status", status=500)
        with pytest.raises(TransientError, match="cannot search at all"):
            await pages_of(source)
    assert searches(immich) < 20


async def test_a_library_that_changes_meanwhile_is_still_listed_whole() -> None:
    """Pages by number would shift: each new picture would move one to the next page."""
    async with scene("3.1.0", page_limit=10) as (immich, _, source):
        ids = fill(immich, (n * 60 for n in range(50)))
        found: list[str] = []
        async for page in source.listing():
            found += [asset.asset_id for asset in page.assets]
            add_picture(immich, f"new{len(found)}.jpg", seconds=10_000 + len(found))
    assert ids <= set(found)
    assert len(found) == len(set(found))


async def test_a_server_that_ignores_the_window_is_a_setup_error() -> None:
    """A server with another API than that of its version: its listings cannot be trusted."""
    async with scene("3.1.0", page_limit=10) as (immich, _, source):
        fill(immich, (n * 60 for n in range(40)))
        await source.open()
        question = immich.faults.add("search", "status", status=418, when=drop_the_window)
        with pytest.raises(SetupError, match="ignored a condition of the search"):
            await pages_of(source)
        assert question.struck == 0


def drop_the_window(query: str, body: object) -> bool:
    del query
    assert isinstance(body, dict)
    body.pop("takenBefore", None)
    return False


async def test_a_server_that_dies_while_listing_opens_the_circuit() -> None:
    async with scene("3.1.0", page_limit=10) as (immich, _, source):
        fill(immich, (n * 60 for n in range(100)))
        await source.open()
        immich.die_after(3)
        with pytest.raises(CircuitOpenError, match=r"Immich at 127\.0\.0\.1:\d+ is down since .* nobody answers"):
            await pages_of(source)
        assert source.guard.state.circuit == "open"


async def test_ties_of_changes_are_walked_with_the_other_conditions_kept() -> None:
    async with scene("2.7.5", page_limit=5) as (immich, _, source):
        later = datetime(2050, 1, 1, tzinfo=UTC)
        fill(immich, [50] * 12)
        changed = {add_picture(immich, f"c{n}.jpg", seconds=50, updated_at=later).asset_id for n in range(17)}
        assets = await listed(source, updated_after=later - timedelta(days=1))
    assert {asset.asset_id for asset in assets.values()} == changed
