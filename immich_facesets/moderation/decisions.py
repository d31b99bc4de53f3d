"""
The kinds of decisions that a moderator can make.

Decisions are the only irreplaceable data. They are values that are only added, in the order of their ids. They refer to
a face by content hash and box, and to an identity by its number. So they stay valid after any change of rows, re-run or
change of model. A decision that removes faces records where they were, so that an undo can restore them.
"""

from typing import Any, Literal

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.faces import Box
from immich_facesets.moderation.era_pins import EraPlace, EraSpan


class FaceRef(msgspec.Struct, frozen=True):
    """A reference to a face in a decision: the SHA-256 of its content, and its box in upright original pixels."""

    sha256: str
    box: Box


class Part(msgspec.Struct, frozen=True):
    """An identity merged into another: its number, and its faces and people (source, person id) at that time."""

    number: int
    faces: tuple[FaceRef, ...] = ()
    people: tuple[tuple[str, str], ...] = ()


class Seen(msgspec.Struct, frozen=True):
    """
    The evidence of a question that a moderator put off: it is asked again when that changes.

    ``kind``: that of the question. ``identities``: those it is about. ``faces``: how many faces each of them had.
    """

    kind: str
    probability: float
    identities: tuple[int, ...] = ()
    faces: tuple[int, ...] = ()


