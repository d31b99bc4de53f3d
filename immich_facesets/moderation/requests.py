"""Requests of moderators: they name identities by number, and faces by id or by picture and box."""

from typing import Annotated, Any

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.moderation.decisions import FaceRef

Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Chosen = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | FaceRef
"""A face: its id in this database, or its picture (SHA-256 of the content) and a box in upright original pixels."""

Faces = Annotated[tuple[Chosen, ...], msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(max_length=500)]


class _RequestBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", forbid_unknown_fields=True):
    """The base of all requests. ``even_if_locked``: locked identities get or lose faces, too."""

    even_if_locked: bool = False


class MergePeople(_RequestBase, frozen=True, tag="merge"):
    """``numbers`` are the same person as ``into``. ``label``: the name of both, where both have one."""

    numbers: Annotated[tuple[Number, ...], msgspec.Meta(min_length=1)]
    into: Number
    label: Name | None = None


class SplitPerson(_RequestBase, frozen=True, tag="split"):
    """These faces are a new person, never joined again to the one they were of."""

    faces: Faces


class MoveFaces(_RequestBase, frozen=True, tag="move"):
    """These faces belong to ``into``; None: to a new person."""

    faces: Faces
    into: Number | None = None


class ConfirmFaces(_RequestBase, frozen=True, tag="confirm"):
    """These faces are surely the person; ``identity`` None: each that of which it is a member."""

    faces: Faces
    identity: Number | None = None


class RejectFaces(_RequestBase, frozen=True, tag="reject"):
    """These faces are not the person; ``identity`` None: each not that of which it is a member."""

    faces: Faces
    identity: Number | None = None


class IgnoreStrangers(_RequestBase, frozen=True, tag="ignore"):
    """Ignore these faces, or all of an identity, for good: they are strangers."""

    faces: tuple[Chosen, ...] = ()
    identity: Number | None = None


class IgnoreOthers(_RequestBase, frozen=True, tag="ignore_others"):
    """Ignore all faces of the pictures of these faces but these."""

    faces: Faces


class MarkNotAFace(_RequestBase, frozen=True, tag="not_a_face"):
    """These boxes show no face of a person."""

    faces: Faces


class PutOff(_RequestBase, frozen=True, tag="later"):
    """Faces, an identity, or a pair of identities that a moderator cannot judge yet."""

    faces: tuple[Chosen, ...] = ()
    identity: Number | None = None
    other: Number | None = None


class HoldFromSets(_RequestBase, frozen=True, tag="not_for_sets"):
    """These faces show the right person, and are never exported; ``is_on=False`` reverts that."""

    faces: Faces
    is_on: bool = True


class LockIdentity(_RequestBase, frozen=True, tag="lock"):
    """Grouping changes this identity no more; ``is_on=False`` unlocks it."""

    identity: Number
    is_on: bool = True


class NameIdentity(_RequestBase, frozen=True, tag="label"):
    """The name of an identity; None removes it. ``is_namesake``: another person has the same name."""

    identity: Number
    label: Name | None
    is_namesake: bool = False


class ChooseCover(_RequestBase, frozen=True, tag="cover"):
    """The face that represents the identity of which it is a member."""

    face: Chosen


class NeverExportIdentity(_RequestBase, frozen=True, tag="never_export"):
    """An identity is never exported; ``is_on=False`` reverts that."""

    identity: Number
    is_on: bool = True


class KeepTwoApart(_RequestBase, frozen=True, tag="keep_apart"):
    """Two identities are two people."""

    identity: Number
    other: Number


class AllowTwice(_RequestBase, frozen=True, tag="allow_twice"):
    """The pictures of these faces may hold one person twice."""

    faces: Faces


class StateBirthDate(_RequestBase, frozen=True, tag="birth_date"):
    """The birth date of an identity; None takes it back."""

    identity: Number
    birth_date: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None


class MarkMinor(_RequestBase, frozen=True, tag="minor"):
    """An identity shows a minor, at every date; ``is_on=False`` reverts that."""

    identity: Number
    is_on: bool = True


class MarkOfAge(_RequestBase, frozen=True, tag="of_age"):
    """These faces, or all of an identity, show an adult."""

    faces: tuple[Chosen, ...] = ()
    identity: Number | None = None


class UndoDecision(_RequestBase, frozen=True, tag="undo"):
    """Take a decision back, and those that were made with it in one step."""

    decision: Number


class RedoDecision(_RequestBase, frozen=True, tag="redo"):
    """Bring an undone decision back, and those that were undone with it."""

    decision: Number


Request = (
    MergePeople
    | SplitPerson
    | MoveFaces
    | ConfirmFaces
    | RejectFaces
    | IgnoreStrangers
    | IgnoreOthers
    | MarkNotAFace
    | PutOff
    | HoldFromSets
    | LockIdentity
    | NameIdentity
    | ChooseCover
    | NeverExportIdentity
    | KeepTwoApart
    | AllowTwice
    | StateBirthDate
    | MarkMinor
    | MarkOfAge
    | UndoDecision
    | RedoDecision
)


def request_from_json(plain: object) -> Request:
    """Return the request from plain JSON values; raises ``RequestError`` (400) for anything else."""
    try:
        request: Request = msgspec.convert(plain, Request)
    except msgspec.ValidationError as error:
        raise RequestError(f"this is no request for a decision: {error}", status=400) from error
    return request


def chosen_in(request: Request) -> tuple[Chosen, ...]:
    """Return the faces that a request names."""
    faces: tuple[Chosen, ...] = getattr(request, "faces", ())
    return (*faces, request.face) if isinstance(request, ChooseCover) else faces


def numbers_of(request: Request) -> tuple[int, ...]:
    """Return the identities that a request names."""
    named: tuple[Any, ...] = tuple(getattr(request, name, None) for name in ("into", "identity", "other"))
    return tuple(one for one in (*getattr(request, "numbers", ()), *named) if one is not None)
