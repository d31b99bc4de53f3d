"""The embed pass alone: each picture is fetched and embedded once, and failures are stored."""

import asyncio
import hashlib
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from crashing_embedder import answering
from embedder_scene import FACE, Scene, picture, running
from journey import until
from passes_scene import START, Stage, staged
from pydantic import SecretStr
from slow_embedder import SlowEmbedder

from embedder.engine import Detection, View
from immich_facesets.errors import SetupError
from immich_facesets.exports.crops import png, provenance
from immich_facesets.exports.origin_marks import marked_jpeg
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import Forget, ForgottenFace
from immich_facesets.moderation.erasing import digest_of
from service.demo.immich import FakeAsset
from service.embedders.client import Embedder
from service.embedders.pool import EmbedderPool
from service.files.staging import Staging
from service.monitoring.metrics import Metrics
from service.passes.embed import Embed, EmbedCounts
from service.remote.guard import CircuitOpenError
from service.sources import Staged
from service.sources.immich import build_immich_source
from service.store import decisions, forgotten
from service.store.tables import assets, contents, crops, embeddings, faces, failures, fingerprints, vectors
from service.users import User

SIZE: dict[str, Any] = {"width": 320, "height": 240}
SETTINGS: dict[str, Any] = {"min_face_short": 40, "export_min_face_short": 40, "crop_size": 64}


class Bench:
    """The scene of the passes with an embedder beside it."""

    def __init__(self, stage: Stage, embedder: Scene) -> None:
        self.stage = stage
        self.embedder = embedder
        self.room = 1 << 30
        self.url = ""
        """Of an embedder that is asked instead, in half a second for each picture; "" for none."""

    def add(self, name: str, *, shade: int = 120, **fields: Any) -> FakeAsset:
        """A picture with a face at the same place in Immich and in the engine."""
        usual = {"data": picture(shade=shade), "created_at": START - timedelta(days=99), **SIZE}
        asset = self.stage.add(name, face=False, **(usual | fields))
        self.stage.immich.add_face(asset, box=(120, 110, 192, 210), image_width=320, image_height=240)
        return asset

    async def embed(
        self, *names: str, token: str | None = None, configured: tuple[str, ...] | None = None
    ) -> EmbedCounts:
        """Run embed over the pictures of these users, by default of all; ``configured``: None for all too."""
        url, seconds = (self.url, 0.5) if self.url else (str(self.embedder.client.base_url), 120.0)
        pool = EmbedderPool([Embedder(url, None if token is None else SecretStr(token), answer_seconds=seconds)])
        try:
            await pool.open()
            chosen = {name: self.stage.sources[name] for name in names or self.stage.sources}
            staging = Staging(self.stage.conditions.staging_dir, room=self.room)
            metrics = Metrics(self.stage.conditions.board, version="0")
            known = tuple(self.stage.sources) if configured is None else configured
            embed = Embed(self.stage.conditions, chosen, pool, staging, metrics, configured=known)
            await embed.run()
            return embed.counts
        finally:
            await pool.close()

    async def sync(self) -> EmbedCounts:
        """Run discover for all users, then embed."""
        for name in self.stage.sources:
            await self.stage.discover(name)
        return await self.embed()

    def change(self, **settings: Any) -> None:
        conditions = self.stage.conditions
        chosen = conditions.settings.model_copy(update=settings)
        self.stage.conditions = replace(conditions, settings=chosen)

    @property
    def fetched(self) -> list[str]:
        return self.stage.immich.requests.assets("original")

    @property
    def staging_files(self) -> list[Path]:
        return sorted(self.stage.conditions.staging_dir.iterdir())

    def failures(self) -> dict[str, tuple[str, int, timedelta]]:
        """By file name: the reason, the tries, and the rest of the pause."""
        rows = self.stage.rows(assets)
        names = {key: row.file_name for row in rows for key in (row.fingerprint, row.asset_id)}
        return {
            names[row.item]: (row.reason, row.tries, row.retry_at - self.stage.clock())
            for row in self.stage.rows(failures)
        }


