"""
What a moderator can say.

Decisions are the only irreplaceable data: values that are only ever added, in the order of their ids. They refer to a
face by content hash and box, and to an identity by its number, so that they outlive every row, re-run and model. A
decision that takes faces away remembers where they were: that is what an undo gives back.
"""

from typing import Any

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.faces import Box


class FaceRef(msgspec.Struct, frozen=True):
    """A face as a decision names one: the SHA-256 of its content, and its box in upright original pixels."""

    sha256: str
    box: Box


class Part(msgspec.Struct, frozen=True):
    """An identity that a merge takes up: its number, and the faces and people (source, person id) it had by then."""

    number: int
    faces: tuple[FaceRef, ...] = ()
    people: tuple[tuple[str, str], ...] = ()


class _Said(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """Every decision names its kind in JSON."""


class Merge(_Said, frozen=True, tag="merge"):
    """The parts are the person ``into``."""

    into: int
    parts: tuple[Part, ...]


class Split(_Said, frozen=True, tag="split"):
    """Those faces of ``identity`` are another person, who has the ``number``; the two are never taken for one again."""

    identity: int
    faces: tuple[FaceRef, ...]
    number: int


class Move(_Said, frozen=True, tag="move"):
    """Those faces are the person ``into``; ``origin`` is where they were, None for nowhere."""

    faces: tuple[FaceRef, ...]
    into: int
    origin: int | None = None


class Reject(_Said, frozen=True, tag="reject"):
    """Those faces are not this person, for good. ``was_member``: they were in it until now."""

    faces: tuple[FaceRef, ...]
    identity: int
    was_member: bool = True


class KeepApart(_Said, frozen=True, tag="keep_apart"):
    """Two identities are two persons: their merge is never suggested again."""

    identity: int
    other: int


class Lock(_Said, frozen=True, tag="lock"):
    """The machine never changes this identity."""

    identity: int


class Unlock(_Said, frozen=True, tag="unlock"):
    """The machine may change this identity again."""

    identity: int


class Label(_Said, frozen=True, tag="label"):
    """What a person calls this identity; None takes the name away."""

    identity: int
    label: str | None


class Ignore(_Said, frozen=True, tag="ignore"):
    """
    Nobody we care about, for good: single faces, which then belong to nobody, or a whole identity.

    An ignored identity goes on collecting its faces, so that the stranger never comes back as somebody new; it is never
    shown or exported. ``origin`` is where single faces were, None for nowhere.
    """

    faces: tuple[FaceRef, ...] = ()
    identity: int | None = None
    origin: int | None = None


class AllowTogether(_Said, frozen=True, tag="allow_together"):
    """Two faces in the pictures of these faces may be one person: a mirror, a collage."""

    faces: tuple[FaceRef, ...]


class Forget(_Said, frozen=True, tag="forget"):
    """Erase what we know of a person. Its faces are never looked at again, and no undo brings them back."""

    identity: int
    faces: tuple[FaceRef, ...]


class NeverExport(_Said, frozen=True, tag="never_export"):
    """An identity is never exported; ``is_on=False`` takes that back."""

    identity: int
    is_on: bool = True


class Cover(_Said, frozen=True, tag="cover"):
    """The face that stands for an identity."""

    identity: int
    face: FaceRef


class Undo(_Said, frozen=True, tag="undo"):
    """That decision (by its id) no longer holds; undoing an undo brings it back."""

    decision: int


Decision = (
    Merge
    | Split
    | Move
    | Reject
    | KeepApart
    | Lock
    | Unlock
    | Label
    | Ignore
    | AllowTogether
    | Forget
    | NeverExport
    | Cover
    | Undo
)


def kind_of(decision: Decision) -> str:
    """The name of a decision's kind, as in its JSON."""
    return str(decision.__struct_config__.tag)


def to_json(decision: Decision) -> dict[str, Any]:
    """A decision as plain JSON values, its kind under ``kind``."""
    plain: dict[str, Any] = msgspec.to_builtins(decision)
    return plain


def from_json(plain: object) -> Decision:
    """A decision from plain JSON values; anything else is a ``RequestError``."""
    try:
        decision: Decision = msgspec.convert(plain, Decision)
    except msgspec.ValidationError as error:
        raise RequestError(f"this is no decision: {error}", status=400) from error
    return decision
