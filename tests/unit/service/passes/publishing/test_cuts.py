"""Forms of other framings in a whole service: cut from originals that are fetched once, and kept."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr
from small_library import HEIGHT, WIDTH, Placed, SmallLibrary, place
from sqlalchemy import Connection, delete, select, update

from immich_facesets.errors import SetupError
from immich_facesets.wire import FacesAnswer
from service.app import App, open_app
from service.demo.immich import FakeImmich
from service.remote.guard import CircuitOpenError
from service.settings import Settings
from service.store import failures
from service.store.tables import cuts, exports
from service.sync.outcome import Outcome
from service.users import User

SYNTHETIC: Mapping[str, str] = {"FACESETS_EMBEDDER_ENGINE": "synthetic"}
FIELDS: dict[str, Any] = {
    "min_face_short": 40,
    "export_min_face_short": 40,
    "crop_size": 128,
    "min_faces": 3,
    "breaker_failures": 2,
    "listen": "127.0.0.1:0",
    "export_profiles": "kohya,plain:3:jpg",
}
FRAMED: dict[str, Any] = {"crop_framing": "half-body"}


@pytest.fixture
async def placed(drawn: SmallLibrary) -> AsyncIterator[Placed]:
    async with FakeImmich("3.1.0") as immich:
        yield place(immich, drawn)


def opened(placed: Placed, folder: Path, **fields: Any) -> Any:
    settings = Settings(immich_url=placed.immich.url, data_dir=folder / "data", **(FIELDS | fields))
    users = tuple(User(name=name, api_key=SecretStr(user.api_key)) for name, user in placed.users.items())
    return open_app(settings, users, asyncio.Event(), embedder_environ=SYNTHETIC)


@pytest.fixture(scope="module")
def synced(drawn: SmallLibrary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service after its first sync, without another framing."""
    folder = tmp_path_factory.mktemp("synced")

    async def sync() -> Path:
        async with FakeImmich("3.1.0") as immich, opened(place(immich, drawn), folder) as app:
            assert (await app.runner.run("full")).outcome is Outcome.DONE
        return folder / "data"

    with ThreadPoolExecutor(1) as pool:  # a thread, because the event loop of the test starts later
        return pool.submit(asyncio.run, sync()).result()


@pytest.fixture
def folder(synced: Path, tmp_path: Path) -> Path:
    shutil.copytree(synced, tmp_path / "data")
    return tmp_path


def fetched(placed: Placed) -> list[str]:
    return placed.immich.requests.assets("original")


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def manifests(app: App, profile: str) -> list[tuple[Path, dict[str, Any]]]:
    root = app.settings.export_dir / "_profiles" / profile
    return [(path.parent, json.loads(path.read_bytes())) for path in sorted(root.rglob("manifest.json"))]


def rows(tx: Connection) -> list[Any]:
    return list(tx.execute(select(cuts)))


def box_in(entry: Mapping[str, Any], shape: tuple[int, ...], box: list[float]) -> tuple[slice, slice]:
    """The rows and columns of a picture that show a box of the original; nobody of the library lies down."""
    x1, y1, x2, y2 = entry["area"]
    across, down = shape[1] / (x2 - x1), shape[0] / (y2 - y1)
    edges = [round(side) for side in ((box[0] - x1) * across, (box[1] - y1) * down)]
    ends = [round(side) for side in ((box[2] - x1) * across, (box[3] - y1) * down)]
    return slice(max(0, edges[1]), ends[1]), slice(max(0, edges[0]), ends[0])


@pytest.mark.slow
async def test_a_face_is_shown_with_its_body_from_the_original_at_its_own_size(placed: Placed, folder: Path) -> None:
    async with opened(placed, folder, **FRAMED, export_profiles="kohya:0:512") as app:
        await app.runner.publish_now()
        found = manifests(app, "kohya")
    originals = dict(zip(placed.library.digests, placed.library.files, strict=True))
    assert found
    for directory, manifest in found:
        assert manifest["settings"]["framing"] == "half-body"
        for entry in manifest["faces"]:
            x1, y1, x2, y2 = entry["area"]
            assert (entry["framing"], entry["scale"]) == ("half-body", 1.0)
            with Image.open(directory / entry["file"]) as image, Image.open(originals[entry["sha256"]]) as original:
                assert image.size == (x2 - x1, y2 - y1)
                shown = np.asarray(image.convert("RGB")).astype(int)
                expected = np.asarray(original.convert("RGB").crop((x1, y1, x2, y2))).astype(int)
            assert np.abs(shown - expected).mean() < 3
            assert y2 - entry["box"][3] > 1.5 * (entry["box"][1] - y1)
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT


