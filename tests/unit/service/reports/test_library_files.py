"""Crops, thumbnails, face sets, their files and zips, settings and jobs through the API."""

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import structlog
from aiohttp import ClientError, ClientSession
from PIL import Image
from sqlalchemy import insert
from web_scene import BEARER, Scene, visit

from immich_facesets.errors import ItemError, RequestError
from immich_facesets.exports.profile import Content
from immich_facesets.imports.manifests import MANIFEST
from service.files.crops import keep_crop
from service.files.export_reading import zip_stream
from service.files.export_tree import ExportTree
from service.passes.context import CROPS_FOLDER
from service.progress import ProgressBoard
from service.reports.library import library_reads
from service.reports.library.service import settings_in_force
from service.settings import Settings
from service.store import exports, failures, runs
from service.store.database import Store
from service.store.tables import sources
from service.web.library.service import FailuresQuery, JobsQuery
from service.web.schemas import Failure

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECRET, KEY, PASSWORD = "a-secret-of-sixteen", "key-of-immich-123", "pass-word"
BUNDLE = bytes(range(256)) * 5000
PREFLIGHT = {
    "schema": 1,
    "name": "faceset_001",
    "findings": [{"code": "few_faces", "message": "1 of 20", "value": 1, "threshold": 20}],
    "shown": {"yaw": {"front": 1}},
    "events": {"count": 1, "largest": 1, "undated": 0},
    "known": 3,
    "left_out": {"too_small": 2},
    "left_out_faces": [{"reason": "too_small", "assets": [{"path": "/photos/secret.jpg"}]}],
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "exports").mkdir()
    return Settings(
        data_dir=tmp_path,
        export_dir=tmp_path / "exports",
        token=SECRET,
        immich_api_key=KEY,
        immich_url=f"http://anna:{PASSWORD}@immich:2283",
        embedder_urls=f"http://{PASSWORD}@one:1,http://two:2",
        sync_interval=timedelta(minutes=5),
    )


@asynccontextmanager
async def asking(store: Store, settings: Settings) -> AsyncIterator[ClientSession]:
    scene = Scene()
    scene.library = library_reads(store, settings, scene.board)
    async with visit(scene) as client:
        yield client


async def told(client: ClientSession, path: str) -> Any:
    async with client.get(path, headers=BEARER) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def jpeg(side: int = 300) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def written(store: Store, settings: Settings, directory: str = "faceset_001", *, bundle: bytes = BUNDLE) -> Path:
    """A directory of the export folder with its row."""
    name = directory.rpartition("/")[2]
    manifest = {
        "schema": 1,
        "name": name,
        "faces": [{"file": "faces/0001.png"}],
        "bundles": {"top": None, "all": f"{name}_all.fsz"},
        "notes": {"Zoë & co.txt": None},
    }

    def write_bundle(file: BinaryIO, _read: object) -> None:
        file.write(bundle)

    files: dict[str, Content] = {
        "faces/0001.png": b"\x89PNG" + bundle[:100],
        "Zoë & co.txt": b"Zo\xc3\xab",
        "preflight.json": json.dumps(PREFLIGHT).encode(),
        f"{name}_all.fsz": write_bundle,
        MANIFEST: json.dumps(manifest).encode(),
    }
    ExportTree(settings.export_dir).write_directory(directory, files.items())
    entry = {"name": name, "identity": 1, "label": "Zoë", "era": {"from": 2009, "to": 2014}, "faces": 1}
    store.write_now(exports.record_export, directory, digest="d", entry=entry, identity=1, made_by="sync", now=NOW)
    return settings.export_dir / directory