@asynccontextmanager
async def bench(
    folder: Path, *, users: tuple[str, ...] = ("anna",), embedder: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    async with (
        running(**(embedder or {})) as scene,
        staged(folder, users=users, **(SETTINGS | settings)) as stage,
    ):
        yield Bench(stage, scene)


async def test_every_picture_worth_it_is_fetched_and_turned_into_faces(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        for number in range(5):
            on.add(f"{number}.png", shade=100 + number)
        on.stage.add("nobody.png", face=False, data=picture(shade=50), **SIZE)
        counts = await on.sync()
        assert (counts.fetched, counts.embedded, counts.faces, counts.failed) == (5, 5, 5, 0)
        assert counts.fetched_bytes == sum(len(picture(shade=100 + number)) for number in range(5))
        assert len(set(on.fetched)) == len(on.fetched) == 5
        rows = {name: on.stage.rows(table) for name, table in (("contents", contents), ("faces", faces))}
        assert {(row.width, row.height) for row in rows["contents"]} == {(320, 240)}
        assert {(row.x1, row.y1, row.x2, row.y2) for row in rows["faces"]} == {(120, 110, 192, 210)}
        assert len(on.stage.rows(vectors)) == 5
        files = {row.file for row in on.stage.rows(crops)}
        assert len(files) == 5
        assert all((on.stage.conditions.crops_dir / file).is_file() for file in files)
        assert on.staging_files == []
        again = await on.sync()
        assert (again.fetched, again.embedded, again.reused) == (0, 0, 0)
        assert len(on.fetched) == 5


async def test_equal_bytes_of_several_users_are_fetched_once(tmp_path: Path) -> None:
    async with bench(tmp_path, users=("anna", "ben")) as on:
        on.add("annas.png")
        on.add("bens.png", owner="ben")
        on.add("bens-again.png", owner="ben")
        counts = await on.sync()
        assert (counts.fetched, counts.embedded, counts.aliases) == (1, 1, 0)
        assert len(on.fetched) == 1
        assert len(on.stage.rows(fingerprints)) == 1


@pytest.mark.parametrize("trouble", ["lost", "foreign", "flaky"])
async def test_a_good_copy_is_tried_at_once_while_another_users_copy_is_lost(tmp_path: Path, trouble: str) -> None:
    async with bench(tmp_path, users=("anna", "ben", "cleo")) as on:
        lost = [on.add("annas.png"), on.add("bens.png", owner="ben")]
        good = on.add("cleos.png", owner="cleo")
        for asset in lost:
            if trouble == "lost":
                asset.data = tmp_path / "missing"
            else:
                on.stage.immich.faults.add(
                    "original", "status", status=404 if trouble == "foreign" else 503, asset_id=asset.asset_id
                )
        counts = await on.sync()
        assert (counts.fetched, counts.embedded, counts.failed) == (1, 1, 0)
        assert on.fetched[-1] == good.asset_id
        assert on.failures() == {}, "nothing is left to be done"


async def test_a_lost_place_rests_and_the_same_bytes_elsewhere_do_not(tmp_path: Path) -> None:
    async with bench(tmp_path, users=("anna", "ben")) as on:
        annas = on.add("annas.png")
        annas.measure()
        good, annas.data = annas.data, tmp_path / "missing"
        counts = await on.sync()
        assert (counts.embedded, counts.failed) == (0, 1)
        assert on.failures() == {"annas.png": ("not_found", 1, timedelta(hours=1))}
        on.stage.clock.move(minutes=10)
        on.add("bens.png", owner="ben")
        on.stage.immich.requests.clear()
        assert (await on.sync()).embedded == 1
        assert annas.asset_id not in on.fetched
        assert on.failures() == {}
        assert good


async def test_bytes_that_the_embedder_cannot_use_are_tried_once_whoever_has_them(tmp_path: Path) -> None:
    async with bench(tmp_path, users=("anna", "ben")) as on:
        annas = on.add("annas.png", data=b"no picture")
        on.add("bens.png", owner="ben", data=b"no picture")
        counts = await on.sync()
        assert (counts.fetched, counts.failed) == (1, 1)
        (failure,) = on.stage.rows(failures)
        assert (failure.stage, failure.tries) == ("embed", 1)
        on.stage.immich.delete_asset(annas)
        on.stage.clock.move(hours=25)
        assert (await on.sync()).failed == 1
        (failure,) = on.stage.rows(failures)
        assert (failure.source, failure.tries) == ("ben", 2), "the pause grows whichever copy is tried"


async def test_bytes_known_under_another_name_are_not_embedded_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        on.add("uploaded.png")
        await on.sync()
        looks = len(on.embedder.engine.looks)
        on.stage.clock.move(hours=1)
        outside = on.add("external.png", library_id="11111111-1111-4111-8111-111111111111", checksum="c2F5cyBub3RoaW5n")
        on.stage.immich.touch(outside)
        counts = await on.sync()
        assert (counts.fetched, counts.aliases, counts.embedded) == (1, 1, 0)
        assert len(on.embedder.engine.looks) == looks
        assert {row.sha256 for row in on.stage.rows(fingerprints)} == {row.sha256 for row in on.stage.rows(contents)}
        assert len(on.stage.rows(fingerprints)) == 2
        assert on.staging_files == []


async def test_the_same_bytes_under_two_names_at_the_same_moment_are_no_two_new_faces(tmp_path: Path) -> None:
    async with bench(tmp_path, embedder={"max_in_flight": 2}) as on:
        on.add("uploaded.png")
        on.add("external.png", library_id="11111111-1111-4111-8111-111111111111", checksum="c2F5cyBub3RoaW5n")
        await on.stage.discover()
        at_engine, go_on = hold(on)
        work = asyncio.create_task(on.embed())
        await asyncio.to_thread(at_engine.wait, 20)
        await until(lambda: len(on.staging_files) == 2)
        await asyncio.sleep(0.2)  # neither is stored before the other is requested
        go_on.set()
        counts = await work
        assert (counts.embedded, counts.aliases, counts.faces, counts.failed) == (1, 1, 1, 0)
        assert (len(on.stage.rows(faces)), len(on.stage.rows(fingerprints))) == (1, 2)
        assert on.staging_files == []


async def test_a_removed_user_hides_no_picture_that_others_have_too(tmp_path: Path) -> None:
    async with bench(tmp_path, users=("anna", "ben")) as on:
        on.add("annas.png")
        shared = on.add("bens.png", owner="ben")
        for name in ("anna", "ben"):
            await on.stage.discover(name)
        counts = await on.embed("ben")
        assert (counts.fetched, counts.embedded) == (1, 1)
        assert on.fetched == [shared.asset_id]


@pytest.mark.parametrize(("detection", "is_guided"), [("full", False), ("guided", True)])
async def test_guided_detection_looks_around_the_boxes_in_original_pixels(
    tmp_path: Path, detection: str, is_guided: bool
) -> None:
    async with bench(tmp_path, detection=detection) as on:
        asset = on.add("a.png")
        asset.faces.clear()  # Immich's box is in a preview of half the size
        on.stage.immich.add_face(asset, box=(60, 55, 96, 105), image_width=160, image_height=120)
        on.embedder.engine.can_part = True
        assert (await on.sync()).embedded == 1
        if not is_guided:
            assert on.embedder.engine.parts == []
            return
        (area,) = on.embedder.engine.parts
        assert (area.x1, area.y1, area.x2, area.y2) == (120, 110, 192, 210)


async def test_a_guided_search_is_made_again_for_a_face_that_immich_learns_of_later(tmp_path: Path) -> None:
    async with bench(tmp_path, detection="guided", users=("anna", "ben")) as on:
        asset = on.add("a.png")
        on.embedder.engine.can_part = True
        await on.sync()
        known = {row.face_id for row in on.stage.rows(faces)}
        assert len(known) == 1

        async def later(box: tuple[int, int, int, int], name: str = "anna") -> int:
            """How many pictures are fetched once Immich knows this box too."""
            copy = asset if name == "anna" else on.add("copy.png", owner=name)
            on.stage.immich.add_face(copy, box=box, image_width=320, image_height=240)
            on.stage.clock.move(days=60)
            return (await on.sync()).fetched

        assert await later((121, 111, 193, 211)) == 0, "the same face once more"
        assert await later((10, 10, 30, 30)) == 0, "too small for a download"
        assert await later((200, 20, 260, 80)) == 1
        assert await later((201, 21, 261, 81)) == 0, "nothing was found there, and nothing is asked again"
        assert await later((20, 150, 80, 220), "ben") == 1, "a copy of another user"
        assert {row.face_id for row in on.stage.rows(faces)} >= known
        assert await later((0, 0, 0, 0)) == 1, "somebody, somewhere"
        assert await later((100, 10, 160, 70)) == 0, "it was looked at whole"


@pytest.mark.parametrize("detection", ["full", "guided"])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("version", ["2.7.5", "3.1.0", "3.3.5"])
async def test_a_box_of_zeros_says_that_somebody_is_there(
    tmp_path: Path, version: str, beside: bool, detection: str
) -> None:
    async with bench(tmp_path, version=version, detection=detection) as on:
        asset = on.add("a.png")
        asset.faces.clear()
        on.stage.immich.add_face(asset, box=(0, 0, 0, 0), image_width=320, image_height=240)
        if beside:
            on.stage.immich.add_face(asset, box=(10, 10, 20, 20), image_width=320, image_height=240)
        on.embedder.engine.can_part = True
        counts = await on.sync()
        assert (counts.embedded, counts.faces, counts.failed) == (1, 1, 0)


async def test_a_picture_that_lies_on_its_side_is_turned_because_immich_knows_a_face_in_it(tmp_path: Path) -> None:
    def see(view: View) -> list[Detection]:
        height, width = view.pixels.shape[:2]
        return [FACE] if height > width else []

    async with bench(tmp_path) as on:
        on.embedder.engine.see = see
        on.add("a.png")
        alone = on.add("b.png")
        alone.faces.clear()
        assert (await on.sync()).faces == 1


@pytest.mark.parametrize(
    ("change", "is_done_again"),
    [
        ({"detection": "guided"}, True),
        ({"crop_size": 128}, True),
        ({"crop_size": 65}, True),
        ({"crop_size": 64, "crop_padding": 0.4}, True),
        ({"crop_size": 128, "crop_padding": 0.7}, True),
        ({"crop_padding": 0.7}, True),
        ({"crop_size": 32}, False),
        ({"crop_size": 57, "crop_padding": 0.4}, False),
        ({"export_min_face_short": 30}, False),
        ({"export_min_face_short": 50}, False),
        ({"min_faces": 99}, False),
    ],
)
async def test_what_results_depend_on_is_done_again_when_it_changes(
    tmp_path: Path, change: dict[str, Any], is_done_again: bool
) -> None:
    async with bench(tmp_path) as on:
        on.add("a.png")
        await on.sync()
        before = [row.face_id for row in on.stage.rows(faces)]
        on.change(**change)
        assert (await on.sync()).embedded == int(is_done_again)
        assert [row.face_id for row in on.stage.rows(faces)] == before, "a face seen again stays the same face"
        assert len(on.stage.rows(embeddings)) == 1


async def test_a_picture_that_fails_is_recorded_rests_and_hinders_no_other(tmp_path: Path) -> None:
    async with bench(tmp_path, max_file_bytes=5000) as on:
        on.add("good.png")
        bad = on.add("bad.png", data=picture()[:60])
        on.add("empty.png", data=b"")
        on.add("huge.png", data=picture() + bytes(6000))
        counts = await on.sync()
        assert (counts.embedded, counts.failed) == (1, 3)
        hour = timedelta(hours=1)
        assert on.failures() == {
            "bad.png": ("corrupt", 1, hour),
            "empty.png": ("empty", 1, hour),
            "huge.png": ("too_large", 1, hour),
        }
        assert on.staging_files == []
        board = on.stage.conditions.board.stage("embed")
        assert (board.done, board.total, board.failed) == (4, 4, 3)

        asked = len(on.fetched)
        on.stage.clock.move(minutes=59)
        assert (await on.embed()).failed == 0
        assert len(on.fetched) == asked
        on.stage.clock.move(minutes=1)
        assert (await on.embed()).failed == 3
        assert on.fetched.count(bad.asset_id) == 2
        assert on.failures()["bad.png"] == ("corrupt", 2, 4 * hour)


async def test_a_slow_picture_fails_alone_and_those_that_waited_behind_it_are_read_in_the_same_run(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as on:
        slow = SlowEmbedder(on.embedder, picture(shade=1))
        on.add("slow.png", shade=1)
        for number in range(6):
            on.add(f"{number}.png", shade=100 + number)
        async with answering(slow.handle) as on.url:
            counts = await on.sync()
            assert (counts.embedded, counts.failed) == (6, 1)
            assert on.failures() == {"slow.png": ("too_slow", 1, timedelta(hours=1))}
            assert len(on.fetched) == 7
            asked = slow.asked.count(picture(shade=1))
            assert (await on.sync()).failed == 0, "it rests"
            assert slow.asked.count(picture(shade=1)) == asked
            on.change(embedding_timeout=on.stage.conditions.settings.embedding_timeout + 1)
            assert (await on.sync()).failed == 1, "it is tried again with more time"


async def test_an_embedder_that_answers_nothing_in_time_ends_the_run_and_blames_no_picture(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        slow = SlowEmbedder(on.embedder)
        slow.is_stuck = True
        for number in range(3):
            on.add(f"{number}.png", shade=100 + number)
        async with answering(slow.handle) as on.url:
            with pytest.raises(CircuitOpenError, match="to a test picture"):
                await on.sync()
            assert on.failures() == {}
            slow.is_stuck = False
            assert (await on.embed()).embedded == 3
        assert len(on.fetched) == 3


async def test_a_failure_is_forgotten_when_the_picture_is_done_after_all(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        asset = on.add("a.png")
        on.stage.immich.faults.add("original", "corrupt", asset_id=asset.asset_id)
        assert (await on.sync()).failed == 1
        assert on.failures()["a.png"][0] == "checksum_mismatch"
        on.stage.immich.faults.clear()
        on.stage.clock.move(hours=1)
        assert (await on.embed()).embedded == 1
        assert on.failures() == {}


async def test_fetched_bytes_that_cannot_be_used_leave_no_failure_of_fetching(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        asset = on.add("cut.png", data=picture()[:60])
        on.stage.immich.faults.add("original", "status", status=503, asset_id=asset.asset_id)
        await on.sync()
        on.stage.immich.faults.clear()
        await on.embed()
        assert [(row.stage, row.reason) for row in on.stage.rows(failures)] == [("embed", "corrupt")]


async def test_a_moments_failure_is_made_good_in_the_same_run(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        asset = on.add("a.png")
        on.add("b.png", shade=90)
        on.stage.immich.faults.add("original", "status", status=503, times=6, asset_id=asset.asset_id)
        counts = await on.sync()
        assert (counts.embedded, counts.failed) == (2, 0)
        assert on.failures() == {}


async def test_what_a_remote_fails_again_and_again_does_not_rest_at_first(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        asset = on.add("a.png")
        on.add("b.png", shade=90)
        on.stage.immich.faults.add("original", "status", status=503, asset_id=asset.asset_id)
        counts = await on.sync()
        assert (counts.embedded, counts.failed) == (1, 1)
        reason, _, pause = on.failures()["a.png"]
        assert (reason, pause) == ("unavailable", timedelta(0))
        on.stage.immich.faults.clear()
        assert (await on.embed()).embedded == 1
        assert on.failures() == {}


async def test_a_picture_deleted_meanwhile_is_gone_and_no_failure(tmp_path: Path) -> None:
    async with bench(tmp_path, users=("anna", "ben")) as on:
        annas = on.add("annas.png")
        bens = on.add("bens.png", owner="ben")
        for name in ("anna", "ben"):
            await on.stage.discover(name)
        on.stage.immich.delete_asset(annas)
        counts = await on.embed()
        assert (counts.fetched, counts.embedded, counts.failed) == (1, 1, 0), "the other user has the same bytes"
        assert on.fetched[-1] == bens.asset_id
        assert on.failures() == {}
        assert {row.file_name for row in on.stage.rows(assets) if row.is_gone} == {"annas.png"}


async def test_a_picture_that_is_missing_on_the_server_is_not_even_asked_for(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        on.add("a.png", is_offline=True)
        counts = await on.sync()
        assert (counts.fetched, counts.failed) == (0, 0)
        assert on.fetched == []


async def test_a_wrong_token_ends_the_run_and_blames_no_picture(tmp_path: Path) -> None:
    async with bench(tmp_path, embedder={"token": SecretStr("right")}) as on:
        on.add("a.png")
        await on.stage.discover()
        with pytest.raises(SetupError, match="FACESETS_EMBEDDER_TOKEN"):
            await on.embed(token="wrong")
        assert on.failures() == {}
        assert (await on.embed(token="right")).embedded == 1


async def test_what_was_fetched_and_not_yet_embedded_is_not_fetched_again(tmp_path: Path) -> None:
    async with bench(tmp_path, embedder={"max_in_flight": 1}, fetch_concurrency=2) as on:
        for number in range(6):
            on.add(f"{number}.png", shade=100 + number)
        await on.stage.discover()
        at_engine, go_on = hold(on)
        work = asyncio.create_task(on.embed())
        await asyncio.to_thread(at_engine.wait, 20)
        await until(lambda: len(on.staging_files) >= 5)
        on.stage.conditions.stop.set()
        go_on.set()
        async with asyncio.timeout(20):
            counts = await work
        assert counts.embedded == 1, "pictures in flight are finished"
        kept, asked = len(on.staging_files), len(on.fetched)
        assert kept >= 4
        assert (await on.embed()).reused == 0, "a run that is stopped before it begins fetches nothing"
        assert len(on.staging_files) == kept, "a stopped run deletes nothing"
        on.stage.conditions.stop.clear()
        again = await on.embed()
        assert (again.reused, again.embedded) == (kept, 5)
        assert len(on.fetched) == asked + 5 - kept
        assert len(set(on.fetched)) == 6
        assert on.staging_files == []


async def test_a_picture_whose_crop_is_lost_is_done_again_and_its_face_stays_the_same(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        for number in range(3):
            on.add(f"{number}.png", shade=100 + number)
        await on.sync()
        before = {row.face_id: row.file for row in on.stage.rows(crops)}
        lost = on.stage.conditions.crops_dir / before[min(before)]
        lost.unlink()
        counts = await on.sync()
        assert (counts.fetched, counts.embedded) == (1, 1)
        assert lost.is_file()
        assert {row.face_id: row.file for row in on.stage.rows(crops)} == before


async def test_of_a_forgotten_face_not_even_a_crop_is_written(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        on.add("0.png", shade=100)
        await on.sync()
        (row,), store = on.stage.rows(faces), on.stage.conditions.store
        made = await store.write(decisions.record_decision, Forget(1), made_by="anna", now=START)
        place = ForgottenFace(digest_of("salt", row.sha256), Box(row.x1, row.y1, row.x2, row.y2))
        await store.write(forgotten.remember_forgotten, made, Forget(1, salt="salt", places=(place,)), START)
        shutil.rmtree(on.stage.conditions.crops_dir)
        counts = await on.sync()
        assert (counts.fetched, counts.embedded) == (1, 1), "its crop is lost"
        assert [on.stage.rows(table) for table in (faces, vectors, crops)] == [[], [], []]
        assert not [path for path in on.stage.conditions.crops_dir.rglob("*") if path.is_file()]
        assert (await on.sync()).fetched == 0


async def test_unused_pictures_of_previous_runs_are_deleted(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        on.add("a.png")
        stray = on.stage.conditions.staging_dir / f"{'0' * 40}.{'0' * 64}"
        stray.parent.mkdir()
        stray.write_bytes(b"of a picture that was deleted meanwhile")
        await on.sync()
        assert on.staging_files == []


async def test_an_unfinished_picture_of_a_dropped_user_keeps_nothing_in_staging(tmp_path: Path) -> None:
    """Of three users with a fetched picture each, one is read, one is left out this time, one is not in the settings."""
    async with bench(tmp_path, users=("anna", "bea", "cara")) as on:
        added = {name: on.add(f"{name}.png", owner=name, shade=100 + at) for at, name in enumerate(on.stage.sources)}
        for name in added:
            await on.stage.discover(name)
        staged_files = {name: stage_by_hand(on, asset) for name, asset in added.items()}
        stray = on.stage.conditions.staging_dir / f"{'0' * 40}.{'0' * 64}"
        stray.write_bytes(b"of a picture that was deleted meanwhile")
        counts = await on.embed("anna", configured=("anna", "bea"))
        assert (counts.reused, counts.embedded) == (1, 1)
        assert on.staging_files == [staged_files["bea"]]
        assert (await on.embed("bea", configured=("anna", "bea"))).reused == 1
        assert (on.staging_files, on.fetched) == ([], [])
        assert (await on.embed()).fetched == 1, "a user who is back in the settings has the picture fetched again"


def stage_by_hand(on: Bench, asset: FakeAsset) -> Path:
    """The picture in staging, as a run leaves it that was killed before it was embedded."""
    staging = Staging(on.stage.conditions.staging_dir, room=on.room)
    staging.prepare()
    path = staging.folder / ".part"
    data = asset.data
    assert isinstance(data, bytes)
    path.write_bytes(data)
    sha1, sha256 = (hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in ("sha1", "sha256"))
    found = Staged(path, len(data), sha1, sha256)
    return staging.keep(on.stage.row(assets, asset).fingerprint, found).path


async def test_a_stop_also_ends_callers_that_wait_for_space(tmp_path: Path) -> None:
    async with bench(tmp_path, embedder={"max_in_flight": 1}, fetch_concurrency=3) as on:
        on.room = 1
        for number in range(8):
            on.add(f"{number}.png", shade=100 + number)
        await on.stage.discover()
        at_engine, go_on = hold(on)
        work = asyncio.create_task(on.embed())
        await asyncio.to_thread(at_engine.wait, 20)
        await until(lambda: len(on.staging_files) >= 3)
        await asyncio.sleep(0.1)  # all others wait for space now
        assert len(on.fetched) == 3
        on.stage.conditions.stop.set()
        go_on.set()
        async with asyncio.timeout(20):
            assert (await work).embedded == 1
        assert len(on.fetched) == 3, "nothing is begun after the stop"
        on.stage.conditions.stop.clear()
        async with asyncio.timeout(60):
            assert (await on.embed()).embedded == 7, "with little space it continues one by one"


def hold(on: Bench) -> tuple[threading.Event, threading.Event]:
    """Make the engine wait: the first event is set when it waits, the second releases it."""
    at_engine, go_on = threading.Event(), threading.Event()

    def wait(_views: object) -> None:
        at_engine.set()
        go_on.wait(30)

    on.embedder.engine.before_detect = wait
    return at_engine, go_on


async def test_a_picture_above_a_limit_is_tried_again_when_the_limit_is_raised(tmp_path: Path) -> None:
    async with bench(tmp_path, embedder={"max_pixels": 320 * 240 - 1}) as scene:
        scene.add("large.png")
        assert (await scene.sync()).failed == 1
        scene.stage.clock.move(minutes=1)
        assert (await scene.sync()).failed == 0, "it rests"
        assert len(scene.fetched) == 1
        async with running(scene.embedder.engine, max_pixels=320 * 240) as larger:
            scene.embedder = larger
            counts = await scene.sync()
        assert (counts.embedded, counts.failed) == (1, 0)


async def test_a_file_above_the_size_limit_is_tried_again_when_that_is_raised(tmp_path: Path) -> None:
    async with bench(tmp_path, max_file_bytes=100) as scene:
        scene.add("large.png")
        assert (await scene.sync()).failed == 1
        assert (await scene.sync()).failed == 0, "it rests"
        scene.change(max_file_bytes=1 << 20)
        settings = scene.stage.conditions.settings
        found = User(name="anna", api_key=SecretStr(scene.stage.immich.library.users["anna"].api_key))
        await scene.stage.sources["anna"].close()
        scene.stage.sources["anna"] = build_immich_source(found, settings)
        assert (await scene.sync()).embedded == 1
        scene.change(max_file_bytes=100)
        assert (await scene.sync()).failed == 0


async def test_a_crop_of_an_export_is_never_taken_in(tmp_path: Path) -> None:
    exported = png(np.full((240, 320, 3), 90, np.uint8), provenance(asset_id="a", identity=1, version="1.0"))
    sheet = marked_jpeg(cv2.imencode(".jpg", np.full((240, 320, 3), 90, np.uint8))[1].tobytes())
    async with bench(tmp_path) as on:
        on.add("0001.png", data=exported)
        on.add("sheet.jpg", data=sheet)
        on.add("photo.png")
        counts = await on.sync()
        assert (counts.embedded, counts.failed) == (1, 2)
        assert len(on.stage.rows(faces)) == 1
        assert {name: reason for name, (reason, _, _) in on.failures().items()} == {
            "0001.png": "own_export",
            "sheet.jpg": "own_export",
        }
        assert on.staging_files == []