async def test_other_people_are_transparent_for_readers_of_masks_and_leave_the_picture_out_for_others(
    placed: Placed, folder: Path
) -> None:
    async with opened(placed, folder, crop_framing="original", export_profiles="kohya:0,lora:0:128:jpg,plain:0") as app:
        await app.runner.publish_now()
        masked = [
            (directory, entry)
            for directory, manifest in manifests(app, "kohya")
            for entry in manifest["faces"]
            if entry["alpha_mask"]
        ]
        plain = manifests(app, "plain")
        for directory, manifest in manifests(app, "lora"):
            for entry in manifest["faces"]:
                with (
                    Image.open(directory / entry["file"]) as image,
                    Image.open(directory / entry["further"][1]) as mask,
                ):
                    assert image.size == mask.size
                    weights = np.asarray(mask)
                for box in entry["masked"]:
                    assert not weights[box_in(entry, weights.shape, box)].any()
                assert (weights[box_in(entry, weights.shape, entry["box"])] == 255).all()
                assert bool(entry["masked"]) == entry["file"].startswith("with_others/")
    assert masked
    for directory, entry in masked:
        with Image.open(directory / entry["file"]) as image:
            alpha = np.asarray(image)[:, :, 3]
        assert alpha.shape[0] * alpha.shape[1] <= 128 * 128
        for box in entry["masked"]:
            assert not alpha[box_in(entry, alpha.shape, box)].any()
        assert alpha[box_in(entry, alpha.shape, entry["box"])].all()
        assert 0.3 < (alpha == 255).mean() < 1.0
    left = [manifest["left_out"].get("another_face_in_picture", 0) for _, manifest in plain]
    assert sum(left) > 0
    for _, manifest in plain:
        counted = {key: value for key, value in manifest["left_out"].items() if "minor" not in key}
        assert manifest["known"] == len(manifest["faces"]) + sum(counted.values())
        assert {entry["sha256"] for entry in manifest["faces"]}.isdisjoint(entry["sha256"] for _, entry in masked)


async def test_each_original_is_fetched_once_and_a_second_publish_neither_fetches_nor_writes(
    placed: Placed, folder: Path
) -> None:
    async with opened(placed, folder, **FRAMED) as app:
        counts = await app.runner.publish_now()
        first = fetched(placed)
        assert counts.cut >= len(first) > 3
        assert len(first) == len(set(first))
        before = {path: path.stat().st_mtime_ns for path in app.settings.export_dir.rglob("*")}
        counts = await app.runner.publish_now()
        assert (counts.cut, counts.forms, counts.removed) == (0, 0, 0)
        assert {path: path.stat().st_mtime_ns for path in app.settings.export_dir.rglob("*")} == before
        assert (await app.runner.run("full")).outcome is Outcome.DONE
        assert fetched(placed) == first
        kept = {row.file for row in await app.store.read(rows)}
        assert all((app.context.crops_dir / name).is_file() for name in kept), "group keeps the files of cuts"
        (app.context.crops_dir / min(kept)).unlink()
        assert (await app.runner.publish_now()).cut >= 1
        assert len(fetched(placed)) == len(first) + 1, "a file that was lost is cut again"


async def test_the_usual_framing_fetches_nothing_and_gives_the_same_bytes(placed: Placed, folder: Path) -> None:
    before = files(folder / "data/exports")
    async with opened(placed, folder, crop_framing="face", export_profiles="kohya:face,plain:3:jpg:face") as app:
        counts = await app.runner.publish_now()
    assert (counts.forms, counts.cut) == (0, 0)
    assert files(folder / "data/exports") == before
    assert fetched(placed) == []
    assert any(b'"framing"' in body for name, body in before.items() if name.endswith(".json")) is False


@pytest.mark.slow
async def test_a_framing_that_was_set_before_is_still_there(placed: Placed, folder: Path) -> None:
    asked = []
    for framing in ("head", "face", "head"):
        async with opened(placed, folder, crop_framing=framing) as app:
            assert (await app.runner.publish_now()).forms > 0
            asked.append(len(fetched(placed)))
    assert asked[0] == asked[1] == asked[2] > 0


