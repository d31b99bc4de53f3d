"""
The wire format of the embedder's requests and responses, shared by the service and the embedder.

A request for faces is the picture as body or form, and its options in the query and one header. The responses are
msgspec structs: msgpack on the wire (``bytes`` stay bytes), JSON on request (``bytes`` become base64).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import ItemError, RequestError
from immich_facesets.faces import Box, Landmarks, Measures
from immich_facesets.spaces import OperatingPoints

MSGPACK = "application/msgpack"
JSON = "application/json"

BOXES_HEADER = "X-Boxes"
"""JSON list of [x1, y1, x2, y2] in upright original pixels: the areas of ``guided`` detection."""

FACE_SHORT = 90.0
"""The short edge, in pixels, from which on every face is searched for, unless a request names another."""

MOST_BOXES = 1000
MOST_FACES = 20_000
LEAST_FACE_SHORT = 1.0
LARGEST_CROP = 4096
LARGEST_PAD = 4.0
LARGEST_COORDINATE = 1e7
"""Limits of requests and answers; the embedder rejects a request beyond them, and the service an answer."""

PictureHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
"""64 bits as hexadecimal digits."""


class Mode(StrEnum):
    """The search area for faces: the whole picture, or only around boxes that are already known."""

    FULL = "full"
    GUIDED = "guided"


class Enrichment(StrEnum):
    """Measurements on faces that are made only on request."""

    LANDMARKS = "landmarks"
    POSE = "pose"


@dataclass(frozen=True, slots=True)
class CropRequest:
    """The crops to return: squares of at most ``side`` pixels, of faces whose short edge has ``min_short`` or more."""

    side: int
    min_short: float = 0.0
    pad_ratio: float = 0.5
    """The margin on each side of the box, in sides of the box."""

    def to_query(self) -> dict[str, str]:
        return {"crops": str(self.side), "crop_min_short": f"{self.min_short:g}", "pad_ratio": f"{self.pad_ratio:g}"}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self | None:
        """Return the requested crops, None without any."""
        if "crops" not in query:
            return None
        return cls(
            side=round(_number(query, "crops", 0.0, 16, LARGEST_CROP)),
            min_short=_number(query, "crop_min_short", 0.0, 0, 1e6),
            pad_ratio=_number(query, "pad_ratio", 0.5, 0, LARGEST_PAD),
        )


@dataclass(frozen=True, slots=True)
class CutRequest:
    """A part of the picture to return: ``area`` in upright original pixels, of at most so many ``pixels`` in all."""

    area: Box
    pixels: int

    def to_query(self) -> dict[str, str]:
        corners = (self.area.x1, self.area.y1, self.area.x2, self.area.y2)
        return {"cut": ",".join(str(round(side, 1)) for side in corners), "cut_pixels": str(self.pixels)}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self | None:
        """Return the part that is wanted, None without any."""
        if "cut" not in query:
            return None
        (area, *others) = _boxes(f"[[{query['cut']}]]") or (None,)
        if area is None or others:
            raise _bad("cut must be x1,y1,x2,y2")
        return cls(area, round(_number(query, "cut_pixels", LARGEST_CROP**2, 256, LARGEST_CROP**2)))


@dataclass(frozen=True, slots=True)
class FacesRequest:
    """
    The options of ``POST /v1/faces``, beside the picture.

    ``boxes`` are areas known to show a face, in upright original pixels. ``guided`` searches only there. ``full``
    searches the whole picture, whatever the boxes, so closely that faces of ``face_short`` pixels (short edge) are found.
    """

    mode: Mode = Mode.FULL
    boxes: tuple[Box, ...] = ()
    crop: CropRequest | None = None
    enrich: frozenset[Enrichment] = frozenset()
    face_short: float = FACE_SHORT
    suspects: bool = False
    """Whether to return what other detectors may take for a face, too."""
    cut: CutRequest | None = None

    def to_http(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the query and the headers; boxes are rounded to a tenth of a pixel."""
        query = {"mode": self.mode.value}
        headers: dict[str, str] = {}
        if self.boxes:
            rows = [[round(side, 1) for side in (box.x1, box.y1, box.x2, box.y2)] for box in self.boxes]
            headers[BOXES_HEADER] = msgspec.json.encode(rows).decode()
        if self.crop is not None:
            query |= self.crop.to_query()
        if self.enrich:
            query["enrich"] = ",".join(sorted(self.enrich))
        if self.face_short != FACE_SHORT:
            query["face_short"] = f"{self.face_short:g}"
        if self.suspects:
            query["suspects"] = "1"
        if self.cut is not None:
            query |= self.cut.to_query()
        return query, headers

    @classmethod
    def from_http(cls, query: Mapping[str, str], headers: Mapping[str, str], form_boxes: bytes | None = None) -> Self:
        """
        Return the options of an untrusted request; an invalid one is a ``RequestError`` of status 400.

        ``form_boxes`` is the form field ``boxes``; it replaces the header.
        """
        mode = query.get("mode", Mode.FULL)
        if mode not in set(Mode):
            raise _bad(f"mode must be one of {', '.join(Mode)}")
        boxes = _boxes(form_boxes or headers.get(BOXES_HEADER))
        if mode == Mode.GUIDED and not boxes:
            raise _bad(f"guided needs boxes, in the header {BOXES_HEADER} or the form field boxes")
        crop, enrich = CropRequest.from_query(query), _enrichments(query.get("enrich", ""))
        if query.get("suspects", "0") not in {"0", "1"}:
            raise _bad("suspects must be 0 or 1")
        face_short = _number(query, "face_short", FACE_SHORT, LEAST_FACE_SHORT, 1e6)
        cut = CutRequest.from_query(query)
        return cls(Mode(mode), boxes, crop, enrich, face_short, query.get("suspects") == "1", cut)


def _boxes(text: str | bytes | None) -> tuple[Box, ...]:
    if not text:
        return ()
    try:
        rows = msgspec.json.decode(text, type=list[tuple[float, float, float, float]])
    except (msgspec.DecodeError, UnicodeError) as error:  # a header may hold bytes that are no text
        raise _bad(f"the boxes are not a JSON list of [x1, y1, x2, y2]: {error}") from error
    if len(rows) > MOST_BOXES:
        raise _bad(f"more than {MOST_BOXES} boxes")
    boxes = tuple(Box(*row) for row in rows)
    if any(not (box.x1 < box.x2 and box.y1 < box.y2) for box in boxes):
        raise _bad("a box has no area: x1 < x2 and y1 < y2 are needed")
    if any(abs(value) > LARGEST_COORDINATE for row in rows for value in row):
        raise _bad("a box lies outside every picture")
    return boxes


def _enrichments(text: str) -> frozenset[Enrichment]:
    """Parse a list of measurements such as ``landmarks,pose``."""
    words = {word.strip() for word in text.split(",")} if text else set[str]()
    if not words <= set(Enrichment):
        raise _bad(f"enrich must be one or more of {', '.join(Enrichment)}, separated by commas")
    return frozenset(map(Enrichment, words))


def _number(query: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise _bad(f"{name} is not a number") from None
    if not math.isfinite(value) or not low <= value <= high:
        raise _bad(f"{name} must lie between {low:g} and {high:g}")
    return value


def _bad(message: str) -> RequestError:
    return RequestError(message, status=400)


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
