"""Faces and pictures as the API shows them."""

from typing import Annotated, Literal

import msgspec

from service.web.library.identities import Crop, Identity, Limit, MadeDecision, NearIdentity, Text

ForSets = Literal["", "included", "left_out"]


class Edges(msgspec.Struct, frozen=True, kw_only=True):
    """A box in upright pixels of the original picture; it may lie partly outside."""

    x1: float
    y1: float
    x2: float
    y2: float


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of a source that shows a picture. ``taken``: its local date, None where it says nothing of that."""

    source: str
    asset_id: str
    path: str
    file_name: str
    taken: str | None


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture by the SHA-256 of its bytes, its upright size, and where it lies. ``address``: the whole, reduced."""

    sha256: str
    address: str
    width: int
    height: int
    places: tuple[Place, ...]


class Face(msgspec.Struct, frozen=True, kw_only=True):
    """
    One face. ``identity``, ``distance``, ``how`` and ``confidence`` are None of a face of nobody.

    ``score`` ranks faces for exports, by the face alone; ``taken``: the earliest date of the picture. ``confidence`` is
    None where a person decided it.
    """

    id: int
    box: Edges
    picture: Picture
    crop: Crop | None
    identity: int | None
    distance: float | None
    how: str | None
    confidence: float | None
    score: float
    det_score: float
    blur: float
    yaw: float
    pitch: float
    roll: float
    taken: str | None


class FacesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the faces of an identity. ``total`` counts all within the limits."""

    faces: tuple[Face, ...]
    total: int
    next: str | None = None


class FaceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    One face, the identities nearest to it beside its own, and the latest decisions that name it.

    ``for_sets``: ``included`` in the face sets of its identity by hand, ``left_out`` of all by hand, or empty.
    """

    face: Face
    label: str | None
    rivals: tuple[NearIdentity, ...]
    decisions: tuple[MadeDecision, ...]
    for_sets: ForSets = ""


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search, and how much of each kind it may find."""

    q: Annotated[
        Text,
        msgspec.Meta(min_length=1, description="a name, a number, a date such as `2014-07`, or a part of a file name"),
    ]
    limit: Limit = 20


class PictureFace(msgspec.Struct, frozen=True, kw_only=True):
    """A face of a found picture; ``identity`` is None of a face of nobody."""

    id: int
    identity: int | None


class FoundPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A found picture with its faces. ``address``: the whole, reduced."""

    sha256: str
    address: str
    places: tuple[Place, ...]
    faces: tuple[PictureFace, ...]


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Identities by name or number, pictures by date and by file name: at most ``limit`` of each."""

    identities: tuple[Identity, ...]
    by_date: tuple[FoundPicture, ...]
    by_file_name: tuple[FoundPicture, ...]
