"""
The embedder with the free pack beside OpenCV's own classes with the same models, on the labelled photos.

The baseline is a loop over the photos: ``imread``, ``FaceDetectorYN``, ``FaceRecognizerSF``, with the threads that OpenCV
takes by itself. The embedder serves the same files over HTTP, to several clients. Both are measured in turns.

Run: python tests/bench/bench_free_speed.py [--rounds 5] [--in-flight 8]
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from measured_embedder import measured_embedder, served  # noqa: E402  the repository must be found first

from embedder.engines.yunet import THRESHOLD  # noqa: E402  the repository must be found first
from immich_facesets.model_packs import FREE_PACK  # noqa: E402  the repository must be found first
from immich_facesets.runtime.model_folder import BUILT_IN  # noqa: E402  the repository must be found first

SIDE = 640


class Loop:
    """OpenCV's way: one picture after the other, one face after the other."""

    def __init__(self) -> None:
        yunet, sface = sorted((BUILT_IN / FREE_PACK).glob("*.onnx"))
        self._detector = cv2.FaceDetectorYN.create(str(yunet), "", (SIDE, SIDE), THRESHOLD)
        self._recogniser = cv2.FaceRecognizerSF.create(str(sface), "")

    def faces(self, path: Path) -> int:
        """Return how many faces were recognised."""
        pixels = cv2.imread(str(path))
        assert pixels is not None
        factor = min(1.0, SIDE / max(pixels.shape[:2]))
        shown = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        self._detector.setInputSize(shown.shape[1::-1])
        rows = self._detector.detect(shown)[1]
        for row in np.zeros((0, 15)) if rows is None else rows:
            row[:14] /= factor
            self._recogniser.feature(self._recogniser.alignCrop(pixels, row))
        return 0 if rows is None else len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=8)
    asked = parser.parse_args()
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    found = set(np.load(data / "reference_bench_s.npz")["path"].tolist())
    paths = [data / path for path in sorted(found) if path.endswith(".jpg")]
    loop, pictures = Loop(), [path.read_bytes() for path in paths]
    loop.faces(paths[0])
    packs = {"free": (BUILT_IN, FREE_PACK), "bench_s": (data / "models", "bench_s")}
    ratios: dict[str, list[float]] = {name: [] for name in packs}
    with measured_embedder(*packs["free"]) as free, measured_embedder(*packs["bench_s"]) as other:
        for _ in range(asked.rounds):
            begun = time.perf_counter()
            faces = sum(loop.faces(path) for path in paths)
            took = time.perf_counter() - begun
            line = f"OpenCV's loop {len(paths) / took:5.1f} pictures/s, {faces} faces"
            for name, (url, process) in (("free", free), ("bench_s", other)):
                ours = asyncio.run(served(url, process, pictures, asked.in_flight))
                ratios[name].append(took / ours.clock)
                line += f"; {name} {len(paths) / ours.clock:5.1f}, {ours.faces} faces"
            print(line, flush=True)
    for name, values in ratios.items():
        print(f"{name}: {statistics.median(values):.2f} times as fast as OpenCV's loop")


if __name__ == "__main__":
    main()
