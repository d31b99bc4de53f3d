"""
The check of a finished crop: which faces a program that reads the faceset will find in it.

roop-unleashed takes every face that its detector finds in a PNG. A crop is therefore exported only under one condition
(docs/exports.md): our own detector finds exactly one face in it, in the middle, and that face is the person's.

The detector's findings are facts and are stored. Whether the crop passes follows from them for any person and threshold.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import Check, Verdict
from immich_facesets.wire import FaceAnswer, FacesAnswer


class SeenFace(msgspec.Struct, frozen=True, array_like=True):
    """A face in a finished crop: its box in the crop's pixels, and the detector's score."""

    box: tuple[float, float, float, float]
    score: float


class SeenFaces(msgspec.Struct, frozen=True):
    """
    The faces in one picture. ``main``: which of them is in the expected place, None for none of them.

    ``vector``: of the main face, unit length, little-endian float32; empty without a main face. ``length``: of the
    model's own vector of it; None where that is not known.
    """

    faces: tuple[SeenFace, ...] = ()
    main: int | None = None
    vector: bytes = b""
    length: float | None = None

    @property
    def strangers(self) -> tuple[Box, ...]:
        """The boxes of all faces but the main one: the areas to paint over."""
        return tuple(Box(*face.box) for number, face in enumerate(self.faces) if number != self.main)


class CropFacts(msgspec.Struct, frozen=True):
    """
    The detector's findings in a finished crop and, if it shows strangers, in smaller squares of it.

    ``framed``: in the square ``frame`` without them, in shares of the crop's side, where there is such a square.
    ``painted``: in the crop with the strangers painted over, where a frame does not help, and there is a main face.
    ``colour``: of the face in the finished crop (``quality.colour``), None where nobody looked for it.
    """

    finished: SeenFaces
    painted: SeenFaces | None = None
    framed: SeenFaces | None = None
    frame: tuple[float, float, float, float] | None = None
    colour: float | None = None

    @property
    def length(self) -> float | None:
        """The length of the model's own vector of the face as it is exported; None where that is not known."""
        return (self.painted or self.framed or self.finished).length

    def encoded(self) -> bytes:
        """The facts as they are stored (MessagePack)."""
        return msgspec.msgpack.encode(self)


NOTHING_SEEN = CropFacts(SeenFaces())


def decoded(stored: bytes) -> CropFacts:
    """Return the facts from ``CropFacts.encoded``."""
    return msgspec.msgpack.decode(stored, type=CropFacts)


def seen_faces(answer: FacesAnswer, expected: Box) -> SeenFaces:
    """
    Return the facts of one picture.

    ``answer``: the embedder's response to the finished crop itself; ``expected``: the expected box of the face, in its
    pixels (``box_in_crop``). Suspects of the answer count as faces, unless they lie in the face itself.
    """
    faces = tuple(SeenFace(face.box, face.det_score) for face in answer.faces)
    main = main_face(answer, expected)
    if main is None:
        return SeenFaces(faces)
    own = main.face_box()
    faces += tuple(SeenFace(one.box, one.score) for one in answer.suspects if not _is_part(Box(*one.box), own))
    number = next(number for number, face in enumerate(answer.faces) if face is main)
    return SeenFaces(faces, number, main.vector().astype("<f4").tobytes(), main.length)


def check(facts: CropFacts, centroid: NDArray[np.float32], outlier: float) -> Check:
    """
    Return whether a crop passes, for a person and a threshold.

    ``centroid``: (d,), unit length; ``outlier``: a cosine distance. With a second face, the crop passes when the square
    without that face does, or the crop after painting over.
    """
    verdict = _verdict(facts.finished, centroid, outlier)
    if verdict is not Verdict.SECOND:
        return Check(verdict)
    is_framed = facts.framed is not None and _verdict(facts.framed, centroid, outlier) is Verdict.OK
    if is_framed and facts.frame is not None:
        return Check(Verdict.OK, frame=Box(*facts.frame))
    is_masked = facts.painted is not None and _verdict(facts.painted, centroid, outlier) is Verdict.OK
    return Check(Verdict.OK if is_masked else Verdict.SECOND, is_masked=is_masked)


def main_face(answer: FacesAnswer, expected: Box) -> FaceAnswer | None:
    """Return the found face nearest to the expected box; None when none of them touches it."""
    touching = [face for face in answer.faces if face.face_box().iou(expected) > 0.0]
    return min(touching, key=lambda face: (_apart(face.face_box(), expected), face.box), default=None)


def _verdict(seen: SeenFaces, centroid: NDArray[np.float32], outlier: float) -> Verdict:
    """Return the verdict on one picture. A second face comes last: painting over can correct that problem alone."""
    if seen.main is None:
        return Verdict.NONE
    vector = np.frombuffer(seen.vector, dtype="<f4").astype(np.float64)
    if not 1.0 - float(vector @ centroid.astype(np.float64)) <= outlier:  # also when a number is not a number
        return Verdict.FAR
    return Verdict.OK if len(seen.faces) == 1 else Verdict.SECOND


def _is_part(box: Box, face: Box) -> bool:
    """Return whether the middle of a box lies in a face, as an eye's or that of a second look at the face does."""
    return face.x1 <= (box.x1 + box.x2) / 2 <= face.x2 and face.y1 <= (box.y1 + box.y2) / 2 <= face.y2


def _apart(one: Box, other: Box) -> float:
    """Return the distance of two boxes' centres in pixels."""
    return math.dist((one.x1 + one.x2, one.y1 + one.y2), (other.x1 + other.x2, other.y1 + other.y2)) / 2
