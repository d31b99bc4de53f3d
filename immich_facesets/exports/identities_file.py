"""
``identities.json``: every identity with its members, by content and box. docs/exports.md defines the keys.

JSON, UTF-8, one identity a line, keys and entries in a fixed order, no timestamp: equal facts give equal bytes.
"""

from collections.abc import Iterable, Mapping

import msgspec

from immich_facesets.exports.manifests import SCHEMA

IDENTITIES = "identities.json"

Corners = tuple[float, float, float, float]
"""A box [x1, y1, x2, y2] in pixels of the upright original."""


class MemberRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    One face: the SHA-256 of its picture and its box. ``distance``: to the centroid when it joined.

    ``how``: asserted, discovered, matched or decided; ``confidence`` is None where a user decided it.
    """

    sha256: str
    box: Corners
    distance: float
    how: str
    confidence: float | None


class EraRecord(msgspec.Struct, frozen=True, kw_only=True, rename={"from_year": "from", "to_year": "to"}):
    """An era: its name, its years where they are known, and the number of its faces."""

    name: str
    from_year: int | None
    to_year: int | None
    faces: int


class CoverRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The face that represents an identity."""

    sha256: str
    box: Corners


class IdentityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    One identity.

    ``centroid_norm`` is the length of the mean of its unit vectors, 1 where all are equal; ``variance`` is their mean squared
    distance from that mean, 1 minus the square of the norm.
    """

    number: int
    label: str | None
    origin: str
    is_locked: bool
    is_never_exported: bool
    faces: int
    pictures: int
    how: dict[str, int]
    cover: CoverRecord | None
    centroid_norm: float
    variance: float
    eras: tuple[EraRecord, ...]
    members: tuple[MemberRecord, ...]


class IdentitiesFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    The whole file. ``distances``: the thresholds in use by name; ``guardrails``: what looked wrong at the last grouping.

    ``space`` is None before the first grouping.
    """

    schema: int
    space: str | None
    distances: dict[str, float]
    guardrails: tuple[str, ...]
    identities: tuple[IdentityRecord, ...]


class _Numbered(msgspec.Struct):
    number: int


class _Numbers(msgspec.Struct):
    identities: tuple[_Numbered, ...]


def variance_of(norm: float) -> float:
    """Return the mean squared distance of unit vectors from their mean, whose length is ``norm``."""
    return max(0.0, 1.0 - norm * norm)


def head_of(*, space: str | None, distances: Mapping[str, float], guardrails: Iterable[str]) -> bytes:
    """Return the beginning of the file, up to the list of identities."""
    head = IdentitiesFile(
        schema=SCHEMA,
        space=space,
        distances=dict(distances),
        guardrails=tuple(guardrails),
        identities=(),
    )
    return msgspec.json.encode(head).removesuffix(b"]}")


def line_of(identity: IdentityRecord) -> bytes:
    """Return one entry of the list, on a line of its own."""
    return b"\n" + msgspec.json.encode(identity)


def identities_file(head: bytes, lines: Iterable[bytes]) -> bytes:
    """Return the file of a head and the lines of identities, in the order of their numbers."""
    return head + b",".join(lines) + b"\n]}\n"


def numbers_in(body: bytes) -> frozenset[int]:
    """Return the numbers of the identities in a file; none in one that is no such file."""
    try:
        return frozenset(one.number for one in msgspec.json.decode(body, type=_Numbers).identities)
    except msgspec.DecodeError:
        return frozenset()
