"""
The smallest faces that each detector finds in one look, and what closer looks find and cost.

The first table has the share of faces found in one look, by their shorter side in pixels of the detector's input. The
second has faces of the gate's size in pictures of several sizes, searched by the embedder: the share found in one look,
the share found with closer looks, and the time in times of one look. Both are measured in turns.

Run: python tests/bench/bench_looks.py [--rounds 4]
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from crowds import Crowd, Crowds  # noqa: E402  the path is set above

from embedder.decoding.decoding import DecodingThreads  # noqa: E402
from embedder.engine import FaceEngine  # noqa: E402
from embedder.engines.onnx import OnnxEngine, Tuning  # noqa: E402
from embedder.images.decoder import Decoder  # noqa: E402
from embedder.metrics import EmbedderMetrics  # noqa: E402
from embedder.models.pack import open_pack  # noqa: E402
from embedder.pipeline import Pipeline, PipelineSize  # noqa: E402
from immich_facesets.face_requests import CropRequest, FacesRequest  # noqa: E402
from immich_facesets.model_packs import FREE_PACK  # noqa: E402
from immich_facesets.runtime.model_folder import BUILT_IN  # noqa: E402

GATE = 90.0
ONE_LOOK = 1e5
"""The size of a face for which one look is enough at every size of picture."""

IN_VIEW = (8, 10, 12, 14, 16, 18, 21, 24)
SIZES = ((3000, 2000), (4032, 3024), (6000, 4000), (8064, 6048), (14_000, 2600), (12_000, 12_000))
FACES = 20


@contextmanager
def engines(data: Path) -> Iterator[dict[str, FaceEngine]]:
    """One engine for each detector at hand."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        links = {
            "larger/det_2.5g.onnx": "extra/det_2.5g.onnx",
            "larger/w600k_mbf.onnx": "bench_s/w600k_mbf.onnx",
        }
        for link, file in links.items():
            (models / link).parent.mkdir(exist_ok=True)
            (models / link).symlink_to((data / "models" / file).resolve())
        yield {
            "SCRFD-500M": OnnxEngine(open_pack(data / "models", "bench_s"), Tuning(threads=1)),
            "SCRFD-2.5G": OnnxEngine(open_pack(models, "larger"), Tuning(threads=1)),
            "YuNet": OnnxEngine(open_pack(BUILT_IN, FREE_PACK), Tuning(threads=1)),
        }


def share_found(engine: FaceEngine, crowds: Crowds, short: float, rounds: int) -> float:
    """The share of faces of this size in the view that one look at a picture of 12 megapixels finds."""
    width = SIZES[1][0]
    size = short * width / engine.facts.look_side
    decoder, hits = Decoder(10**9), list[bool]()
    for seed in range(rounds):
        crowd = crowds.draw(SIZES[1], (size, size), FACES, seed=seed)
        picture = decoder.decode(crowd.jpeg, lambda _width, _height: width / (engine.facts.view_side or width))
        seen = [picture.outside(one).box for one in engine.detect([engine.view(picture.pixels)])[0]]
        hits += [at >= 0 for at in crowd.found(seen)]
    return float(np.mean(hits))


async def compare(pipeline: Pipeline, crowds: list[Crowd]) -> tuple[float, float, float]:
    """The shares found in one look and with closer looks, and the ratio of their times."""
    found: dict[float, list[bool]] = {ONE_LOOK: [], GATE: []}
    ratios = []
    for crowd in crowds:
        took = {}
        for short in (ONE_LOOK, GATE):
            begun = time.perf_counter()
            answer = await pipeline.answer(crowd.jpeg, FacesRequest(crop=CropRequest(512, 100.0), face_short=short))
            took[short] = time.perf_counter() - begun
            found[short] += [at >= 0 for at in crowd.found([face.face_box() for face in answer.faces])]
        ratios.append(took[GATE] / took[ONE_LOOK])
    return float(np.mean(found[ONE_LOOK])), float(np.mean(found[GATE])), statistics.median(ratios)


async def measure_sizes(name: str, engine: FaceEngine, crowds: Crowds, rounds: int) -> None:
    pipeline = Pipeline(
        engine, DecodingThreads(Decoder(10**9)), PipelineSize(), EmbedderMetrics(), on_crash=lambda _lane, _error: None
    )
    try:
        for width, height in SIZES:
            drawn = [crowds.draw((width, height), (GATE, 1.05 * GATE), FACES, seed=seed) for seed in range(rounds)]
            once, close, ratio = await compare(pipeline, drawn)
            print(f"{name:>10} {f'{width} x {height}':>15} {once:9.1%} {close:9.1%} {ratio:6.2f}", flush=True)
    finally:
        pipeline.close(wait_seconds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    asked = parser.parse_args()
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    crowds = Crowds(data)
    with engines(data) as opened:
        print(f"{'detector':>10}" + "".join(f"{short:8}" for short in IN_VIEW) + "   pixels of the view")
        for name, engine in opened.items():
            shares = (share_found(engine, crowds, short, asked.rounds) for short in IN_VIEW)
            print(f"{name:>10}" + "".join(f"{share:8.1%}" for share in shares), flush=True)
        print(f"{'detector':>10} {'picture':>15} {'one look':>9} {'closer':>9} {'time':>6}")
        for name, engine in opened.items():
            asyncio.run(measure_sizes(name, engine, crowds, asked.rounds))


if __name__ == "__main__":
    main()
