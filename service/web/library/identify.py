"""Identification as the API shows it."""

from typing import Annotated, Literal

import msgspec

from service.web.library.faces import Edges


class IdentifyQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much an identification tells."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=50, description="the most identities for each face")] = 5


class IdentifiedAs(msgspec.Struct, frozen=True, kw_only=True):
    """One identity that a face may show. ``distance``: 1 minus its likeness; ``confidence``: the probability, in [0, 1]."""

    number: int
    label: str | None
    confidence: float
    distance: float
    is_never_exported: bool
    address: str


class IdentifiedFace(msgspec.Struct, frozen=True, kw_only=True):
    """
    One face of the picture: its identities, the most probable first, and ``nobody``, the probability that it is none known.

    ``verdict``: ``known`` when the first identity is more probable than everything else, ``nobody`` when that is, else
    ``unsure``. ``is_clear``: whether the face passes the gates of a new identity: size, sharpness, light, score.
    """

    box: Edges
    det_score: float
    is_clear: bool
    verdict: Literal["known", "unsure", "nobody"]
    nobody: float
    identities: tuple[IdentifiedAs, ...]


class IdentifyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    The faces of a picture, largest first, and its upright size in pixels.

    ``compared``: the number of identities that each face was compared with.
    """

    width: int
    height: int
    compared: int
    faces: tuple[IdentifiedFace, ...]
