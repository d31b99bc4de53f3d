"""Proposals about one identity as the API shows them."""

from typing import Annotated

import msgspec

from service.web.library.faces import Face


class SimilarQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many faces are wanted."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000, description="the most faces, the nearest first")] = 200


class SimilarFace(msgspec.Struct, frozen=True, kw_only=True):
    """
    A face of nobody that looks like an identity. ``distance``: from its centroid.

    ``rival``: the nearest other identity, None without any. ``is_clear``: grouping would place the face alone.
    """

    face: Face
    distance: float
    rival: int | None
    rival_distance: float | None
    is_clear: bool


class SimilarAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Faces that look like an identity. ``total`` and ``clear`` count all of them, and those that are clear."""

    total: int
    clear: int
    faces: tuple[SimilarFace, ...]


class SplitPart(msgspec.Struct, frozen=True, kw_only=True):
    """
    One proposed part: the ids of its faces, the first and last date of their pictures, and a few of them.

    ``distance``: to the nearest other part.
    """

    faces: tuple[int, ...]
    distance: float
    first_date: str | None
    last_date: str | None
    examples: tuple[Face, ...]


class PartsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The proposed parts, the largest first, and the faces that belong to none clearly; one part: nothing separates."""

    parts: tuple[SplitPart, ...]
    unclear: tuple[int, ...]
