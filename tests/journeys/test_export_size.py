"""Another size or padding of exported crops: made of the stored crops, and fetched again only where these lack pixels."""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from journey import Journey, Unkilled, ended
from sync_result import SyncResult

pytestmark = pytest.mark.timeout(600)

SMALLER = {"FACESETS_CROP_SIZE": "96", "FACESETS_CROP_PADDING": "0.3"}
LARGER = {"FACESETS_CROP_SIZE": "150"}
"""The drawn faces have crops of 150 to 200 pixels; most are stored at 128."""


async def synced(journey: Journey, settings: Mapping[str, str]) -> SyncResult:
    service = await journey.sync(settings=settings)
    assert service.code == 0, service.stderr[-3000:]
    return journey.result()


async def told_again(journey: Journey, settings: Mapping[str, str]) -> list[str]:
    """The sentences of the status about pictures that a sync with these settings fetches again."""
    status = journey.start("status", "--json", settings=settings)
    await ended(status)
    assert status.code == 0, status.stderr[-3000:]
    return [sentence for sentence in json.loads(status.stdout)["guardrails"] if "fetches" in sentence]


def sizes(exports: Path) -> set[tuple[int, int]]:
    """The width and height of every exported face (PNG specification, 11.2.2)."""
    return {struct.unpack(">II", path.read_bytes()[16:24]) for path in exports.rglob("faces/*.png")}


def faces_in(exports: Path) -> set[str]:
    """The faces in all face sets, as their manifests name them."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in exports.glob("faceset_*/manifest.json")]
    return {f"{face['sha256']} {face['box']}" for manifest in found for face in manifest["faces"] if face["file"]}


@pytest.mark.slow
async def test_smaller_crops_with_less_around_them_are_made_of_stored_ones(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.begin_from(unkilled.synced)
    exports = journey.data / "exports"
    before, shown = journey.result(), faces_in(exports)
    assert sizes(exports) == {(128, 128)}
    smaller = await synced(journey, SMALLER)
    assert sizes(exports) == {(96, 96)}
    assert faces_in(exports) == shown
    assert smaller.crops == before.crops
    again = await synced(journey, {})
    assert again.files == before.files, "the former settings give the former bytes"
    assert replace(again, ledger=before.ledger).differences(before) == []
    assert journey.fetched() == []


@pytest.mark.slow
async def test_larger_crops_are_fetched_once_where_the_stored_ones_were_reduced(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.begin_from(unkilled.synced)
    assert await told_again(journey, {}) == []
    (told,) = await told_again(journey, LARGER)
    assert journey.fetched() == [], "the cost is told before anything is fetched"
    service = await journey.sync(settings=LARGER)
    assert service.code == 0, service.stderr[-3000:]
    assert "pictures_fetched_again" in service.stderr
    assert sizes(journey.data / "exports") == {(150, 150)}
    fetched = journey.fetched()
    assert f"a sync fetches {len(fetched)} pictures again, about " in told
    assert f" {len(fetched)} fetched, 0 new faces, 0 new identities, " in service.stdout
    assert await told_again(journey, LARGER) == []
    assert 0 < len(fetched) == len(set(fetched))
    assert journey.placed.broken.asset_id not in fetched
    await synced(journey, {})
    await synced(journey, LARGER)
    assert journey.fetched() == fetched
