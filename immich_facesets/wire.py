"""
The embedder's question and answer: what crosses HTTP between the service and the embedder, in one place for both.

The answers are msgspec structs: msgpack on the wire (``bytes`` stay bytes), JSON on request (``bytes`` become base64).
"""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import ItemError
from immich_facesets.faces import Box, Landmarks, Measures
from immich_facesets.spaces import OperatingPoints

MSGPACK = "application/msgpack"
JSON = "application/json"

BOXES_HEADER = "X-Boxes"
"""JSON list of [x1, y1, x2, y2] in upright original pixels: where ``guided`` detection looks."""


PictureHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
"""64 bits as hexadecimal digits."""


class Mode(StrEnum):
    """How faces are looked for: in the whole picture, or only around boxes that are already known."""

    FULL = "full"
    GUIDED = "guided"


class Enrichment(StrEnum):
    """What is measured on faces only when a question asks for it."""

    LANDMARKS = "landmarks"
    POSE = "pose"


class HeadPose(msgspec.Struct, frozen=True, kw_only=True):
    """
    Degrees, as a model sees it; signs as in ``Measures``, whose pose is estimated from five points: ``yaw`` positive
    looks to the right of the picture, ``pitch`` up, ``roll`` is turned clockwise.
    """

    yaw: float
    pitch: float
    roll: float


class CropAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A square cut around one face, for exports; present when the question asked for it.

    ``image`` is a JPEG (4:4:4, quality 97) of at most the asked side, never enlarged, areas outside the picture filled
    with the picture's edge pixels; ``area`` is the square [x1, y1, x2, y2] it shows, in upright original pixels.
    """

    image: bytes
    area: tuple[float, float, float, float]


class FaceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    One face: pixels are upright original pixels, ``embedding`` is unit float32, little-endian.

    What was not asked for is None: ``landmarks_106`` and ``landmarks_68`` come in the order of their models (insightface's
    2d106det; the 68 of iBUG), whichever there are. ``depth_68`` is how far each of the 68 is towards the viewer, in pixels,
    where their model says so.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[
        tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]
    ]
    det_score: float
    embedding: bytes
    quality: Measures
    crop: CropAnswer | None = None
    landmarks_106: tuple[tuple[float, float], ...] | None = None
    landmarks_68: tuple[tuple[float, float], ...] | None = None
    depth_68: tuple[float, ...] | None = None
    head_pose: HeadPose | None = None

    def vector(self) -> NDArray[np.float32]:
        """The embedding as a (d,) array."""
        return np.frombuffer(self.embedding, dtype="<f4").astype(np.float32)

    def face_box(self) -> Box:
        return Box(*self.box)

    def points(self) -> Landmarks:
        return self.landmarks


class FacesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What ``POST /v1/faces`` answers. ``width`` and ``height`` are those of the upright original; ``lost_faces`` counts
    faces that were seen but gave no vector; ``orientation`` (EXIF, 1 to 8) leads from the stored picture to the upright
    one, None where that is not known; ``phash`` is what the whole picture looks like (``picture_duplicates``), None from
    an embedder that does not say.
    """

    space: str
    width: int
    height: int
    faces: tuple[FaceAnswer, ...]
    lost_faces: int = 0
    orientation: int | None = None
    phash: PictureHash | None = None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model file in use; ``task`` is detection, recognition, quality, landmarks, ..."""

    task: str
    name: str
    sha256: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the embedder takes: pixels and bytes of one picture, and requests it accepts at once before it answers 429."""

    max_pixels: int
    max_bytes: int
    max_in_flight: int


class Lanes(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the embedder uses its machine: threads of each kind of work (``hands`` decode, align and encode), the faces
    recognised at once, the CPU threads of one run of a model (0: all cores) and what the provider computes in.
    """

    hands: int
    detectors: int
    recognisers: int
    batch: int
    threads: int
    precision: str


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """
    What ``GET /v1/info`` answers. ``family`` names the recogniser's family, the key of its operating points;
    ``distances`` are those that came with a model of one's own; ``enrich`` is what a question may ask for on top;
    ``flip`` says whether each vector is averaged with that of the mirrored face.
    """

    space: str
    family: str
    dimension: int
    engine: Literal["onnx", "opencv", "synthetic"]
    pack: str
    licence: str
    models: tuple[ModelInfo, ...]
    provider: str
    limits: Limits
    version: str
    distances: OperatingPoints | None = None
    enrich: tuple[Enrichment, ...] = ()
    lanes: Lanes | None = None
    flip: bool = False


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every error: a stable code and a sentence."""

    reason: str
    message: str


def encode(value: msgspec.Struct, *, accept: str = MSGPACK) -> tuple[bytes, str]:
    """The bytes of an answer and their content type; JSON when ``accept`` asks for it, msgpack otherwise."""
    if JSON in accept:
        return msgspec.json.encode(value), JSON
    return msgspec.msgpack.encode(value), MSGPACK


def decode_faces(body: bytes) -> FacesAnswer:
    """The msgpack answer of ``POST /v1/faces``, checked; an answer that breaks the contract is an ``ItemError``."""
    try:
        return msgspec.msgpack.decode(body, type=FacesAnswer)
    except msgspec.DecodeError as error:
        raise ItemError(f"the embedder's answer breaks the contract: {error}", reason="bad_answer") from error
