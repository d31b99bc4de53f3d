"""The rest of decisions when a person is forgotten, and the salted digests that keep the person from coming back."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, assert_never

import msgspec

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.moderation.decisions import (
    AllowTogether,
    BirthDate,
    Confirm,
    Cover,
    Decision,
    Eras,
    Erased,
    FaceRef,
    Forget,
    ForSets,
    Ignore,
    KeepApart,
    Label,
    Later,
    Lock,
    Merge,
    Minor,
    Move,
    NeverExport,
    NotAFace,
    NotForSets,
    OfAge,
    Part,
    Profiles,
    ReferencePicture,
    Reject,
    Split,
    Undo,
    Unlock,
)
from immich_facesets.moderation.records import Line, Record
from immich_facesets.names import name_key

Recorded = TypeVar("Recorded", Record, Line)


def digest_of(salt: str, text: str) -> str:
    """Return the salted digest of what must not be kept itself, such as the SHA-256 of a picture."""
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()


def person_mark(account: str, person_id: str) -> str:
    """Return the text whose digest marks a person of a source. ``account``: at the source, else the source's name."""
    return f"person\n{account}\n{person_id}"


def imported_mark(face_key: str) -> str:
    """Return the text whose digest marks a face that was sorted with another tool."""
    return f"imported\n{face_key}"


def faces_at(places: Iterable[Box], boxes: Sequence[Box]) -> set[int]:
    """Return which of the boxes found in a picture are at these places in it: each place leads to one at most."""
    found = set()
    for place in places:
        overlap, index = max(((place.iou(box), -number) for number, box in enumerate(boxes)), default=(0.0, 0))
        if overlap >= SAME_FACE_IOU:
            found.add(-index)
    return found


@dataclass(frozen=True, slots=True)
class Forgotten:
    """
    A person to be forgotten: the numbers, which faces are theirs, and the names they ever had.

    ``namesakes``: other identities that have one of the names now. ``people``: of sources (source, person id).
    """

    numbers: frozenset[int]
    holds: Callable[[FaceRef], bool]
    names: frozenset[str] = field(default=frozenset(), repr=False)
    namesakes: frozenset[int] = frozenset()
    people: frozenset[tuple[str, str]] = frozenset()

    def is_name(self, text: str | None) -> bool:
        """Return whether a text is one of the names."""
        return text is not None and name_key(text) in self.names

    def is_in(self, text: str) -> bool:
        """Return whether a text has one of the names in it, as whole words."""
        key = name_key(text)
        return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", key) for name in self.names)


def without_person(record: Recorded, who: Forgotten) -> Recorded:
    """Return a record, or a line of an export, without the person: as it is, with less in it, or erased."""
    decision = redacted(record.decision, who)
    if isinstance(decision, Erased):
        return msgspec.structs.replace(record, decision=decision, reason="", members=())
    members = redacted_parts(record.members, who)
    is_as_before = (decision, members) == (record.decision, record.members) and not who.is_in(record.reason)
    return msgspec.structs.replace(
        record, decision=decision, members=members, reason=record.reason if is_as_before else ""
    )


def redacted_parts(parts: Iterable[Part], who: Forgotten) -> tuple[Part, ...]:
    """Return the parts of other people, without faces of the person, and without what sources know the person as."""
    kept = (one for one in parts if one.number not in who.numbers)
    return tuple(
        msgspec.structs.replace(
            one, faces=_others(one.faces, who), people=tuple(key for key in one.people if key not in who.people)
        )
        for one in kept
    )


def redacted(decision: Decision, who: Forgotten) -> Decision:  # noqa: C901, PLR0911 one flat arm for each kind
    """Return what a decision says of others, or ``Erased`` where nothing is left of it. Numbers alone may stay."""
    match decision:
        case Forget() | Erased() | Undo():
            return decision
        case Merge():
            return _merge(decision, who)
        case Label():
            return _label(decision, who)
        case Split():
            return Erased() if decision.number in who.numbers else _faces_only(decision, who)
        case Move() | Confirm() | Reject() | NotAFace() | NotForSets() | AllowTogether():
            return _faces_only(decision, who)
        case Ignore() | Later() | OfAge():
            return _subject(decision, who)
        case ForSets():
            return Erased() if decision.identity in who.numbers else _faces_only(decision, who)
        case KeepApart():
            return Erased() if who.numbers & {decision.identity, decision.other} else decision
        case Cover() | ReferencePicture():
            return Erased() if decision.identity in who.numbers or who.holds(decision.face) else decision
        case Eras():
            return _eras(decision, who)
        case Lock() | Unlock() | NeverExport() | Profiles() | BirthDate() | Minor():
            return Erased() if decision.identity in who.numbers else decision
        case _:
            assert_never(decision)


def _others(faces: Iterable[FaceRef], who: Forgotten) -> tuple[FaceRef, ...]:
    return tuple(face for face in faces if not who.holds(face))


def _faces_only(
    decision: Split | Move | Confirm | Reject | NotAFace | NotForSets | ForSets | AllowTogether, who: Forgotten
) -> Decision:
    kept = _others(decision.faces, who)
    return msgspec.structs.replace(decision, faces=kept) if kept else Erased()


def _subject(decision: Ignore | Later | OfAge, who: Forgotten) -> Decision:
    if who.numbers & {decision.identity, getattr(decision, "other", None)}:
        return Erased()
    kept = _others(decision.faces, who)
    return msgspec.structs.replace(decision, faces=kept) if kept or decision.identity is not None else Erased()


def _eras(decision: Eras, who: Forgotten) -> Decision:
    if decision.identity in who.numbers:
        return Erased()
    kept = tuple(one for one in decision.placed if not who.holds(one.face))
    return msgspec.structs.replace(decision, placed=kept) if kept else Erased()


def _merge(decision: Merge, who: Forgotten) -> Decision:
    """
    Return a merge without the person; one that is in effect has parts of the person alone.

    An undone one into the person still says what the others had before, and no more.
    """
    parts = redacted_parts(decision.parts, who)
    if not parts:
        return Erased()
    if decision.into in who.numbers:
        return Merge(decision.into, parts)
    has_label = not who.is_name(decision.label) or decision.into in who.namesakes
    return msgspec.structs.replace(
        decision,
        parts=parts,
        label=decision.label if has_label else None,
        label_before=None if who.is_name(decision.label_before) else decision.label_before,
        cover=None if decision.cover is None or who.holds(decision.cover) else decision.cover,
        label_of=decision.label_of if has_label and decision.label_of not in who.numbers else None,
    )


def _label(decision: Label, who: Forgotten) -> Decision:
    """Return the name of another identity; the name of the person stays only where another one has it now."""
    if decision.identity in who.numbers or (who.is_name(decision.label) and decision.identity not in who.namesakes):
        return Erased()
    return msgspec.structs.replace(decision, before=None) if who.is_name(decision.before) else decision