async def test_a_crop_is_served_for_good_and_only_by_its_own_name(store: Store, settings: Settings) -> None:
    image = jpeg()
    folder = settings.data_dir / CROPS_FOLDER
    name = keep_crop(folder, "ab" * 32, image).partition("/")[2]
    damaged = folder / "ab" / f"{'ab' * 32}.{'cd' * 32}.jpg"
    damaged.write_bytes(image)
    async with asking(store, settings) as client:
        async with client.get(f"/api/crops/{name}", headers=BEARER) as answer:
            assert (answer.status, answer.content_type, await answer.read()) == (200, "image/jpeg", image)
            assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
            tag = answer.headers["ETag"]
        async with client.get(f"/api/crops/{name}", headers={**BEARER, "If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with client.get(f"/api/crops/{name}") as answer:
            assert answer.status == 401
        for wrong in (
            damaged.name,
            name.replace("ab", "ba"),
            "..%2f..%2ffacesets.db",
            "x",
            f"{name}.draft",
            name.upper(),
        ):
            async with client.get(f"/api/crops/{wrong}", headers=BEARER) as answer:
                assert (answer.status, answer.content_type) == (404, "application/problem+json"), wrong


async def test_a_thumbnail_has_one_of_the_sizes_and_is_never_enlarged(store: Store, settings: Settings) -> None:
    folder = settings.data_dir / CROPS_FOLDER
    large = keep_crop(folder, "ab" * 32, jpeg(300)).partition("/")[2]
    small = keep_crop(folder, "ab" * 32, jpeg(100)).partition("/")[2]
    strange = keep_crop(folder, "ab" * 32, b"GIF89a no JPEG").partition("/")[2]
    async with asking(store, settings) as client:
        for name, side, expected in ((large, 64, 64), (large, 256, 256), (small, 256, 100)):
            async with client.get(f"/api/thumbnails/{side}/{name}", headers=BEARER) as answer:
                assert answer.status == 200
                with Image.open(io.BytesIO(await answer.read())) as shown:
                    assert (shown.format, shown.size) == ("JPEG", (expected, expected))
        for wrong_side, name in (("65", large), ("0", large), ("99999", large), ("64", strange), ("64", "x")):
            async with client.get(f"/api/thumbnails/{wrong_side}/{name}", headers=BEARER) as answer:
                assert answer.status == 404, (wrong_side, name)


async def test_a_face_set_has_its_files_and_what_it_lacks(store: Store, settings: Settings) -> None:
    folder = written(store, settings)
    (folder / "my notes.txt").write_text("of a user")
    async with asking(store, settings) as client:
        listed = (await told(client, "/api/facesets"))["facesets"]
        answer = await told(client, listed[0]["address"])
        assert listed == [answer["faceset"]]
        assert (listed[0]["era"], listed[0]["profile"], listed[0]["label"]) == (
            {"from": 2009, "to": 2014},
            "fsz",
            "Zoë",
        )
        assert answer["is_whole"] is True
        assert answer["preflight"]["findings"][0]["code"] == "few_faces"
        assert "left_out_faces" not in answer["preflight"]
        names = {one["name"]: one for one in answer["artifacts"]}
        assert set(names) == {
            "faces/0001.png", "Zoë & co.txt", "preflight.json", "faceset_001_all.fsz", "manifest.json", "SHA256SUMS",
        }  # fmt: skip
        for name, one in names.items():
            async with client.get(one["address"], headers=BEARER) as file:
                assert file.status == 200
                assert await file.read() == (folder / name).read_bytes()
                assert len((folder / name).read_bytes()) == one["bytes"]
                assert file.headers["Content-Disposition"].startswith("attachment; filename=")
                assert file.headers["Cache-Control"] == "private, no-cache"
        async with client.get(names["Zoë & co.txt"]["address"], headers=BEARER) as file:
            assert file.headers["Content-Disposition"] == (
                "attachment; filename=\"Zo_ _ co.txt\"; filename*=UTF-8''Zo%C3%AB%20%26%20co.txt"
            )
        async with client.get(
            names["faceset_001_all.fsz"]["address"], headers={**BEARER, "Range": "bytes=1-2"}
        ) as file:
            assert (file.status, await file.read()) == (206, BUNDLE[1:3])


async def test_nothing_else_of_the_disk_can_be_reached(store: Store, settings: Settings, tmp_path: Path) -> None:
    folder = written(store, settings)
    (folder / "my notes.txt").write_text("of a user")
    (tmp_path / "secret").write_text("secret")
    (folder / "faces" / "0001.png").unlink()
    (folder / "faces" / "0001.png").symlink_to(tmp_path / "secret")
    wrong = [
        "my notes.txt",
        "..:..:secret",
        "faces:0001.png",
        "faces",
        "",
        "..",
        "%2e%2e:secret",
        ":etc:passwd",
        "a\\b",
        "%00",
    ]
    async with asking(store, settings) as client:
        for name in wrong:
            async with client.get(f"/api/facesets/faceset_001/files/{name}", headers=BEARER) as answer:
                assert answer.status == 404, name
        for directory in ("faceset_002", "..", "..:exports:faceset_001", "users", "%00", "faceset_001:faces"):
            for part in ("", "/zip", "/files/manifest.json"):
                async with client.get(f"/api/facesets/{directory}{part}", headers=BEARER) as answer:
                    assert answer.status == 404, (directory, part)
        answer = await told(client, "/api/facesets/faceset_001")
        assert "faces/0001.png" not in {one["name"] for one in answer["artifacts"]}


async def test_a_directory_behind_a_link_or_gone_has_no_files(store: Store, settings: Settings, tmp_path: Path) -> None:
    folder = written(store, settings)
    folder.rename(tmp_path / "elsewhere")
    async with asking(store, settings) as client:
        gone = await told(client, "/api/facesets/faceset_001")
        folder.symlink_to(tmp_path / "elsewhere")
        linked = await told(client, "/api/facesets/faceset_001")
        async with client.get("/api/facesets/faceset_001/zip", headers=BEARER) as answer:
            assert answer.status == 404
    assert [(one["artifacts"], one["is_whole"]) for one in (gone, linked)] == [([], False)] * 2


async def test_a_zip_holds_every_file_and_is_the_same_each_time(store: Store, settings: Settings) -> None:
    folder = written(store, settings, "_thin/faceset_001")
    (folder / "my notes.txt").write_text("of a user")
    async with asking(store, settings) as client:
        bodies = []
        for _ in range(2):
            async with client.get("/api/facesets/_thin:faceset_001/zip", headers=BEARER) as answer:
                assert (answer.status, answer.content_type) == (200, "application/zip")
                assert 'filename="faceset_001.zip"' in answer.headers["Content-Disposition"]
                bodies.append(await answer.read())
    assert bodies[0] == bodies[1]
    with zipfile.ZipFile(io.BytesIO(bodies[0])) as archive:
        assert archive.testzip() is None
        names = {name.removeprefix("faceset_001/") for name in archive.namelist()}
        assert names == {
            "faces/0001.png",
            "Zoë & co.txt",
            "preflight.json",
            "faceset_001_all.fsz",
            MANIFEST,
            "SHA256SUMS",
        }
        assert archive.read("faceset_001/faceset_001_all.fsz") == BUNDLE


def test_a_zip_is_never_in_memory_as_a_whole(store: Store, settings: Settings) -> None:
    written(store, settings, bundle=bytes(20_000_000))
    parts = [len(part) for part in zip_stream(settings.export_dir, "faceset_001")]
    assert sum(parts) > 20_000_000
    assert max(parts) < 1_000_000


async def test_a_face_set_that_is_replaced_meanwhile_breaks_the_download_off(store: Store, settings: Settings) -> None:
    written(store, settings)
    scene = Scene()
    reads = library_reads(store, settings, scene.board)

    async def archive(directory: str) -> Iterator[bytes] | None:
        found = await reads.faceset_archive(directory)
        return None if found is None else replacing(found)

    def replacing(parts: Iterator[bytes]) -> Iterator[bytes]:
        yield next(parts)
        written(store, settings, bundle=b"anew")
        yield from parts

    scene.library = replace(reads, faceset_archive=archive)
    with structlog.testing.capture_logs() as lines:
        async with visit(scene) as client, client.get("/api/facesets/faceset_001/zip", headers=BEARER) as answer:
            with pytest.raises(ClientError):
                await answer.read()
    assert [line["event"] for line in lines] == ["download_broken_off"]
    assert "Zoë" not in str(lines)


async def test_directories_and_the_ledger_come_page_by_page(store: Store, settings: Settings) -> None:
    for number in (3, 1, 2):
        entry = {"identity": number, "faces": number}
        store.write_now(
            exports.record_export,
            f"faceset_{number:03d}",
            digest="d",
            entry=entry,
            identity=number,
            made_by="sync",
            now=NOW,
        )
    async with asking(store, settings) as client:
        first = await told(client, "/api/facesets?limit=2")
        store.write_now(exports.record_removal, "faceset_002", made_by="sync", now=NOW)
        second = await told(client, f"/api/facesets?limit=2&cursor={first['next']}")
        assert [one["directory"] for one in (*first["facesets"], *second["facesets"])] == [
            "faceset_001", "faceset_002", "faceset_003",
        ]  # fmt: skip
        assert second["next"] is None
        one = await told(client, "/api/facesets?identity=3")
        assert [entry["identity"] for entry in one["facesets"]] == [3]
        ledger = await told(client, "/api/exports?limit=3")
        rest = await told(client, f"/api/exports?cursor={ledger['next']}")
        assert [(entry["action"], entry["identity"]) for entry in (*ledger["exports"], *rest["exports"])] == [
            ("removed", 2), ("written", 2), ("written", 1), ("written", 3),
        ]  # fmt: skip
        two = await told(client, "/api/exports?identity=2")
        assert len(two["exports"]) == 2


def test_no_secret_is_shown(settings: Settings) -> None:
    found = {one.name: one for one in settings_in_force(settings)}
    text = str(found)
    assert not any(secret in text for secret in (SECRET, KEY, PASSWORD))
    token = found["FACESETS_TOKEN"]
    assert (token.value, token.is_set, token.is_secret, token.is_default) == (None, True, True, False)
    assert found["FACESETS_EMBEDDER_TOKEN"].is_set is False
    assert found["IMMICH_URL"].value == "http://***@immich:2283"
    assert found["FACESETS_EMBEDDER_URLS"].value == "http://***@one:1,http://two:2"
    assert found["FACESETS_SYNC_INTERVAL"].value == "300"
    assert found["FACESETS_DETECTION"].value == "full"
    assert found["FACESETS_DETECTION"].is_default is True


async def test_sources_settings_and_jobs_have_addresses(store: Store, settings: Settings) -> None:
    def add(tx: Any) -> None:
        row = {"name": "scans", "kind": "folder", "user_id": "", "root": "/photos", "mode": "trusted"}
        tx.execute(insert(sources).values(row))

    store.write_now(add)
    run_id = store.write_now(runs.begin_run, "full", ["scans"], NOW)
    scene = Scene()
    board = ProgressBoard()
    board.begin(run_id=run_id, kind="full", started_at=NOW)
    scene.library = library_reads(store, settings, board)
    async with visit(scene) as client:
        (source,) = (await told(client, "/api/sources"))["sources"]
        assert (source["counts"]["name"], source["root"], source["mode"]) == ("scans", "/photos", "trusted")
        async with client.get("/api/settings", headers=BEARER) as answer:
            assert SECRET not in await answer.text()
        (job,) = (await told(client, "/api/jobs"))["jobs"]
        assert (job["id"], job["kind"], job["outcome"]) == (run_id, "full", None)
        assert [stage["stage"] for stage in job["stages"]] == ["discover", "embed", "group", "publish"]
        store.write_now(runs.end_run, run_id, outcome="done", message="", counts={"faces": 2}, now=NOW)
        board.end("")
        job = await told(client, f"/api/jobs/{run_id}")
        assert (job["outcome"], job["counts"], job["stages"]) == ("done", {"faces": 2}, [])
        async with client.get("/api/jobs/999", headers=BEARER) as answer:
            assert answer.status == 404


async def test_jobs_and_failures_come_a_page_at_a_time_each_once(store: Store, settings: Settings) -> None:
    started = [store.write_now(runs.begin_run, "full", ["anna"], NOW) for _ in range(5)]
    for number in range(7):  # five of them in one moment, as those of one listing
        error = ItemError("it cannot be read", reason="denied" if number % 2 else "unreadable")
        when = NOW + timedelta(seconds=max(0, number - 4))
        store.write_now(failures.record_failure, "listing", "scans", f"{number}.jpg", error=error, now=when)
    reads = library_reads(store, settings, ProgressBoard())
    jobs = await reads.jobs(JobsQuery(limit=2))
    following = await reads.jobs(JobsQuery(limit=3, cursor=jobs.next or ""))
    assert [job.id for job in (*jobs.jobs, *following.jobs)] == started[::-1]
    assert following.next is None
    found, cursor = list[Failure](), ""
    while (page := await reads.failures(FailuresQuery(limit=2, cursor=cursor))).failures:
        assert (page.total, [(one.reason, one.count) for one in page.by_reason]) == (
            7,
            [("unreadable", 4), ("denied", 3)],
        )
        found += page.failures
        if page.next is None:
            break
        cursor = page.next
    assert [one.name for one in found[:2]] == ["6.jpg", "5.jpg"]
    assert sorted(one.name for one in found) == [f"{number}.jpg" for number in range(7)]
    denied = await reads.failures(FailuresQuery(reason="denied"))
    assert (denied.total, {one.reason for one in denied.failures}, denied.next) == (3, {"denied"}, None)
    with pytest.raises(RequestError, match="another list"):
        await reads.failures(FailuresQuery(reason="denied", cursor=cursor))


def test_the_digest_in_a_crops_name_is_that_of_its_bytes(tmp_path: Path) -> None:
    """The name that the service keeps crops under is the one that the address checks."""
    image = jpeg(20)
    assert keep_crop(tmp_path, "ab" * 32, image).split(".")[1] == hashlib.sha256(image).hexdigest()
