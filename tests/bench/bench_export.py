"""
Cost of writing face sets against the bare encoding of their PNGs, with the encoder's own settings.

    PYTHONPATH=.:tests/support python tests/bench/bench_export.py [face sets, 12] [faces of each, 100]

The kept crops are drawn, with the noise of photos. Our side is the whole publishing of a face set that is due. It
selects faces, reads and resizes the crops, and encodes the PNGs with their texts. It also writes the manifest, both
bundles, the report and the contact sheet, and syncs every file to disk. Both sides process the same pictures in turns,
face set by face set. Processor time is compared, because other programs may use the machine. The aim is 1.3 times the
bare cost. The second export links unchanged files.
"""

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from faceset_builders import RULES, candidate, face, jpeg, picture, vectors

from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.exports.crops import PNG_SETTINGS, Picture, finished_picture
from immich_facesets.exports.fsz import of_faceset
from immich_facesets.faces import Box
from immich_facesets.facesets.curation import build_faceset, choose, curate
from immich_facesets.facesets.faceset import Candidate, Check, Faceset, Verdict
from service.embedders.pool import EmbedderPool
from service.files.crops import keep_crop
from service.files.export_tree import ExportTree
from service.files.picture_shelf import PictureShelf
from service.passes.context import PassContext
from service.passes.publishing.crop_checks import CropChecks
from service.passes.publishing.crop_rendering import Drawing
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.database import Store
from service.store.exports import StoredCrop

AIM = 1.3
SIDE = 512


def kept_crops(folder: Path, count: int) -> list[str]:
    """Write kept crops, broad shapes under the grain of a photo, and return their names."""
    names = []
    for seed in range(count):
        grain = np.random.default_rng(seed).normal(0.0, 3.0, (SIDE, SIDE, 3))
        shown = np.clip(picture(SIDE, seed=seed) + cv2.GaussianBlur(grain, (3, 3), 0), 0, 255).astype(np.uint8)
        names.append(keep_crop(folder, f"{seed:064x}", jpeg(shown)))
    return names


def face_sets(count: int, faces: int) -> list[Faceset]:
    """Face sets with faces of many days and angles; every sixth crop failed its check."""
    rows = [life(faces + faces // 5)] * count
    near = vectors(len(rows[0]))
    found = []
    for number, candidates in enumerate(rows, start=1):
        checks = {
            one.face.face_id: Check(Verdict.NONE if one.face.face_id >= faces else Verdict.OK) for one in candidates
        }
        built = build_faceset(choose(curate(candidates, near, RULES), checks), identity=number, label=f"No {number}")
        assert built is not None
        found.append(built)
    return found


def life(faces: int) -> list[Candidate]:
    dice = np.random.default_rng(1)
    found = []
    for number in range(faces):
        yaw, blur = dice.uniform(-60, 60), dice.uniform(60, 900)
        seen = replace(face(number, yaw=float(yaw), blur=float(blur)), box=Box(100, 100, 300, 340))
        day = f"20{10 + number % 12}-{1 + number % 12:02d}-{1 + number % 28:02d}"
        found.append(candidate(number, of=seen, taken=day))
    return found


class Export:
    """Our way from kept crops to directories."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        settings = Settings(data_dir=folder / "data", immich_url="http://127.0.0.1:1")
        nothing = cast("Store", None)
        conditions = PassContext(nothing, settings, ProgressBoard(), asyncio.Event())
        checks = CropChecks(conditions, cast("EmbedderPool", None), RULES)
        area = Box(0, 0, 2 * SIDE, 2 * SIDE)
        checks.crops = {
            number: StoredCrop(name, area, 2 * SIDE, 2 * SIDE, 0.5, None, None, "ok", (), SIDE)
            for number, name in enumerate(names)
        }
        self.drawing = Drawing(checks, RULES, "1")
        (folder / "exports").mkdir()
        self.tree = ExportTree(folder / "exports")

    def artifact(self, faceset: Faceset) -> ExportArtifact:
        drawing = self.drawing
        return of_faceset(faceset, space="space", rules=RULES, draw=drawing.picture, thumbnail=drawing.thumbnail)

    def write(self, faceset: Faceset) -> None:
        artifact = self.artifact(faceset)
        self.tree.write_directory(artifact.path, artifact.files(), PictureShelf(cores=1))


def bare(pictures: list[Picture]) -> None:
    for shown in pictures:
        cv2.imencode(".png", shown, PNG_SETTINGS)


def costs(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of processor and of the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def main(count: int = 12, faces: int = 100) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = kept_crops(root / "data" / "crops", faces + faces // 5)
        pictures = [
            finished_picture((root / "data" / "crops" / name).read_bytes(), RULES.out_size) for name in names[:faces]
        ]
        sets, export = face_sets(count, faces), Export(root, names)
        assert all(len(one.faces) == faces and one.omitted for one in sets)
        bare(pictures[:10])
        ours, theirs = [], []
        for one in sets:
            theirs.append(costs(partial(bare, pictures)))
            ours.append(costs(partial(export.write, one)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        again = [costs(partial(export.write, one)) for one in sets]
        written = sum(path.stat().st_size for path in (root / "exports").rglob("*") if path.is_file())
    cpu = statistics.median(our[0] / their[0] for our, their in zip(ours, theirs, strict=True))
    wall = statistics.median(our[1] / their[1] for our, their in zip(ours, theirs, strict=True))
    each = statistics.median(our[1] for our in ours)
    print(f"{count} face sets of {faces} crops, {written / 2**20:.0f} MiB: {each:.1f} s each")
    print(f"  against bare encoding: {cpu:.2f} times the processor time (aim {AIM}), {wall:.2f} times the time")
    print(f"  all again, nothing changed: {statistics.median(one[1] for one in again):.1f} s each")
    print(f"  memory of the whole process: {before / 2**10:.0f} MiB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
