"""
Cost of each classic mistake in face recognition: verification on the labelled portraits, right and wrong in one run.

    python tests/bench/bench_mistakes.py [--every N]

The portraits are framed as a camera would have taken them: landscape, and held in four ways, recorded in EXIF only.
Most of the originals are square and upright, so that stretching and an ignored orientation would do no harm.

``TAR``: at FAR 1e-3, with a threshold fitted to the mistake, so that a consistent error may look harmless. ``TAR`` and
``FAR at the right threshold``: the threshold is that of the right pipeline, as in a product's settings. ``cosine``: the
median cosine with the right vector of the same face. It matters where vectors of a wrong program are compared with
right ones. ``lost``: portraits without a face or a usable vector; they match no other portrait.
"""

import argparse
import csv
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from face_check import Faces  # noqa: E402  the repository must be found first
from photo_pipeline import MISTAKES, PhotoPipeline, Pixels, right_pipeline  # noqa: E402  the repository must be found first
from verification import pairs_of  # noqa: E402  the repository must be found first

from embedder.engine import Detection  # noqa: E402  the repository must be found first
from embedder.models.pack import open_pack  # noqa: E402  the repository must be found first

FAR = 1e-3
DIMENSION = 512
LANDSCAPE = 1.5
ORIENTATION_TAG = 0x0112
HELD = ((1, None), (6, Image.Transpose.ROTATE_90), (3, Image.Transpose.ROTATE_180), (8, Image.Transpose.ROTATE_270))
"""EXIF orientations and the conversion of the upright picture to the stored one."""


def framed(path: Path, number: int) -> bytes:
    """The photo with grey at its sides until it is landscape, stored as the ``number``-th way of holding a camera does."""
    with Image.open(path) as image:
        plain = image.convert("RGB")
    width = max(plain.width, round(plain.height * LANDSCAPE))
    frame = Image.new("RGB", (width, plain.height), (110, 110, 110))
    frame.paste(plain, ((width - plain.width) // 2, 0))
    orientation, stored = HELD[number % len(HELD)]
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    stream = io.BytesIO()
    (frame if stored is None else frame.transpose(stored)).save(stream, "JPEG", quality=97, subsampling=0, exif=exif)
    return stream.getvalue()


def main_vector(faces: Faces, centre: tuple[float, float], dimension: int) -> NDArray[np.float64]:
    """The vector of the largest and most central face; zeros where there is none, or it is not finite."""
    if not len(faces.boxes):
        return np.zeros(dimension)
    low, high = faces.boxes[:, :2], faces.boxes[:, 2:]
    prominence = (high - low).prod(axis=1) - 2 * (((low + high) / 2 - centre) ** 2).sum(axis=1)
    vector: NDArray[np.float64] = faces.vectors[int(prominence.argmax())]
    return vector if np.isfinite(vector).all() else np.zeros(dimension)


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo as the right pipeline decodes it, and the face that it finds."""

    photo: bytes
    pixels: Pixels
    found: list[Detection]


def vectors_of(pipeline: PhotoPipeline, right: PhotoPipeline, seen: list[Seen]) -> NDArray[np.float64]:
    """The vector of the person in each photo, (n, d); steps equal to the right pipeline's are not repeated."""
    rows = []
    for one in seen:
        pixels = one.pixels if pipeline.decode is right.decode else pipeline.decode(one.photo)
        is_known = pipeline.decode is right.decode and pipeline.detect is right.detect
        faces = pipeline.faces_at(pixels, one.found if is_known else pipeline.detect(pixels))
        height, width = pixels.shape[:2]
        rows.append(main_vector(faces, (width / 2, height / 2), DIMENSION))
    return np.stack(rows)


def print_table(
    pipelines: Mapping[str, PhotoPipeline], right: PhotoPipeline, seen: list[Seen], names: list[str]
) -> None:
    true_vectors = vectors_of(right, right, seen)
    true_pairs = pairs_of(true_vectors, names)
    threshold = true_pairs.threshold(FAR)
    best = true_pairs.tar(threshold)
    print(f"{len(names)} portraits, {len(true_pairs.same)} same and {len(true_pairs.different)} different pairs")
    print(f"| way | TAR at FAR {FAR:g} | cost, points | TAR, FAR at the right threshold | cosine | lost |")
    print("|---|---|---|---|---|---|")
    for name, pipeline in pipelines.items():
        vectors = vectors_of(pipeline, right, seen)
        pairs = pairs_of(vectors, names)
        tar = pairs.tar(pairs.threshold(FAR))
        fixed = f"{pairs.tar(threshold):.1%}, {pairs.far(threshold):.2%}"
        cosine = float(np.median((vectors * true_vectors).sum(axis=1)))
        lost = int((~vectors.any(axis=1)).sum())
        print(f"| {name} | {tar:.1%} | {100 * (best - tar):.1f} | {fixed} | {cosine:.3f} | {lost} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="take only every N-th person, to be done sooner")
    asked = parser.parse_args()
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    with (data / "labels.csv").open(newline="", encoding="utf-8") as stream:
        singles = [(row["file"], row["identity"]) for row in csv.DictReader(stream) if row["kind"] == "single"]
    people = set(sorted({name for _file, name in singles})[:: asked.every])
    singles = [(file, name) for file, name in singles if name in people]
    names = [name for _file, name in singles]
    photos = [framed(data / file, number) for number, (file, _name) in enumerate(singles)]
    pack = open_pack(data / "models", "bench_s")
    right = right_pipeline(pack)
    flipping = replace(right, flip=True)
    pipelines = {"the right way": right, "the right way, with flip": flipping}
    pipelines |= {name: mistake(right) for name, mistake in MISTAKES.items()}
    seen = []
    for photo in photos:
        pixels = right.decode(photo)
        seen.append(Seen(photo, pixels, right.detect(pixels)))
    print_table(pipelines, right, seen, names)


if __name__ == "__main__":
    main()