class _DecisionBase(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """The base of all decisions; the JSON of each has its kind in ``kind``."""


class Merge(_DecisionBase, frozen=True, tag="merge"):
    """
    The parts are the same person as ``into``.

    From the parts follow ``label``, the name that ``into`` has from now on, instead of ``label_before``; ``cover``;
    whether it is locked (``is_locked``) and never exported (``is_hidden``); the profiles that are not written for it any
    more (``profiles_off``). Nothing changes where they have no value. They are a record of that time: what follows is what
    the parts have, also when a decision about one of them is undone later. Of the name, this holds where it followed
    without a choice, from the part ``label_of``.
    """

    into: int
    parts: tuple[Part, ...]
    label: str | None = None
    label_before: str | None = None
    cover: FaceRef | None = None
    is_locked: bool = False
    is_hidden: bool = False
    profiles_off: tuple[str, ...] = ()
    label_of: int | None = None


class Split(_DecisionBase, frozen=True, tag="split"):
    """These faces of ``identity`` are another person, identity ``number``; the two are kept apart from now on."""

    identity: int
    faces: tuple[FaceRef, ...]
    number: int


class Move(_DecisionBase, frozen=True, tag="move"):
    """These faces belong to ``into``; ``origin`` is their previous identity, or None."""

    faces: tuple[FaceRef, ...]
    into: int
    origin: int | None = None


class Confirm(_DecisionBase, frozen=True, tag="confirm"):
    """
    These faces are surely ``identity``: they weigh in its centroid, and are never left out as outliers.

    ``origin`` is their previous identity, or None.
    """

    faces: tuple[FaceRef, ...]
    identity: int
    origin: int | None = None


class Reject(_DecisionBase, frozen=True, tag="reject"):
    """These faces never belong to ``identity``. ``was_member``: they were members until now."""

    faces: tuple[FaceRef, ...]
    identity: int
    was_member: bool = True


class KeepApart(_DecisionBase, frozen=True, tag="keep_apart"):
    """Two identities are two people: their merge is never suggested again."""

    identity: int
    other: int


class Lock(_DecisionBase, frozen=True, tag="lock"):
    """Grouping never changes this identity."""

    identity: int


class Unlock(_DecisionBase, frozen=True, tag="unlock"):
    """Grouping may change this identity again."""

    identity: int


class Label(_DecisionBase, frozen=True, tag="label"):
    """The name that a moderator gives this identity, instead of ``before``; None removes the name."""

    identity: int
    label: str | None
    before: str | None = None


class Ignore(_DecisionBase, frozen=True, tag="ignore"):
    """
    Permanently ignore single faces, which then belong to no identity, or a whole identity.

    An ignored identity still gets new faces, so that the stranger is not discovered again as a new identity. It is
    never shown or exported. ``origin`` is the previous identity of single faces, or None.
    """

    faces: tuple[FaceRef, ...] = ()
    identity: int | None = None
    origin: int | None = None


class NotAFace(_DecisionBase, frozen=True, tag="not_a_face"):
    """
    These boxes show no face of a person: a statue, a pet, a poster. They are left out in every space.

    ``origin`` is their previous identity, or None.
    """

    faces: tuple[FaceRef, ...]
    origin: int | None = None


class Later(_DecisionBase, frozen=True, tag="later"):
    """
    The moderator cannot tell yet: what concerns these faces, or this identity or pair, comes last in reviews.

    ``seen``: the question of a review that this answers. That question alone is left out then, until its evidence changes.
    """

    faces: tuple[FaceRef, ...] = ()
    identity: int | None = None
    other: int | None = None
    seen: Seen | None = None


class NotForSets(_DecisionBase, frozen=True, tag="not_for_sets"):
    """These faces show the right person, and are never exported; ``is_on=False`` reverts that."""

    faces: tuple[FaceRef, ...]
    is_on: bool = True


class ForSets(_DecisionBase, frozen=True, tag="for_sets"):
    """
    These faces are in the face sets of ``identity``, whatever rule would leave them out; ``is_on=False`` reverts that.

    They are while they are its members. Of this and ``NotForSets`` the later one counts.
    """

    faces: tuple[FaceRef, ...]
    identity: int
    is_on: bool = True


class AllowTogether(_DecisionBase, frozen=True, tag="allow_together"):
    """The pictures of these faces may hold one person twice: a mirror, a collage."""

    faces: tuple[FaceRef, ...]


class ForgottenFace(msgspec.Struct, frozen=True):
    """The place of a forgotten face: the salted digest of the SHA-256 of its picture, and its box."""

    digest: str
    box: Box


class Forget(_DecisionBase, frozen=True, tag="forget"):
    """
    The data of an identity was erased, and this cannot be undone. ``merged``: the numbers that led to it.

    Two things keep it from coming back: ``places`` of its faces, and ``marks``, salted digests of what names it elsewhere.
    The database has these in tables of their own; an export of decisions carries them here.
    """

    identity: int
    merged: tuple[int, ...] = ()
    salt: str = ""
    places: tuple[ForgottenFace, ...] = ()
    marks: tuple[str, ...] = ()


class Erased(_DecisionBase, frozen=True, tag="erased"):
    """A decision about a person who was forgotten: nothing is known of it but that it was made."""


class NeverExport(_DecisionBase, frozen=True, tag="never_export"):
    """An identity is never exported; ``is_on=False`` reverts that."""

    identity: int
    is_on: bool = True


class Profiles(_DecisionBase, frozen=True, tag="profiles"):
    """
    Nothing of an identity is written for the profiles ``off``, by name; for all others as the settings say.

    A profile that the settings do not name, or that this version does not know, stays in the list. ``before``: those that
    were off until then, so that only the difference counts when an earlier decision is undone. None: the whole list counts.
    """

    identity: int
    off: tuple[str, ...]
    before: tuple[str, ...] | None = None


class OfAge(_DecisionBase, frozen=True, tag="of_age"):
    """These faces, or all of an identity, show an adult: no birth date and no date of a picture holds them back."""

    faces: tuple[FaceRef, ...] = ()
    identity: int | None = None


class BirthDate(_DecisionBase, frozen=True, tag="birth_date"):
    """The birth date (ISO) of an identity, by a moderator; None takes it back."""

    identity: int
    birth_date: str | None


class Minor(_DecisionBase, frozen=True, tag="minor"):
    """An identity shows a minor, at every date; ``is_on=False`` reverts that."""

    identity: int
    is_on: bool = True


class Cover(_DecisionBase, frozen=True, tag="cover"):
    """The cover face that represents an identity."""

    identity: int
    face: FaceRef


class ReferencePicture(_DecisionBase, frozen=True, tag="reference"):
    """
    A reference picture, which is in no library, shows ``identity``; with ``is_on=False`` it was deleted.

    ``digest``: the SHA-256 of what is kept of it. ``face``: the picture that was sent, and the face in it.
    """

    digest: str
    face: FaceRef
    identity: int
    is_on: bool = True


class EraFace(msgspec.Struct, frozen=True):
    """A face with its place in an era before a decision and after it; None: in no era."""

    face: FaceRef
    was: EraPlace | None
    now: EraPlace | None


class Eras(_DecisionBase, frozen=True, tag="eras"):
    """
    The eras of an identity, changed by hand. ``immich_facesets.moderation.era_pins`` says why it pins faces.

    ``change``: what was asked for; ``eras``: the names that it was about, and ``name`` the one that it gave. ``spans``: the
    eras before and after it. ``placed``: the faces of the eras that it touched, and those of others that no decision pinned.
    """

    identity: int
    change: Literal["split", "rename", "merge"]
    spans: tuple[EraSpan, ...]
    placed: tuple[EraFace, ...]
    eras: tuple[str, ...] = ()
    name: str | None = None


class Undo(_DecisionBase, frozen=True, tag="undo"):
    """The decision with this id is no longer in effect; undoing an undo restores it."""

    decision: int


Decision = (
    Merge
    | Split
    | Move
    | Confirm
    | Reject
    | KeepApart
    | Lock
    | Unlock
    | Label
    | Ignore
    | NotAFace
    | Later
    | NotForSets
    | ForSets
    | AllowTogether
    | Forget
    | Erased
    | NeverExport
    | Profiles
    | OfAge
    | BirthDate
    | Minor
    | Cover
    | ReferencePicture
    | Eras
    | Undo
)


def kind_of(decision: Decision) -> str:
    """Return the name of a decision's kind, as in its JSON."""
    return str(decision.__struct_config__.tag)


NUMBER_FIELDS = ("into", "identity", "other", "number", "origin", "label_of")
"""The fields of decisions that hold the number of an identity."""


def numbers_in(decision: Decision) -> frozenset[int]:
    """Return every identity number that a decision mentions."""
    found = {number for name in NUMBER_FIELDS if (number := getattr(decision, name, None)) is not None}
    return frozenset(
        found | {part.number for part in getattr(decision, "parts", ())} | {*getattr(decision, "merged", ())}
    )


def faces_in(decision: Decision) -> tuple[FaceRef, ...]:
    """Return every face whose membership or export a decision settles, or that it shows; not those in eras."""
    parts = tuple(face for part in getattr(decision, "parts", ()) for face in part.faces)
    shown = (one for one in (getattr(decision, "face", None), getattr(decision, "cover", None)) if one is not None)
    return (*getattr(decision, "faces", ()), *parts, *shown)


def faces_in_eras(decision: Decision) -> tuple[FaceRef, ...]:
    """Return every face that a decision places in eras: there may be thousands, and most readers need none of them."""
    return tuple(one.face for one in decision.placed) if isinstance(decision, Eras) else ()


def rename_source(decision: Decision, old: str, new: str) -> Decision:
    """Return a decision in which people of the source ``old`` are people of ``new``."""
    if not isinstance(decision, Merge):
        return decision
    parts = (
        msgspec.structs.replace(
            part, people=tuple((new if source == old else source, person_id) for source, person_id in part.people)
        )
        for part in decision.parts
    )
    return msgspec.structs.replace(decision, parts=tuple(parts))


def to_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as plain JSON values, with its kind under ``kind``."""
    plain: dict[str, Any] = msgspec.to_builtins(decision)
    return plain


def from_json(plain: object) -> Decision:
    """Return the decision from plain JSON values; raises ``RequestError`` (400) for anything else."""
    try:
        decision: Decision = msgspec.convert(plain, Decision)
    except msgspec.ValidationError as error:
        raise RequestError(f"this is no decision: {error}", status=400) from error
    return decision


def from_text(text: str) -> Decision:
    """Return the decision from JSON as text, which is several times as fast; raises as ``from_json``."""
    try:
        return _DECODER.decode(text)
    except msgspec.DecodeError as error:
        raise RequestError(f"this is no decision: {error}", status=400) from error


_DECODER: msgspec.json.Decoder[Decision] = msgspec.json.Decoder(Decision)
