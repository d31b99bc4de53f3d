"""
Accuracy and speed of a recogniser in 32, 16 and 8 bits, on the same crops.

It takes the labelled photos of FACESETS_TEST_DATA, one thread, one face at a time. Run: python
tests/bench/bench_precision.py
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.transformers import float16

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from labelled_photos import labelled_photos  # noqa: E402  the repository must be found first

from embedder.engine import Detection  # noqa: E402  the repository must be found first
from embedder.engines.recogniser import Recogniser, Recognition  # noqa: E402  the repository must be found first
from embedder.images import alignment  # noqa: E402  the repository must be found first
from embedder.images.decoder import Decoder  # noqa: E402  the repository must be found first
from embedder.models.onnx_header import read_header  # noqa: E402  the repository must be found first
from embedder.models.pack import KnownRecogniser, ModelFile  # noqa: E402  the repository must be found first
from embedder.models.sessions import Device, open_session  # noqa: E402  the repository must be found first
from immich_facesets.evaluation.metrics import pair_distances, tar_at_far  # noqa: E402  the repository must be found first
from immich_facesets.faces import Box  # noqa: E402  the repository must be found first
from immich_facesets.model_packs import RECOGNISERS  # noqa: E402  the repository must be found first

FARS = 1e-3, 1e-4
FAMILY = RECOGNISERS["w600k_mbf"]


def labelled_crops(data: Path) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """The aligned crop of every face whose name is known, and the names."""
    photos, found = labelled_photos(data), np.load(data / "reference_bench_s.npz")
    decoder, crops, names = Decoder(150_000_000), list[NDArray[np.uint8]](), list[str]()
    pixels: dict[str, NDArray[np.uint8]] = {}
    for row, name in enumerate(photos.names):
        path = str(found["path"][row])
        if name is None or "orient_" in path:
            continue
        if path not in pixels:
            pixels = {path: decoder.decode((data / path).read_bytes()).pixels}
        a, b, c, d, e = ((float(x), float(y)) for x, y in found["kps"][row])
        face = Detection(Box(*found["bbox"][row].tolist()), (a, b, c, d, e), 1.0)
        crops.append(alignment.align(pixels[path], face, FAMILY.side).crop)
        names.append(name)
    return crops, names


def main() -> None:
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    crops, names = labelled_crops(data)
    with tempfile.TemporaryDirectory() as folder:
        half = Path(folder) / "half.onnx"
        whole = data / "models" / "bench_s" / "w600k_mbf.onnx"
        onnx.save(float16.convert_float_to_float16(onnx.load(str(whole))), str(half))
        eight = data / "models" / "extra" / "w600k_mbf_int8_original.onnx"
        kinds = {"float32": whole, "float16": half, "int8": eight}
        models = {
            kind: Recogniser(
                KnownRecogniser(ModelFile(path, "recognition", read_header(path)), FAMILY),
                open_session(path, Device(threads=1)),
            )
            for kind, path in kinds.items()
        }
        vectors = {kind: Recognition([model]).vectors(crops) for kind, model in models.items()}
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for crop in crops[:120]:
            for kind, model in models.items():  # in turns, so that other load disturbs all alike
                begun = time.perf_counter()
                model.vectors([crop])
                seconds[kind].append(time.perf_counter() - begun)
    print(f"{len(crops)} faces of {len(set(names))} people; one face at a time on one thread")
    print("| weights | TAR at FAR 1e-3 | at 1e-4 | median cosine with float32 | lowest | ms a face | speed |")
    print("|---|---|---|---|---|---|---|")
    fastest = statistics.median(seconds["float32"])
    for kind in kinds:
        rates = [tar_at_far(*pair_distances(vectors[kind], names), far).tar for far in FARS]
        cosines = (vectors[kind] * vectors["float32"]).sum(axis=1)
        took = statistics.median(seconds[kind])
        print(
            f"| {kind} | {rates[0]:.2%} | {rates[1]:.2%} | {np.median(cosines):.4f} | {cosines.min():.4f} | {took * 1000:.1f} "
            f"| {fastest / took:.2f} |"
        )


if __name__ == "__main__":
    main()
