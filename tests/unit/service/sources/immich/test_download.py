"""Downloads from Immich: complete and verified on disk, or absent."""

import asyncio
import errno
import hashlib
import os
import resource
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from immich_scene import NOON, PIXELS, VERSIONS, add_picture, listed, scene, source_of

from immich_facesets.assets import Asset, Rendition
from immich_facesets.dates import DateKind
from immich_facesets.errors import ItemError, SetupError, TransientError
from service.demo.immich import FakeAsset, FakeImmich
from service.remote.guard import CircuitOpenError
from service.sources.immich import ImmichSource
from service.sources.immich.download import stage
from service.sources.partial_files import BLOCK_BYTES, PartialFile

EXTERNAL = "00000000-0000-4000-8000-000000000001"


async def asset_of(source: ImmichSource, picture: FakeAsset) -> Asset:
    asset = await source.find(picture.asset_id)
    assert asset is not None
    return asset


def an_asset() -> Asset:
    return Asset(
        source="anna",
        asset_id="a",
        checksum=None,
        path="/a.jpg",
        file_name="a.jpg",
        mime_type="image/jpeg",
        taken_at=NOON,
        local_date="2024-05-05",
        date_kind=DateKind.METADATA,
        created_at=NOON,
        updated_at=NOON,
        width=None,
        height=None,
        visibility="timeline",
        is_external=False,
        is_edited=False,
        is_offline=False,
        rendition=Rendition.ORIGINAL,
    )


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


async def refusal(source: ImmichSource, asset: Asset, folder: Path) -> ItemError:
    """Return the item error of a fetch; no file may be left behind."""
    with pytest.raises(ItemError) as caught:
        await source.fetch(asset, folder)
    assert files_in(folder) == []
    return caught.value


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_picture_arrives_whole_with_both_digests(version: str, tmp_path: Path) -> None:
    data = PIXELS + os.urandom(2 * BLOCK_BYTES + 12345)
    async with scene(version) as (immich, _, source):
        asset = await asset_of(source, add_picture(immich, "../../etc/passwd.jpg", data=data))
        staged = await source.fetch(asset, tmp_path / "staging")
    assert staged.path.read_bytes() == data
    assert staged.path.parent == tmp_path / "staging"
    assert staged.size_bytes == len(data)
    assert staged.sha1 == hashlib.sha1(data, usedforsecurity=False).hexdigest() == asset.checksum
    assert staged.sha256 == hashlib.sha256(data).hexdigest()
    assert files_in(tmp_path / "staging") == [staged.path]


