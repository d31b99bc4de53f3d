"""
Strangers that share an identity when their pictures are degraded, with the former measure of sharpness and with ours.

    python tests/bench/bench_ladders.py [--pack bench_s] [--ladder NAME]... [--found]

Each step is a library of its own: one picture of each labelled person, degraded. So every identity is made of
strangers. The faces are found, aligned, measured and recognised by the embedder's code, and grouped as by default with
6 faces for an identity. The photos are magnified until the face is as large as in those of a camera: the detector then
sees a reduced picture, with less noise than the aligned face.

The former measure is the plain variance of the Laplacian, and a gate without light. ``quality`` is the median of the score, the former without
light. With ``--found`` each face is taken where it was before, with its score, as if no detector lost any.
"""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from mixtures import table_of  # noqa: E402  the repository must be found first

from embedder.engine import Aligned, Detection, Pixels  # noqa: E402  the repository must be found first
from embedder.engines.onnx import OnnxEngine, Tuning  # noqa: E402  the repository must be found first
from embedder.faces.blank import blank_directions  # noqa: E402  the repository must be found first
from embedder.faces.measures import measure  # noqa: E402  the repository must be found first
from embedder.images.decoder import Decoder  # noqa: E402  the repository must be found first
from embedder.models.pack import open_pack  # noqa: E402  the repository must be found first
from immich_facesets.faces import Box, Face  # noqa: E402  the repository must be found first
from immich_facesets.grouping.plan import GroupingRules, plan_grouping  # noqa: E402  the repository must be found first
from immich_facesets.moderation.constraints import Constraints  # noqa: E402  the repository must be found first
from immich_facesets.quality.score import quality  # noqa: E402  the repository must be found first
from immich_facesets.spaces import OperatingPoints, operating_points  # noqa: E402  the repository must be found first

FACE_SHORT = 300.0
"""Pixels of the short edge of each face before it is degraded."""

AROUND = 1.0
"""The surroundings that are kept at each side, in sides of the face."""

RULES = GroupingRules(min_faces=6)

Degrade = Callable[[Pixels, Box], Pixels]


@dataclass(frozen=True)
class Seen:
    """A face of a degraded picture; ``variance`` is the former measure."""

    face: Face
    variance: float
    vector: NDArray[np.float32]


def exposed(factor: float, sigma: float) -> Degrade:
    """Darker by ``factor``, then noise of ``sigma`` in each channel."""

    def degrade(pixels: Pixels, _box: Box) -> Pixels:
        dice = np.random.default_rng(int(pixels.sum()))
        noise = dice.standard_normal(pixels.shape, np.float32) * np.float32(sigma)
        return np.asarray(np.clip(pixels * np.float32(factor) + noise, 0, 255).round(), np.uint8)

    return degrade


def blurred(sigma: float) -> Degrade:
    return lambda pixels, _box: np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def reduced(short: float) -> Degrade:
    """The picture in which the face has a short edge of so many pixels, magnified again."""

    def degrade(pixels: Pixels, box: Box) -> Pixels:
        height, width = pixels.shape[:2]
        factor = min(1.0, short / box.face_short)
        small = cv2.resize(pixels, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height)), np.uint8)

    return degrade


def saved(grade: int) -> Degrade:
    def degrade(pixels: Pixels, _box: Box) -> Pixels:
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, grade])
        return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])

    return degrade


def covered(share: float) -> Degrade:
    """The lower ``share`` of the face painted over."""

    def degrade(pixels: Pixels, box: Box) -> Pixels:
        painted = pixels.copy()
        top, left = round(box.y2 - box.height * share), max(0, round(box.x1))
        painted[max(0, top) : round(box.y2), left : round(box.x2)] = (90, 110, 130)
        return painted

    return degrade


def faded(saturation: float) -> Degrade:
    def degrade(pixels: Pixels, _box: Box) -> Pixels:
        grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float64)[..., None]
        return np.asarray((grey + (pixels - grey) * saturation).round(), np.uint8)

    return degrade


def both(first: Degrade, second: Degrade) -> Degrade:
    return lambda pixels, box: second(first(pixels, box), box)


LADDERS: Mapping[str, Mapping[str, Degrade]] = {
    "none": {"-": lambda pixels, _box: pixels},
    "dark": {f"x {factor}": exposed(factor, 0) for factor in (0.5, 0.25, 0.12)},
    "noise": {f"{sigma}": exposed(1, sigma) for sigma in (10, 20, 40, 80)},
    "dark, noise": {f"x {f}, {s}": exposed(f, s) for f, s in ((0.25, 10), (0.12, 10), (0.12, 20), (0.08, 20))},
    "blur": {f"{sigma} px": blurred(sigma) for sigma in (4, 8, 16)},
    "blur, noise": {f"{a} px, {b}": both(blurred(a), exposed(1, b)) for a, b in ((8, 20), (16, 20), (16, 40))},
    "small": {f"{short} px": reduced(short) for short in (40, 25, 15)},
    "JPEG": {f"{grade}": saved(grade) for grade in (20, 10, 5)},
    "covered": {f"{share:.0%}": covered(share) for share in (0.3, 0.45, 0.55)},
    "saturation": {f"{saturation}": faded(saturation) for saturation in (0.5, 0.0)},
}


