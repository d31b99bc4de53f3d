"""Requests of moderators: they name identities by number, and faces by id or by picture and box."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.moderation.decisions import FaceRef, Seen

Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Chosen = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | FaceRef
"""A face: its id in this database, or its picture (SHA-256 of the content) and a box in upright original pixels."""

Name = Annotated[str, msgspec.Meta(max_length=500)]

ProfileName = Annotated[str, msgspec.Meta(min_length=1, max_length=50)]


Day = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$")]
"""A year, a month or a day, ISO 8601."""

Distance = Annotated[float, msgspec.Meta(ge=0, le=2)]


class FaceSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    All faces of an identity within these limits, when a decision is made; a preview answers how many these are.

    ``farther_than``, ``nearer_than``: cosine distance from the centroid. ``taken_since`` (inclusive), ``taken_before``:
    local dates; faces without a date are beyond both. ``source``: in a picture of this user or folder. ``count``: the
    number of faces that the caller saw in a preview. Without it nothing is decided.
    """

    identity: Number
    farther_than: Distance | None = None
    nearer_than: Distance | None = None
    taken_since: Day | None = None
    taken_before: Day | None = None
    source: Name | None = None
    count: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _RequestBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", forbid_unknown_fields=True):
    """The base of all requests. ``even_if_locked``: locked identities get or lose faces, too."""

    even_if_locked: bool = False


class _SomeFacesRequest(_RequestBase, frozen=True, kw_only=True):
    """The base of requests that may name faces: one by one, or by a selection."""

    faces: tuple[Chosen, ...] = ()
    select: FaceSelection | None = None

    def __post_init__(self) -> None:
        if self.faces and self.select is not None:
            raise ValueError("name faces, or select them: not both")


class _FacesRequest(_SomeFacesRequest, frozen=True, kw_only=True):
    """The base of requests that must name faces."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.faces and self.select is None:
            raise ValueError("name faces, or select them")


class MergePeople(_RequestBase, frozen=True, tag="merge"):
    """``numbers`` are the same person as ``into``. ``label``: the name of both, where both have one."""

    numbers: Annotated[tuple[Number, ...], msgspec.Meta(min_length=1)]
    into: Number
    label: Name | None = None


class SplitPerson(_FacesRequest, frozen=True, tag="split"):
    """These faces are a new person, never joined again to the one they were of."""


class MoveFaces(_FacesRequest, frozen=True, tag="move"):
    """These faces belong to ``into``; None: to a new person."""

    into: Number | None = None


class ConfirmFaces(_FacesRequest, frozen=True, tag="confirm"):
    """These faces are surely the person; ``identity`` None: each that of which it is a member."""

    identity: Number | None = None


class RejectFaces(_FacesRequest, frozen=True, tag="reject"):
    """These faces are not the person; ``identity`` None: each not that of which it is a member."""

    identity: Number | None = None


class IgnoreStrangers(_SomeFacesRequest, frozen=True, tag="ignore"):
    """Ignore these faces, or all of an identity, for good: they are strangers."""

    identity: Number | None = None


class IgnoreOthers(_FacesRequest, frozen=True, tag="ignore_others"):
    """Ignore all faces of the pictures of these faces but these."""


class MarkNotAFace(_FacesRequest, frozen=True, tag="not_a_face"):
    """These boxes show no face of a person."""


class PutOff(_SomeFacesRequest, frozen=True, tag="later"):
    """
    Faces, an identity, or a pair of identities that a moderator cannot judge yet.

    ``seen``: the question of a review that this answers, as it was asked.
    """

    identity: Number | None = None
    other: Number | None = None
    seen: Seen | None = None


class HoldFromSets(_FacesRequest, frozen=True, tag="not_for_sets"):
    """These faces show the right person, and are never exported; ``is_on=False`` reverts that."""

    is_on: bool = True


class IncludeInSets(_FacesRequest, frozen=True, tag="for_sets"):
    """These faces are in the face sets of the identity of which each is a member; ``is_on=False`` reverts that."""

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


class SwitchProfiles(_RequestBase, frozen=True, tag="profiles"):
    """The export profiles ``off`` are not written for an identity any more, and those of ``on`` are again."""

    identity: Number
    off: tuple[ProfileName, ...] = ()
    on: tuple[ProfileName, ...] = ()

    def __post_init__(self) -> None:
        if not self.off and not self.on:
            raise ValueError("name a profile to switch off or on")
        if both := {*self.off} & {*self.on}:
            raise ValueError(f"{', '.join(sorted(both))} cannot be switched off and on at once")


class ForgetPerson(_RequestBase, frozen=True, tag="forget"):
    """Erase the data of an identity for good. ``confirm`` repeats its number: nothing brings the data back."""

    identity: Number
    confirm: Number


class KeepTwoApart(_RequestBase, frozen=True, tag="keep_apart"):
    """Two identities are two people."""

    identity: Number
    other: Number


class AllowTwice(_FacesRequest, frozen=True, tag="allow_twice"):
    """The pictures of these faces may hold one person twice."""


class StateBirthDate(_RequestBase, frozen=True, tag="birth_date"):
    """The birth date of an identity; None takes it back."""

    identity: Number
    birth_date: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None


class MarkMinor(_RequestBase, frozen=True, tag="minor"):
    """An identity shows a minor, at every date; ``is_on=False`` reverts that."""

    identity: Number
    is_on: bool = True


class MarkOfAge(_SomeFacesRequest, frozen=True, tag="of_age"):
    """These faces, or all of an identity, show an adult."""

    identity: Number | None = None


class NewPerson(_RequestBase, frozen=True, tag="new_person"):
    """A new identity with this name, which has no face yet. ``is_namesake``: another person has the same name."""

    label: Name
    is_namesake: bool = False


class AssignReference(_RequestBase, frozen=True, tag="reference"):
    """A reference picture, by its id, shows an identity."""

    reference: Number
    identity: Number


class RemoveReference(_RequestBase, frozen=True, tag="remove_reference"):
    """Delete a reference picture, by its id: it counts no more, and nothing brings it back."""

    reference: Number


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
    | IncludeInSets
    | LockIdentity
    | NameIdentity
    | ChooseCover
    | NeverExportIdentity
    | SwitchProfiles
    | ForgetPerson
    | KeepTwoApart
    | AllowTwice
    | StateBirthDate
    | MarkMinor
    | MarkOfAge
    | NewPerson
    | AssignReference
    | RemoveReference
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


def references_of(request: Request) -> tuple[int, ...]:
    """Return the reference pictures that a request names."""
    return (request.reference,) if isinstance(request, AssignReference | RemoveReference) else ()


def numbers_of(request: Request) -> tuple[int, ...]:
    """Return the identities that a request names."""
    named: tuple[Any, ...] = tuple(getattr(request, name, None) for name in ("into", "identity", "other"))
    selected = selection_of(request)
    named += () if selected is None else (selected.identity,)
    return tuple(one for one in (*getattr(request, "numbers", ()), *named) if one is not None)


def selection_of(request: Request) -> FaceSelection | None:
    """Return the selection that a request names, if any."""
    return request.select if isinstance(request, _SomeFacesRequest) else None


def with_faces(request: Request, face_ids: Sequence[int]) -> Request:
    """Return the request with these faces instead of its selection."""
    found: Request = msgspec.structs.replace(request, faces=tuple(face_ids), select=None)
    return found
