"""
The changes that the margin of the crop checks makes: crops of the labelled photos, checked with it and without.

The crops are those of all faces of 60 pixels or more. "Others" are crops in which SCRFD-2.5G finds a further face in
the exported picture: whole, framed or painted. It is a reader's detector here; with ``--further`` it is asked by the checks, too.

Run: python tests/bench/bench_crop_checks.py [--further]
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from builders import INFO  # noqa: E402  the path is set above
from faceset_builders import RULES, candidate, face  # noqa: E402
from real_embedder import pipeline_of  # noqa: E402
from testdata import shared_data  # noqa: E402

from embedder.engine import FaceEngine, Pixels, View  # noqa: E402
from embedder.engines.onnx import OnnxEngine, Tuning  # noqa: E402
from embedder.enrichment.model_discovery import find_further_detectors  # noqa: E402
from embedder.models.pack import open_pack  # noqa: E402
from embedder.pipeline import Pipeline  # noqa: E402
from immich_facesets.exports.crop_checks import CropFacts  # noqa: E402
from immich_facesets.exports.crops import Picture, paint_over  # noqa: E402
from immich_facesets.face_requests import CropRequest, FacesRequest  # noqa: E402
from immich_facesets.faces import Box, Face  # noqa: E402
from immich_facesets.facesets.faceset import ExportFace  # noqa: E402
from immich_facesets.quality.score import quality  # noqa: E402
from immich_facesets.wire import FacesAnswer, Info  # noqa: E402
from service.embedders.pool import EmbedderPool  # noqa: E402
from service.files.crops import keep_crop  # noqa: E402
from service.passes.context import PassContext  # noqa: E402
from service.passes.publishing.crop_checks import CropChecks  # noqa: E402
from service.progress import ProgressBoard  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.store.database import Store  # noqa: E402
from service.store.exports import StoredCrop  # noqa: E402

LEAST_SHORT = 60.0


class Asked:
    """The pipeline as the checks ask it. ``has_margin``: whether suspects are answered."""

    info: Info = INFO

    def __init__(self, pipeline: Pipeline, *, has_margin: bool) -> None:
        self._pipeline = pipeline
        self._has_margin = has_margin

    async def faces(self, picture: bytes, request: FacesRequest, *, alone: bool = False) -> FacesAnswer:
        assert not alone
        return await self._pipeline.answer(picture, request if self._has_margin else FacesRequest())


def checks_of(pipeline: Pipeline, folder: Path, *, has_margin: bool) -> CropChecks:
    settings = Settings(data_dir=folder, immich_url="http://127.0.0.1:1")
    conditions = PassContext(cast("Store", None), settings, ProgressBoard(), asyncio.Event())
    return CropChecks(conditions, cast("EmbedderPool", Asked(pipeline, has_margin=has_margin)), RULES)


async def crops_of(pipeline: Pipeline, photos: list[Path], folder: Path) -> list[tuple[Face, StoredCrop]]:
    found: list[tuple[Face, StoredCrop]] = []
    request = FacesRequest(crop=CropRequest(side=RULES.out_size, min_short=LEAST_SHORT, pad_ratio=RULES.pad_ratio))
    for photo in photos:
        answer = await pipeline.answer(photo.read_bytes(), request)
        for seen in answer.faces:
            if seen.crop is None:
                continue
            name = keep_crop(folder / "crops", f"{len(found):064x}", seen.crop.image)
            of = replace(face(len(found), landmarks=seen.points()), box=seen.face_box())
            stored = StoredCrop(
                name,
                Box(*seen.crop.area),
                answer.width,
                answer.height,
                RULES.pad_ratio,
                None,
                None,
                None,
                (),
                RULES.out_size,
            )
            found.append((of, stored))
    return found


def fate(facts: CropFacts) -> str:
    """Return what becomes of a crop, whichever person it is of."""
    if facts.finished.main is None:
        return "no face"
    if len(facts.finished.faces) == 1:
        return "whole"
    if facts.framed is not None:
        return "framed"
    return "painted" if facts.painted is not None and len(facts.painted.faces) == 1 else "left out"


def exported(checks: CropChecks, of: Face, facts: CropFacts) -> Picture:
    if facts.frame is not None:
        return checks.finished(of, Box(*facts.frame).scaled(RULES.out_size, RULES.out_size))
    picture = checks.finished(of)
    return paint_over(picture, facts.finished.strangers, checks.place(of)) if facts.painted is not None else picture


def seen_by(reader: FaceEngine, picture: Picture) -> int:
    pixels: Pixels = np.ascontiguousarray(cast("Pixels", cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)))
    view: View = reader.view(pixels)
    return len(reader.detect([view])[0])


async def main(data: Path, *, further: bool) -> None:
    pack = open_pack(data / "models", "bench_s")
    others = find_further_detectors(data / "models", pack.detector)
    reader = OnnxEngine(replace(pack, detector=others[0]), Tuning())
    photos = sorted(path for path in (data / "images").rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        async with pipeline_of(OnnxEngine(pack, Tuning(), others if further else ())) as pipeline:
            crops = await crops_of(pipeline, photos, Path(folder))
            fates: dict[bool, list[str]] = {}
            for has_margin in (False, True):
                checks = checks_of(pipeline, Path(folder), has_margin=has_margin)
                checks.crops = {of.face_id: stored for of, stored in crops}
                fates[has_margin], crowded = [], 0
                for of, _ in crops:
                    facts = await checks._facts(ExportFace(candidate(of=of), quality(of), 0.1))
                    fates[has_margin].append(fate(facts))
                    if fates[has_margin][-1] in {"whole", "framed", "painted"}:
                        crowded += seen_by(reader, exported(checks, of, facts)) > 1
                word = "with a margin" if has_margin else "without"
                print(f"{word}: {dict(Counter(fates[has_margin]))}, another face for {others[0].name}: {crowded}")
            changes = Counter(pair for pair in zip(fates[False], fates[True], strict=True) if pair[0] != pair[1])
            print(f"{len(crops)} crops; changed: {dict(changes)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--further", action="store_true", help="ask the detectors in the folder extra, too")
    asyncio.run(main(shared_data() / "data", further=parser.parse_args().further))
