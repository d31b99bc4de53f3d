"""
The answers to a question: the requests for decisions that each amounts to. There is no other way to decide.

A person answers, so an answer that adds faces to a locked identity does so.
"""

from collections.abc import Mapping
from typing import assert_never

import msgspec

from immich_facesets.moderation.requests import (
    AllowTwice,
    AssignReference,
    ConfirmFaces,
    IgnoreStrangers,
    KeepTwoApart,
    MergePeople,
    MoveFaces,
    PutOff,
    RejectFaces,
    RemoveReference,
    Request,
    SplitPerson,
)
from immich_facesets.review.items import IMPOSSIBLE, Item
from immich_facesets.wording import counted

_TWICE = ("twice_in_picture", "two_in_picture")
_REMARKS = dict.fromkeys(_TWICE, ", of which the picture has another face") | {
    "before_birth": ", who was not born when the picture was taken"
}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: a key to press, what it states, and the requests for ``POST /api/decisions``."""

    key: str
    meaning: str
    requests: tuple[Request, ...]


def question_of(item: Item) -> str:
    """Return the question in words, by numbers and without names."""
    first, second = (*(f"identity {number}" for number in item.identities), "", "")[:2]
    match item.kind:
        case "merge":
            return f"are {first} and {second} one person?"
        case "mixed":
            return f"are all faces of {first} one person, or are {_parts(item)} {_others(item)}?"
        case "member":
            return f"is this face {first}{_REMARKS.get(item.reason, '')}?"
        case "ambiguous":
            return f"is this face {first} or {second}?"
        case "reference":
            return f"is this reference picture {first}{f' or {second}' if second else ''}?"
        case "nearly":
            return f"are these {counted(len(item.part), 'face')} of nobody a person to keep?"
        case _:
            assert_never(item.kind)


def answers_of(item: Item, labels: Mapping[int, str] = {}) -> tuple[Answer, ...]:
    """Return the possible answers to a question. ``labels``: the names of its identities that have one."""
    match item.kind:
        case "merge":
            found = _of_pair(item, labels)
        case "mixed":
            found = _of_mixed(item)
        case "member" if item.reason in _TWICE:
            found = _of_second_face(item)
        case "member" | "ambiguous":
            found = _of_face(item)
        case "reference":
            found = _of_reference(item)
        case "nearly":
            found = _of_nearly(item)
        case _:
            assert_never(item.kind)
    later = Answer(key="?", meaning="not sure: ask again when there is more to see", requests=(_later(item),))
    return (*found, later)


def _of_pair(item: Item, labels: Mapping[int, str]) -> tuple[Answer, ...]:
    one, two = item.identities
    into, other = (one, two) if _weight(item, 0, labels) >= _weight(item, 1, labels) else (two, one)
    label = labels.get(into) if other in labels else None
    merge = MergePeople(numbers=(other,), into=into, label=label, even_if_locked=True)
    return (
        Answer(key="y", meaning=f"{one} and {two} are one person, {into} from now on", requests=(merge,)),
        Answer(key="n", meaning="two people", requests=(KeepTwoApart(identity=one, other=two),)),
    )


def _weight(item: Item, place: int, labels: Mapping[int, str]) -> tuple[bool, int, int]:
    """Return the key of the identity that stays: the named one, the larger one, the older one."""
    number = item.identities[place]
    return (number in labels, item.faces[place], -number)


def _of_mixed(item: Item) -> tuple[Answer, ...]:
    shown = tuple(face for faces in item.evidence or () for face in faces)
    one = ConfirmFaces(faces=shown or item.part, identity=item.identities[0])
    people = f"{len(item.parts) + 1} people: {_parts(item)} become {_others(item)}"
    return (
        Answer(key="y", meaning="one person", requests=(one,)),
        Answer(key="n", meaning=people, requests=tuple(SplitPerson(faces=part) for part in item.parts)),
    )


def _parts(item: Item) -> str:
    """Return the sizes of the further parts in words: ``9 faces``, ``9, 5 and 4 faces``."""
    *first, last = map(len, item.parts)
    if not first:
        return counted(last, "face")
    return f"{', '.join(f'{size:,}' for size in first)} and {last:,} faces"


def _others(item: Item) -> str:
    return "another" if len(item.parts) == 1 else "other people"


def _of_face(item: Item) -> tuple[Answer, ...]:
    faces, (own, *others) = (item.face_id or 0,), item.identities
    found = (
        Answer(
            key=key, meaning=f"identity {one}", requests=(ConfirmFaces(faces=faces, identity=one, even_if_locked=True),)
        )
        for key, one in zip("yo", item.identities, strict=False)
    )
    is_kept = item.reason in IMPOSSIBLE
    reject = tuple(RejectFaces(faces=faces, identity=number, even_if_locked=is_kept) for number in item.identities)
    neither = f"not {own}" if not others else f"neither {own} nor {others[0]}"
    return (*found, Answer(key="n", meaning=neither, requests=reject))


def _of_second_face(item: Item) -> tuple[Answer, ...]:
    faces, (number,) = (item.face_id or 0,), item.identities
    is_kept = item.reason in IMPOSSIBLE
    confirm = ConfirmFaces(faces=faces, identity=number, even_if_locked=is_kept)
    instead = RejectFaces(faces=item.part, identity=number, even_if_locked=is_kept)
    reject = RejectFaces(faces=faces, identity=number, even_if_locked=is_kept)
    return (
        Answer(key="y", meaning="both: a mirror, a collage", requests=(AllowTwice(faces=faces), confirm)),
        Answer(key="o", meaning="this face, and not the other", requests=(instead, confirm)),
        Answer(key="n", meaning=f"not {number}", requests=(reject,)),
    )


def _of_reference(item: Item) -> tuple[Answer, ...]:
    picture = item.reference or 0
    found = (
        Answer(key=key, meaning=f"identity {number}", requests=(AssignReference(reference=picture, identity=number),))
        for key, number in zip("yo", item.identities, strict=False)
    )
    return (*found, Answer(key="n", meaning="delete it", requests=(RemoveReference(reference=picture),)))


def _of_nearly(item: Item) -> tuple[Answer, ...]:
    return (
        Answer(key="y", meaning="a new person", requests=(MoveFaces(faces=item.part),)),
        Answer(key="n", meaning="strangers, for good", requests=(IgnoreStrangers(faces=item.part),)),
    )


def _later(item: Item) -> PutOff:
    if item.face_id is not None:
        return PutOff(faces=(item.face_id,), seen=item.seen)
    if not item.identities:
        return PutOff(faces=item.part, seen=item.seen)
    one, other = (*item.identities, None)[:2]
    return PutOff(identity=one, other=other, seen=item.seen)
