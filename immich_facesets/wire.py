"""
The wire format of the embedder's responses, shared by the service and the embedder; ``face_requests`` has its requests.

They are msgspec structs: msgpack on the wire (``bytes`` stay bytes), JSON on request (``bytes`` become base64).
"""

from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import ItemError
from immich_facesets.face_requests import Enrichment
from immich_facesets.faces import Box, Landmarks, Measures
from immich_facesets.spaces import OperatingPoints

MSGPACK = "application/msgpack"
JSON = "application/json"

MOST_FACES = 20_000
"""The most faces of an answer; the service rejects others."""

PictureHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
"""64 bits as hexadecimal digits."""


class HeadPose(msgspec.Struct, frozen=True, kw_only=True):
    """
    A head pose in degrees, by a model; signs as in ``Measures``, whose pose is estimated from five points.

    ``yaw`` positive looks to the right of the picture, ``pitch`` up, ``roll`` is turned clockwise.
    """

    yaw: float
    pitch: float
    roll: float


class CropAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A square cut around one face, for exports; present when the request includes it.

    ``image`` is a JPEG (4:4:4, quality 97) of at most the requested side, never enlarged, areas outside the picture
    filled with the picture's edge pixels; ``area`` is the square [x1, y1, x2, y2] it shows, in upright original pixels.
    """

    image: bytes
    area: tuple[float, float, float, float]


class CutAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A part of the picture; present when the request includes it, and it is not empty.

    ``image`` is a JPEG (4:4:4, quality 97) of at most the requested number of pixels, never enlarged; ``area`` is what
    it shows [x1, y1, x2, y2], in upright original pixels: the requested area, as far as it lies in the picture.
    """

    image: bytes
    area: tuple[float, float, float, float]
    width: Annotated[int, msgspec.Meta(ge=1)]
    height: Annotated[int, msgspec.Meta(ge=1)]


class FaceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    One face: pixels are upright original pixels, ``embedding`` is unit float32, little-endian.

    ``length`` is that of the model's own vector before it was scaled to unit length. It is 1 where several models make
    one, with mirroring, and from OpenCV's engine; None from an embedder without it.

    Values that were not requested are None. ``landmarks_106`` and ``landmarks_68`` come in the order of their models
    (insightface's 2d106det; the 68 of iBUG), as available. ``depth_68`` is the distance of each of the 68 towards the
    viewer, in pixels, where their model gives it.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[
        tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]
    ]
    det_score: float
    embedding: bytes
    quality: Measures
    length: float | None = None
    crop: CropAnswer | None = None
    landmarks_106: tuple[tuple[float, float], ...] | None = None
    landmarks_68: tuple[tuple[float, float], ...] | None = None
    depth_68: tuple[float, ...] | None = None
    head_pose: HeadPose | None = None

    def vector(self) -> NDArray[np.float32]:
        """Return the embedding as a (d,) array."""
        return np.frombuffer(self.embedding, dtype="<f4").astype(np.float32)

    def face_box(self) -> Box:
        return Box(*self.box)

    def points(self) -> Landmarks:
        return self.landmarks


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A place that another detector may take for a face, in upright original pixels, with the detector's score."""

    box: tuple[float, float, float, float]
    score: float


class FacesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    The response of ``POST /v1/faces``.

    ``width`` and ``height`` are those of the upright original; ``lost_faces`` counts faces that were detected but gave
    no vector; ``orientation`` (EXIF, 1 to 8) leads from the stored picture to the upright one, None where unknown.
    ``phash`` is the perceptual hash of the whole picture (``picture_duplicates``), None from an embedder without it.
    ``missing`` is the share of the picture that its file does not hold because it ends too early; no face touches it.
    ``suspects`` are not among the faces; empty unless the request wants them, and from an embedder without them. So it is
    with ``cut``.
    """

    space: str
    width: int
    height: int
    faces: Annotated[tuple[FaceAnswer, ...], msgspec.Meta(max_length=MOST_FACES)]
    lost_faces: int = 0
    orientation: int | None = None
    phash: PictureHash | None = None
    missing: float = 0.0
    suspects: Annotated[tuple[Suspect, ...], msgspec.Meta(max_length=MOST_FACES)] = ()
    cut: CutAnswer | None = None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model file in use; ``task`` is detection, recognition, quality, landmarks, ..."""

    task: str
    name: str
    sha256: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """
    The embedder's limits: pixels and bytes of one picture, and concurrent requests before a response of 429.

    ``max_memory`` is in bytes, for all pictures in progress. ``decode_seconds`` are for decoding one picture. Both are 0
    from an embedder that does not tell them.
    """

    max_pixels: int
    max_bytes: int
    max_in_flight: int
    max_memory: int = 0
    decode_seconds: float = 0.0


class Lanes(msgspec.Struct, frozen=True, kw_only=True, rename={"workers": "hands"}):
    """
    The embedder's use of its machine.

    It holds the threads of each kind of work (``workers`` decode, align and encode; on the wire they are ``hands``) and
    the faces recognised at once. It also holds the CPU threads of one run of a model (0: all cores) and the provider's
    number format.
    """

    workers: int
    detectors: int
    recognisers: int
    batch: int
    threads: int
    precision: str


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """
    The response of ``GET /v1/info``.

    ``family`` names the recogniser's family, the key of its operating points; ``distances`` are those supplied with a
    user's own model; ``enrich`` lists the additional measurements a request may include; ``flip``: whether each vector
    is averaged with that of the mirrored face; ``blank``: unit vectors, the directions of crops that show nobody.
    """

    space: str
    family: str
    dimension: int
    engine: Literal["onnx", "synthetic"]
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
    blank: tuple[tuple[float, ...], ...] = ()


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every error: a stable code and a sentence."""

    reason: str
    message: str


def encode(value: msgspec.Struct, *, accept: str = MSGPACK) -> tuple[bytes, str]:
    """Return the bytes of a response and their content type; JSON when ``accept`` requests it, msgpack otherwise."""
    if JSON in accept:
        return msgspec.json.encode(value), JSON
    return msgspec.msgpack.encode(value), MSGPACK


def decode_faces(body: bytes) -> FacesAnswer:
    """Return the checked msgpack response of ``POST /v1/faces``; one that breaks the contract is an ``ItemError``."""
    try:
        return msgspec.msgpack.decode(body, type=FacesAnswer)
    except msgspec.DecodeError as error:
        raise ItemError(f"the embedder's answer breaks the contract: {error}", reason="bad_answer") from error