def portraits(data: Path, engine: OnnxEngine) -> list[tuple[Pixels, Detection]]:
    """One photo of each labelled person, with the largest face that is found in it."""
    with (data / "labels.csv").open(newline="") as rows:
        first = {
            row["identity"]: row["file"] for row in reversed(list(csv.DictReader(rows))) if row["kind"] == "single"
        }
    decoder, found = Decoder(150_000_000), []
    for path in sorted(first.values()):
        pixels = decoder.decode((data / path).read_bytes()).pixels
        if faces := engine.detect([engine.view(pixels)])[0]:
            large = magnified(pixels, max((face.box for face in faces), key=lambda box: box.area))
            if there := found_at(*large, engine):
                found.append((large[0], there))
    return found


def magnified(pixels: Pixels, box: Box) -> tuple[Pixels, Box]:
    """The face and its surroundings with a face of ``FACE_SHORT``, and its place there."""
    left, top = (max(0, int(at)) for at in (box.x1 - AROUND * box.width, box.y1 - AROUND * box.height))
    part = pixels[top : int(box.y2 + AROUND * box.height), left : int(box.x2 + AROUND * box.width)]
    factor = FACE_SHORT / box.face_short
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    there = Box(box.x1 - left, box.y1 - top, box.x2 - left, box.y2 - top).scaled(factor, factor)
    return np.asarray(cv2.resize(part, None, fx=factor, fy=factor, interpolation=how), np.uint8), there


def found_at(pixels: Pixels, box: Box, engine: OnnxEngine) -> Detection | None:
    """The face at that place, if it is found."""
    return next((face for face in engine.detect([engine.view(pixels)])[0] if face.box.iou(box) > 0.4), None)


def seen_in(pixels: Pixels, there: Detection, engine: OnnxEngine, number: int) -> Seen:
    aligned: Aligned = engine.align(pixels, there)
    grey = cv2.cvtColor(aligned.crop, cv2.COLOR_RGB2GRAY)
    variance = float(np.asarray(cv2.Laplacian(grey, cv2.CV_32F)).var(dtype=np.float64))
    face = Face(number, str(number), there.box, there.landmarks, there.score, measure(aligned))
    vector = engine.recognise([aligned])[0]
    return Seen(face, variance, vector / np.linalg.norm(vector))


def strangers(
    seen: Sequence[Seen],
    blur: Sequence[float],
    light: Sequence[float],
    points: OperatingPoints,
    blank: Sequence[Sequence[float]] = (),
) -> tuple[int, int]:
    """How many faces pass the gate, and how many are in an identity."""
    table = table_of(
        np.stack([one.vector for one in seen]),
        face_short=np.array([one.face.face_short for one in seen], np.float32),
        blur=np.array(blur, np.float32),
        det_score=np.array([one.face.det_score for one in seen], np.float32),
        light=np.array(light, np.float32),
        yaw=np.array([one.face.measures.yaw for one in seen], np.float32),
    )
    plan = plan_grouping(
        table,
        memberships={},
        known=(),
        assertions=(),
        constraints=Constraints(),
        thresholds=points,
        rules=RULES,
        next_number=1,
        blank=blank,
    )
    return int(table.admitted(RULES.gate).sum()), len({join.face_id for join in plan.joins})


def step(seen: Sequence[Seen], points: OperatingPoints, blank: Sequence[Sequence[float]]) -> str:
    """The cells of one step: former and present figures; of strangers also those behind the former gates."""
    if not seen:
        return "0 | 0, 0 | 0, 0, 0 | -"
    former = strangers(seen, [one.variance for one in seen], [1.0] * len(seen), points)
    behind = strangers(seen, [one.variance for one in seen], [1.0] * len(seen), points, blank)
    measured = [one.face.measures for one in seen]
    present = strangers(seen, [one.blur for one in measured], [one.light for one in measured], points, blank)
    scores = [quality(one.face) for one in seen]
    before = [
        replace(quality(replace(one.face, measures=replace(one.face.measures, blur=one.variance))), light=1.0).score
        for one in seen
    ]
    medians = np.median(before), np.median([parts.score for parts in scores])
    return f"{len(seen)} | {former[0]}, {present[0]} | {former[1]}, {behind[1]}, {present[1]} | {medians[0]:.2f}, {medians[1]:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pack", default="bench_s", help="a folder of the test data's models")
    parser.add_argument("--ladder", action="append", choices=LADDERS, help="one of them only; may be given again")
    parser.add_argument("--found", action="store_true", help="no face is lost by the detector")
    options = parser.parse_args()
    pack: str = options.pack
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    engine = OnnxEngine(open_pack(data / "models", pack), Tuning(threads=1))
    points = engine.facts.distances or operating_points(engine.facts.family)
    blank = blank_directions(engine).tolist()
    people = portraits(data, engine)
    print(f"{pack}: {len(people)} people; each cell is the former figure, and the present one;")
    print("of strangers also, between them, the figure of the former gates with the directions that show nobody")
    print("| degraded | step | faces found | pass the gate | strangers in identities | quality |")
    print("|---|---|---|---|---|---|")
    for ladder in options.ladder or LADDERS:
        for name, degrade in LADDERS[ladder].items():
            found = list[Seen]()
            for pixels, before in people:
                poor = degrade(pixels, before.box)
                if there := before if options.found else found_at(poor, before.box, engine):
                    found.append(seen_in(poor, there, engine, len(found) + 1))
            print(f"| {ladder} | {name} | {step(found, points, blank)} |", flush=True)


if __name__ == "__main__":
    main()