async def test_file_names_owe_nothing_to_the_remote(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        picture = add_picture(immich, "name.of.mine.jpg")
        asset = await asset_of(source, picture)
        first, second = await source.fetch(asset, tmp_path), await source.fetch(asset, tmp_path)
    assert first.path != second.path
    for staged in (first, second):
        assert "mine" not in staged.path.name
        assert picture.asset_id.replace("-", "") not in staged.path.name


async def test_an_edited_picture_is_fetched_as_it_was_edited(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        edited = PIXELS + b"cropped"
        asset = await asset_of(source, add_picture(immich, is_edited=True, edited_data=edited))
        staged = await source.fetch(asset, tmp_path)
    assert staged.path.read_bytes() == edited
    assert asset.checksum != staged.sha1


async def test_a_raw_file_is_fetched_as_immichs_full_size_rendition(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        full, preview = PIXELS + b"full", PIXELS + b"preview"
        rich = add_picture(immich, "a.dng", mime_type="image/x-adobe-dng", fullsize_data=full, preview_data=preview)
        poor = add_picture(immich, "b.dng", mime_type="image/x-adobe-dng", preview_data=preview)
        assert (await source.fetch(await asset_of(source, rich), tmp_path)).path.read_bytes() == full
        assert (await source.fetch(await asset_of(source, poor), tmp_path)).path.read_bytes() == preview
        assert immich.requests.count("original") == 0


@pytest.mark.parametrize("kind", ["truncate", "wrong_length", "corrupt", "reset"])
async def test_a_transfer_that_went_wrong_once_is_repeated(kind: Any, tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = await asset_of(source, add_picture(immich, data=PIXELS * 100))
        immich.faults.add("original", kind, times=1)
        staged = await source.fetch(asset, tmp_path)
    assert staged.path.read_bytes() == PIXELS * 100
    assert files_in(tmp_path) == [staged.path]


@pytest.mark.parametrize("kind", ["status", "html"])
async def test_a_busy_server_or_proxy_is_waited_for(kind: Any, tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = await asset_of(source, add_picture(immich))
        immich.faults.add("original", kind, status=503, times=2, retry_after=1)
        assert (await source.fetch(asset, tmp_path)).sha1 == asset.checksum
        assert immich.requests.count("original") == 3


async def test_bytes_that_never_have_the_right_checksum_are_an_item_error(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = await asset_of(source, add_picture(immich))
        immich.faults.add("original", "corrupt")
        assert (await refusal(source, asset, tmp_path)).reason == "checksum_mismatch"
        assert immich.requests.count("original") == 2


async def test_without_a_trusted_checksum_the_bytes_are_taken_as_they_come(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        picture = add_picture(immich, library_id=EXTERNAL, checksum="AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        asset = await asset_of(source, picture)
        assert asset.checksum is None
        assert (await source.fetch(asset, tmp_path)).path.read_bytes() == picture.data


@pytest.mark.parametrize(("kind", "reason"), [("truncate", "truncated"), ("html", "not_a_picture")])
async def test_one_picture_that_never_comes_while_the_server_is_well_is_an_item_error(
    kind: Any, reason: str, tmp_path: Path
) -> None:
    async with scene("3.1.0") as (immich, _, source):
        bad, good = add_picture(immich, "bad.jpg", data=PIXELS * 100), add_picture(immich, "good.jpg")
        immich.faults.add("original", kind, status=200, asset_id=bad.asset_id)
        bad_asset = await asset_of(source, bad)
        for _ in range(5):
            assert (await refusal(source, bad_asset, tmp_path)).reason == reason
        await source.fetch(await asset_of(source, good), tmp_path)
        assert source.guard.state.circuit == "closed"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_missing_file_is_offline(version: str, tmp_path: Path) -> None:
    """2.7 says 500 and labels its JSON image/jpeg, 3.x says 404."""
    async with scene(version) as (immich, _, source):
        asset = await asset_of(source, add_picture(immich, is_offline=True, library_id=EXTERNAL))
        assert (await refusal(source, asset, tmp_path)).reason == "offline"
        assert immich.requests.count("original") == 1
        assert source.guard.state.failures == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_picture_that_is_gone_by_now_is_not_found(version: str, tmp_path: Path) -> None:
    async with scene(version) as (immich, _, source):
        picture = add_picture(immich)
        asset = await asset_of(source, picture)
        immich.delete_asset(picture)
        assert (await refusal(source, asset, tmp_path)).reason == "not_found"


async def test_a_rendition_that_is_not_made_yet_is_not_ready(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        picture = add_picture(immich, "a.nef", mime_type="image/x-nikon-nef", has_preview=False)
        assert (await refusal(source, await asset_of(source, picture), tmp_path)).reason == "not_ready"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"message":"Internal server error"}', "not_a_picture"),
        (b"<!DOCTYPE html><html></html>", "not_a_picture"),
        (b"", "empty"),
    ],
)
async def test_bytes_that_are_no_picture_are_told_by_looking_at_them(data: bytes, reason: str, tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = await asset_of(source, add_picture(immich, data=data, mime_type="image/jpeg"))
        assert (await refusal(source, asset, tmp_path)).reason == reason


async def test_a_message_instead_of_an_external_file_means_it_is_offline(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = await asset_of(source, add_picture(immich, data=b'{"message":"x"}', library_id=EXTERNAL))
        assert (await refusal(source, asset, tmp_path)).reason == "offline"


async def test_a_file_above_the_limit_is_refused_before_it_is_written(tmp_path: Path) -> None:
    async with scene("3.1.0", max_file_bytes=1000) as (immich, _, source):
        asset = await asset_of(source, add_picture(immich, data=PIXELS))
        error = await refusal(source, asset, tmp_path)
    assert error.reason == "too_large"
    assert "FACESETS_MAX_FILE_BYTES" in str(error)


async def test_a_server_that_falls_silent_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with scene("3.1.0", request_timeout=0.2) as (immich, _, source):
        asset = await asset_of(source, add_picture(immich))
        immich.faults.add("original", "hang")
        started = time.monotonic()
        assert (await refusal(source, asset, tmp_path)).reason == "timeout"
        assert time.monotonic() - started < 5


async def test_a_dead_server_ends_every_download_within_bounded_calls(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        assets = [await asset_of(source, add_picture(immich, f"{n}.jpg")) for n in range(8)]
        await immich.refuse()
        before = sum(source.requests.values())
        errors = await asyncio.gather(*(source.fetch(asset, tmp_path) for asset in assets), return_exceptions=True)
    assert {type(error) for error in errors} == {CircuitOpenError}
    assert sum(source.requests.values()) - before <= 24


async def test_a_full_disk_is_a_setup_error_that_says_where(tmp_path: Path) -> None:
    """The limit on file sizes makes the kernel refuse the write, as a full disk does."""
    async with scene("3.1.0") as (immich, _, source):
        asset = await asset_of(source, add_picture(immich, data=PIXELS * 100))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
            with pytest.raises(SetupError, match="the disk is full") as caught:
                await source.fetch(asset, tmp_path / "staging")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path / "staging") in str(caught.value)
    assert files_in(tmp_path / "staging") == []


async def test_a_folder_that_cannot_be_written_is_a_setup_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    async with scene("3.1.0") as (immich, _, source):
        asset = await asset_of(source, add_picture(immich))
        with pytest.raises(SetupError, match="cannot be written"):
            await source.fetch(asset, blocked)


async def test_a_download_that_is_cancelled_leaves_no_file(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, _, source):
        asset = await asset_of(source, add_picture(immich, data=PIXELS * 4000))
        for delay in (0.0, 0.005, 0.01, 0.02, 0.03):
            fetching = asyncio.create_task(source.fetch(asset, tmp_path))
            await asyncio.sleep(delay)
            fetching.cancel()
            try:
                staged = await fetching
            except asyncio.CancelledError:
                pass
            else:
                staged.path.unlink()
        await asyncio.sleep(0.1)
    assert files_in(tmp_path) == []


def test_a_partial_file_discarded_during_a_write_stays_deleted(tmp_path: Path) -> None:
    draft = PartialFile(tmp_path)
    draft.absorb([PIXELS])
    late = threading.Thread(target=draft.finish, args=([PIXELS],))
    draft.discard()
    late.start()
    late.join()
    assert files_in(tmp_path) == []


def test_a_partial_file_of_a_cancelled_caller_is_deleted(tmp_path: Path) -> None:
    draft = PartialFile(tmp_path)
    staged = draft.finish([PIXELS])
    assert staged.path.exists()
    draft.discard()
    assert files_in(tmp_path) == []


def test_a_picture_on_its_way_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        staged = PartialFile(tmp_path / "staging").finish([PIXELS])
    finally:
        os.umask(before)
    assert stat.S_IMODE(staged.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(staged.path.parent.stat().st_mode) == 0o700


def test_a_disk_quota_counts_as_a_full_disk(tmp_path: Path) -> None:
    error = PartialFile(tmp_path)._cannot_write(OSError(errno.EDQUOT, "quota"))
    assert "the disk is full" in str(error)


async def test_writing_and_hashing_never_hold_up_the_event_loop(tmp_path: Path) -> None:
    """Measured in processor time of the loop's own thread, which other programs cannot disturb."""
    block = PIXELS * 30

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield block
            await asyncio.sleep(0)

    spent: list[float] = []
    opened_by: set[int] = set()

    def note_opening(event: str, details: tuple[object, ...]) -> None:
        if event == "open" and str(details[0]).startswith(str(tmp_path)):
            opened_by.add(threading.get_ident())

    async def heartbeat() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            spent.append(now - last)
            last = now

    sys.addaudithook(note_opening)
    beating = asyncio.create_task(heartbeat())
    response = httpx.Response(200, content=blocks())
    staged = await stage(response, tmp_path, an_asset(), max_bytes=2**30)
    beating.cancel()
    assert staged.size_bytes == 1000 * len(block)
    assert sorted(spent)[int(0.99 * len(spent))] < 0.01
    assert opened_by
    assert threading.get_ident() not in opened_by


@pytest.mark.parametrize(("promised", "arrives"), [(len(PIXELS) + 1, False), (len(PIXELS), True), (None, True)])
async def test_fewer_bytes_than_promised_are_no_picture(promised: int | None, arrives: bool, tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield PIXELS

    headers = {} if promised is None else {"content-length": str(promised)}
    response = httpx.Response(200, headers=headers, content=body())
    if arrives:
        assert (await stage(response, tmp_path, an_asset(), max_bytes=2**20)).size_bytes == len(PIXELS)
    else:
        with pytest.raises(TransientError, match=f"after {len(PIXELS)} of {promised} bytes"):
            await stage(response, tmp_path, an_asset(), max_bytes=2**20)
        assert files_in(tmp_path) == []


async def test_a_length_above_the_limit_is_enough_to_refuse(tmp_path: Path) -> None:
    read: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for number in range(10):
            read.append(number)
            yield PIXELS[:100]

    response = httpx.Response(200, headers={"content-length": "1000"}, content=body())
    with pytest.raises(ItemError) as caught:
        await stage(response, tmp_path, an_asset(), max_bytes=999)
    assert caught.value.reason == "too_large"
    assert read == []


async def test_a_body_without_a_length_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield PIXELS

    with pytest.raises(ItemError) as caught:
        await stage(httpx.Response(200, content=endless()), tmp_path, an_asset(), max_bytes=2**22)
    assert caught.value.reason == "too_large"
    assert files_in(tmp_path) == []


async def test_a_lost_download_permission_is_a_setup_error(tmp_path: Path) -> None:
    async with scene("3.1.0") as (immich, anna, source):
        asset = await asset_of(source, add_picture(immich))
        immich.revoke_key(anna.api_key)
        immich.add_key(anna, {"asset.read"}, anna.api_key)
        with pytest.raises(SetupError, match=r"asset\.download"):
            await source.fetch(asset, tmp_path)


async def test_maintenance_during_downloads_is_an_outage(tmp_path: Path) -> None:
    async with FakeImmich("3.1.0") as immich:
        anna = immich.add_user("anna")
        source = source_of(immich, anna)
        asset = await asset_of(source, add_picture(immich))
        immich.maintenance = True
        with pytest.raises(TransientError, match="maintenance mode"):
            await source.fetch(asset, tmp_path)
        await source.close()


async def test_the_same_picture_is_listed_and_fetched_under_one_fingerprint(tmp_path: Path) -> None:
    async with scene("2.7.5") as (immich, _, source):
        picture = add_picture(immich)
        asset = (await listed(source))["a.jpg"]
        assert asset.fingerprint == (await asset_of(source, picture)).fingerprint
        staged = await source.fetch(asset, tmp_path)
    assert asset.fingerprint == f"original:{staged.sha1}"