@pytest.mark.slow
async def test_more_pixels_fetch_only_what_was_reduced(placed: Placed, folder: Path) -> None:
    async with opened(placed, folder, export_profiles="plain:2:256:original") as app:
        await app.runner.publish_now()
        first = len(fetched(placed))
    async with opened(placed, folder, export_profiles="plain:2:96:original") as app:
        await app.runner.publish_now()
        assert len(fetched(placed)) == first
    async with opened(placed, folder, export_profiles="plain:2:512:original") as app:
        await app.runner.publish_now()
        larger = len(fetched(placed))
        assert larger == 2 * first
        sizes = set()
        for path in (app.settings.export_dir / "_profiles/plain").rglob("*.png"):
            with Image.open(path) as image:
                sizes.add(image.size)
        assert sizes == {(WIDTH, HEIGHT)}, "an original is never enlarged"
    async with opened(placed, folder, export_profiles="plain:2:2048:original") as app:
        await app.runner.publish_now()
        assert len(fetched(placed)) == larger, "there are no further pixels"


@pytest.mark.slow
async def test_while_the_source_is_down_a_form_stays_as_it_was_and_the_next_sync_makes_up_for_it(
    placed: Placed, folder: Path
) -> None:
    async with opened(placed, folder) as app:
        before = files(app.settings.export_dir / "_profiles")
    async with opened(placed, folder, crop_framing="head", export_profiles="kohya,plain:2:jpg:face") as app:
        await placed.immich.refuse()
        with pytest.raises(CircuitOpenError):
            await app.runner.publish_now()
        await placed.immich.resume()
        await app.sources["anna"].wait_until_up()
        after = files(app.settings.export_dir / "_profiles")
        assert {name: body for name, body in after.items() if name.startswith("kohya")} == {
            name: body for name, body in before.items() if name.startswith("kohya")
        }
        assert {name for name in after if name.startswith("plain")} < {name for name in before if "plain" in name}
        assert (await app.runner.run("incremental")).outcome is Outcome.DONE
        assert all(manifest["settings"]["framing"] == "head" for _, manifest in manifests(app, "kohya"))


@pytest.mark.slow
async def test_an_original_that_cannot_be_given_is_left_out_with_its_reason_and_rests(
    placed: Placed, folder: Path
) -> None:
    async with opened(placed, folder, crop_framing="head", export_profiles="plain:0") as app:
        gone = placed.assets[0]
        placed.immich.library.assets[gone.asset_id].data = b"damaged"
        await app.runner.publish_now()
        (failed,) = (one for one in await app.store.read(failures.list_failures) if one.stage == "cut")
        assert failed.item == gone.asset_id
        left = [manifest["left_out"].get("original_not_available", 0) for _, manifest in manifests(app, "plain")]
        assert sum(left) >= 1
        asked = len(fetched(placed))
        await app.runner.publish_now()
        assert len(fetched(placed)) == asked, "it rests before the next try"


@pytest.mark.slow
async def test_a_cut_that_other_detectors_looked_at_is_looked_at_again_without_a_fetch(
    placed: Placed, folder: Path
) -> None:
    def forget(tx: Connection) -> None:
        tx.execute(update(cuts).values(check_key="other", others=[]))

    async with opened(placed, folder, crop_framing="original", export_profiles="kohya:0") as app:
        await app.runner.publish_now()
        before, asked, stored = files(app.settings.export_dir), len(fetched(placed)), await app.store.read(rows)
        await app.store.write(forget)
        await app.runner.publish_now()
        assert await app.store.read(rows) == stored
        assert any(row.others for row in stored)
        assert files(app.settings.export_dir) == before
        assert len(fetched(placed)) == asked


@pytest.mark.slow
async def test_a_form_lost_from_the_disk_is_written_again_from_the_shelf(placed: Placed, folder: Path) -> None:
    def forget(tx: Connection) -> None:
        tx.execute(delete(exports))

    async with opened(placed, folder, **FRAMED) as app:
        await app.runner.publish_now()
        before, asked = files(app.settings.export_dir), len(fetched(placed))
        shutil.rmtree(app.settings.export_dir / "_profiles")
        await app.store.write(forget)
        await app.runner.publish_now()
        assert files(app.settings.export_dir) == before
        assert len(fetched(placed)) == asked


@pytest.mark.slow
async def test_an_embedder_that_cuts_nothing_is_named_and_the_former_form_stays(
    placed: Placed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(folder / "data/exports")
    async with opened(placed, folder, crop_framing="head") as app:
        asked = app.pool.faces

        async def of_an_earlier_version(*args: Any, **options: Any) -> FacesAnswer:
            answer: FacesAnswer = await asked(*args, **options)
            return msgspec.structs.replace(answer, cut=None)

        monkeypatch.setattr(app.pool, "faces", of_an_earlier_version)
        with pytest.raises(SetupError, match="update it to the version of the service"):
            await app.runner.publish_now()
        assert files(app.settings.export_dir) == before
        monkeypatch.undo()
        assert (await app.runner.run("full")).outcome is Outcome.DONE
        assert not list(app.context.staging_dir.iterdir()), "no original is left behind"
