"""Landmarks and head pose of faces that may be exported: measured once each, across kills and restarts."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from embedder_scene import Scene, running
from fork_server import KILLED
from journey import NOTHING, Journey, Unkilled
from small_models import write_pooled
from sqlalchemy import func, select
from sync_result import SyncResult, read

from embedder.engines.synthetic import SyntheticEngine
from embedder.enrichment.lanes import Enriched as Found
from embedder.enrichment.lanes import Enricher, EnrichmentModels, LandmarkCrop
from embedder.enrichment.model_discovery import EnrichmentFiles, find_enrichment_files
from embedder.models.sessions import Device
from immich_facesets.quality.landmarks import Enriched
from immich_facesets.runtime.model_folder import EXTRA_FOLDER
from service.store.enrichments import enriched_faces
from service.store.placed_pictures import exportable_faces
from service.store.spaces import active_space
from service.store.tables import enrichments

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

PLACES = np.random.default_rng(1).uniform(-0.5, 0.5, (106, 2))
SETTINGS = {"FACESETS_EXPORT_PROFILES": "fsz,npz"}


class Watched(Enricher):
    """A landmark model that counts its input faces."""

    def __init__(self, files: EnrichmentFiles) -> None:
        super().__init__(files, Device(threads=1))
        self.count = 0

    def enrich(self, looks: Sequence[LandmarkCrop]) -> list[Found]:
        self.count += len(looks)
        return super().enrich(looks)

    def shown(self) -> int:
        """Return the number of faces since the last call."""
        count, self.count = self.count, 0
        return count


def models(folder: Path, *, yaw: float = 128.0) -> tuple[EnrichmentModels, Watched]:
    """Models with the same answer for every face: 106 fixed points, and a head whose yaw is the colour."""
    write_pooled(folder / "pack" / "2d106det.onnx", np.zeros((3, 212)), bias=PLACES.reshape(-1), side=192)
    write_pooled(folder / EXTRA_FOLDER / "fsanet.onnx", np.eye(3) * yaw, side=64, batch=1)
    files = find_enrichment_files(folder, "pack")
    watched = Watched(files)
    return EnrichmentModels(files, enricher=watched), watched


class Beside:
    """A journey whose service uses this embedder."""

    def __init__(self, journey: Journey, scene: Scene, start: Path) -> None:
        self.journey = journey
        self.settings = {**SETTINGS, "FACESETS_EMBEDDER_URLS": str(scene.client.base_url).rstrip("/")}
        self.start = start

    def begin(self) -> None:
        shutil.rmtree(self.journey.data, ignore_errors=True)
        self.journey.begin_from(self.start)

    async def sync(self, *, die_at: tuple[str, str, int] | tuple[()] = (), more: Mapping[str, str] = NOTHING) -> None:
        service = await self.journey.sync(settings={**self.settings, **more}, die_at=die_at)
        assert service.code == (KILLED if die_at else 0), service.stderr[-3000:]

    def found(self) -> dict[int, Enriched]:
        found: dict[int, Enriched] = read(self.journey.data, lambda tx: enriched_faces(tx, active_space(tx) or ""))
        return found

    def result(self) -> SyncResult:
        return self.journey.result()

    def check_points(self) -> None:
        """
        Check that every face that may be exported has points around the middle of its box in the original picture.
        """
        faces = read(self.journey.data, lambda tx: exportable_faces(tx, active_space(tx) or ""))
        exportable = [face for face, identity in faces if identity and face.face_short >= 40]
        found = self.found()
        assert found.keys() == {face.face_id for face in exportable}
        for face in exportable:
            points, box = found[face.face_id].of_106, face.box
            assert points is not None
            middle, side = np.array([box.x1 + box.x2, box.y1 + box.y2]) / 2, 0.75 * max(box.width, box.height)
            assert points == pytest.approx(middle + PLACES * side, abs=0.05 * side)
            pose = found[face.face_id].pose
            assert pose is not None
            assert abs(pose.yaw) < 128


@pytest.mark.slow
async def test_every_face_that_may_be_exported_is_measured_once_through_kills_and_again_by_another_model(
    journey: Journey, unkilled: Unkilled, tmp_path: Path
) -> None:
    extras, watched = models(tmp_path / "models")
    async with running(cast("Any", SyntheticEngine()), enrichment=extras) as scene:
        beside = Beside(journey, scene, unkilled.embedded)
        beside.begin()
        await beside.sync(more={"FACESETS_ENRICH": "off"})
        assert beside.found() == {}
        assert watched.shown() == 0
        plain = beside.result().files
        await beside.sync()
        beside.check_points()
        whole, count = beside.result(), len(beside.found())
        assert whole.files != plain
        (cache,) = (path for path in (journey.data / "exports").rglob("anna/cache.npz"))
        with np.load(cache, allow_pickle=False) as columns:
            assert columns["landmark_2d_106"].shape == (len(columns["path"]), 106, 2)
            assert "landmark_3d_68" not in columns
        assert watched.shown() == count
        beside.begin()
        for moment in ("before", "during", "after"):
            await beside.sync(die_at=("record_enrichment", moment, 2))
        await beside.sync()
        under_way = scene.pipeline.size.max_in_flight
        assert count <= watched.shown() <= count + 3 * under_way
        assert beside.result().files == whole.files
    extras, watched = models(tmp_path / "others", yaw=60.0)
    async with running(cast("Any", SyntheticEngine()), enrichment=extras) as scene:
        beside.settings["FACESETS_EMBEDDER_URLS"] = str(scene.client.base_url).rstrip("/")
        await beside.sync()
        await beside.sync()
        assert watched.shown() == count
        rows = read(journey.data, lambda tx: tx.scalar(select(func.count()).select_from(enrichments)))
        assert rows == count
    async with running(cast("Any", SyntheticEngine())) as scene:  # without such models everything stays as it is
        before = beside.result().files
        beside.settings["FACESETS_EMBEDDER_URLS"] = str(scene.client.base_url).rstrip("/")
        await beside.sync()
        assert beside.result().files == before
