"""Crop checks in a whole service: the embedder checks each finished crop once."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from faceset_builders import candidate
from pydantic import SecretStr
from small_library import Placed, draw_small_library, place
from sqlalchemy import Connection, select, update

from immich_facesets.exports.crop_checks import decoded
from immich_facesets.facesets.faceset import ExportFace, ExportRules
from immich_facesets.quality.score import quality
from service.app import App, open_app
from service.demo.immich import FakeImmich
from service.passes.publishing.crop_checks import CropChecks
from service.settings import Settings
from service.store import exports
from service.store.tables import crops, memberships
from service.sync.outcome import Outcome
from service.users import User

FIELDS: dict[str, Any] = {
    "min_face_short": 40,
    "export_min_face_short": 40,
    "crop_size": 128,
    "min_faces": 3,
    "listen": "127.0.0.1:0",
    "outlier_distance": 0.6,
}


@pytest.fixture
async def placed(tmp_path: Path) -> AsyncIterator[Placed]:
    async with FakeImmich("3.1.0") as immich:
        yield place(immich, await asyncio.to_thread(draw_small_library, tmp_path / "drawn"))


def opened(placed: Placed, tmp_path: Path, url: str, **fields: Any) -> Any:
    settings = Settings(
        immich_url=placed.immich.url, data_dir=tmp_path / "data", embedder_urls=url, **(FIELDS | fields)
    )
    users = tuple(User(name=name, api_key=SecretStr(user.api_key)) for name, user in placed.users.items())
    return open_app(settings, users, asyncio.Event())


async def pictures_answered(url: str) -> float:
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"{url}/metrics")).text
    lines = (line for line in page.splitlines() if line.startswith("facesets_embedder_pictures_total"))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def rows(app: App) -> dict[int, Any]:
    def read(tx: Connection) -> dict[int, Any]:
        found = tx.execute(
            select(crops, memberships.c.identity).outerjoin(memberships, memberships.c.face_id == crops.c.face_id)
        )
        return {row.face_id: row for row in found}

    return app.store.read_now(read)


def files(app: App) -> dict[str, bytes]:
    """Every picture and bundle of the export folder, by its path."""
    root = app.settings.export_dir
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.suffix in {".png", ".fsz"} and "_candidates" not in path.parts
    }


@pytest.mark.slow
async def test_another_outlier_distance_asks_the_embedder_nothing(
    placed: Placed, tmp_path: Path, embedder_url: str
) -> None:
    async with opened(placed, tmp_path, embedder_url) as app:
        result = await app.runner.run("full")
        assert result.outcome is Outcome.DONE
        checked = result.counts["publish_checked"]
        assert 0 < checked == sum(row.seen is not None for row in rows(app).values())
        everything = files(app)
    before = await pictures_answered(embedder_url)
    for distance in (1.2, 0.0001, 0.6):
        async with opened(placed, tmp_path, embedder_url, outlier_distance=distance) as app:
            assert (await app.runner.publish_now()).checked == 0
            found = files(app)
        assert bool(found) is (distance > 0.1)
    assert found == everything
    assert await pictures_answered(embedder_url) == before


async def test_another_identity_of_a_face_asks_the_embedder_nothing(
    placed: Placed, tmp_path: Path, embedder_url: str
) -> None:
    async with opened(placed, tmp_path, embedder_url) as app:
        await app.runner.run("full")
        first, second = sorted({row.identity for row in rows(app).values() if row.identity})[:2]

        def swap(tx: Connection) -> None:
            tx.execute(update(memberships).where(memberships.c.identity == first).values(identity=second))

        before = await pictures_answered(embedder_url)
        await app.store.write(swap)
        assert (await app.runner.publish_now()).checked == 0
        assert await pictures_answered(embedder_url) == before


@pytest.mark.slow
async def test_a_verdict_without_facts_holds_for_the_threshold_it_was_made_with(
    placed: Placed, tmp_path: Path, embedder_url: str
) -> None:
    def as_before_facts(tx: Connection) -> None:
        """Give every crop the row of a version that stored verdicts alone; one crop failed."""
        for face_id, row in found.items():
            text = f"{space};128;0.5;0.6;{row.identity}"
            verdict = "far" if face_id == failed else "ok"
            key = hashlib.sha256(text.encode()).hexdigest()
            tx.execute(
                update(crops)
                .where(crops.c.face_id == face_id)
                .values(seen=None, check_key=key, verdict=verdict, painted=[])
            )

    async with opened(placed, tmp_path, embedder_url) as app:
        await app.runner.run("full")
        space = app.pool.info.space
        found = {face_id: row for face_id, row in rows(app).items() if row.seen is not None}
        failed = min(found)
        await app.store.write(as_before_facts)
        counts = await app.runner.publish_now()
        assert counts.checked <= 1, "at most the next best crop in place of the failed one"
        assert counts.written == 1, "the face set that lost the crop"
        assert rows(app)[failed].verdict == "far"
    async with opened(placed, tmp_path, embedder_url, outlier_distance=0.7) as app:
        assert (await app.runner.publish_now()).checked > 1
        assert rows(app)[failed].seen is not None
        assert rows(app)[failed].verdict is None


async def test_the_length_of_a_vector_is_asked_for_once_where_it_is_not_known(
    placed: Placed, tmp_path: Path, embedder_url: str
) -> None:
    async with opened(placed, tmp_path, embedder_url) as app:
        await app.runner.run("full")
        seen = {face_id: row for face_id, row in rows(app).items() if row.seen is not None}
        faces = [
            ExportFace(candidate(of=member.face), quality(member.face), 0.1)
            for member in await app.store.read(exports.members, app.pool.info.space)
            if member.face.face_id in seen
        ]

        def forget_lengths(tx: Connection) -> None:
            """Give the crops the facts of an embedder that does not tell lengths."""
            for face_id, row in seen.items():
                facts = decoded(row.seen)
                older = msgspec.structs.replace(facts, finished=msgspec.structs.replace(facts.finished, length=None))
                tx.execute(update(crops).where(crops.c.face_id == face_id).values(seen=older.encoded()))

        await app.store.write(forget_lengths)
        rules = ExportRules(0.6, out_size=128)
        for asked in (len(faces), 0):
            checks = CropChecks(app.context, app.pool, rules)
            checks.crops = {
                member.face.face_id: member.crop
                for member in await app.store.read(exports.members, app.pool.info.space)
                if member.crop is not None
            }
            assert await checks.lengths(faces) == dict.fromkeys(seen, pytest.approx(1.0))
            assert checks.count == asked
