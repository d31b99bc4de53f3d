"""
The colour of faces in the photos of FACESETS_TEST_DATA, as they are and made monochrome, against the limit.

Each face of 60 pixels or more is also made grey, brown, tinted and noisy, as scans and infrared cameras have it. These
are saved as JPEG. Run: python tests/bench/bench_colour.py
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from immich_facesets.quality.colour import COLOURED, colour_of  # noqa: E402  the repository must be found first

Picture = NDArray[np.uint8]

LEAST_PIXELS, JPEG_QUALITY = 60, 80
GREY = 0.1  # a photo with less is grey itself
DICE = np.random.default_rng(0)
MADE: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "grey": lambda grey: grey,
    "brown": lambda grey: grey * np.array([0.6, 0.8, 1.0]) + np.array([10.0, 15.0, 20.0]),
    "tinted": lambda grey: np.asarray(255.0 * (grey / 255.0) ** np.array([1.3, 1.0, 0.8])),
    "noisy": lambda grey: grey + DICE.normal(0.0, 12.0, grey.shape),
}


def saved(picture: NDArray[np.float64]) -> Picture:
    body = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return np.asarray(cv2.imdecode(body, cv2.IMREAD_COLOR), dtype=np.uint8)


def main() -> None:
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    found = np.load(data / "reference_bench_s.npz")
    colours: dict[str, list[float]] = {name: [] for name in ("as it is", *MADE)}
    for path, box in zip(found["path"].tolist(), found["bbox"].round().astype(int).tolist(), strict=True):
        picture = None if "orient_" in path else cv2.imread(str(data / path))
        if picture is None or min(box[2] - box[0], box[3] - box[1]) < LEAST_PIXELS:
            continue
        face = picture[max(0, box[1]) : box[3], max(0, box[0]) : box[2]].astype(np.uint8)
        colours["as it is"].append(colour_of(face))
        grey = cv2.cvtColor(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR).astype(np.float64)
        for name, make in MADE.items():
            colours[name].append(colour_of(saved(make(grey))))
    photos = np.array(colours["as it is"])
    print(f"{len(photos)} faces, {int((photos < GREY).sum())} of them in grey photos; the limit is {COLOURED}")
    print(f"  as they are: from {photos[photos >= GREY].min():.2f} to {photos.max():.2f}")
    for name in MADE:
        print(f"  made {name}: at most {max(colours[name]):.2f}")


if __name__ == "__main__":
    main()
