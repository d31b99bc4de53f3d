"""The answers to a question: the requests for decisions that each amounts to. There is no other way to decide."""

from collections.abc import Mapping

import msgspec

from immich_facesets.moderation.requests import (
    ConfirmFaces,
    KeepTwoApart,
    MergePeople,
    PutOff,
    RejectFaces,
    Request,
)
from immich_facesets.review.items import Item


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: a key to press, what it states, and the requests for ``POST /api/decisions``."""

    key: str
    meaning: str
    requests: tuple[Request, ...]


def question_of(item: Item) -> str:
    """Return the question in words, by numbers and without names."""
    first, *others = (f"identity {number}" for number in item.identities)
    match item.kind:
        case "merge":
            return f"are {first} and {others[0]} one person?"
        case "member":
            return f"is this face {first}?"
        case "ambiguous":
            return f"is this face {first} or {others[0]}?"


def answers_of(item: Item, labels: Mapping[int, str] = {}) -> tuple[Answer, ...]:
    """Return the possible answers to a question. ``labels``: the names of its identities that have one."""
    match item.kind:
        case "merge":
            return (*_of_pair(item, labels), _not_sure(item))
        case "member" | "ambiguous":
            return (*_of_face(item), _not_sure(item))


def _of_pair(item: Item, labels: Mapping[int, str]) -> tuple[Answer, ...]:
    one, two = item.identities
    into, other = (one, two) if _weight(item, 0, labels) >= _weight(item, 1, labels) else (two, one)
    merge = MergePeople(numbers=(other,), into=into, label=labels.get(into) if other in labels else None)
    return (
        Answer(key="y", meaning=f"{one} and {two} are one person, {into} from now on", requests=(merge,)),
        Answer(key="n", meaning="two people", requests=(KeepTwoApart(identity=one, other=two),)),
    )


def _weight(item: Item, place: int, labels: Mapping[int, str]) -> tuple[bool, int, int]:
    """Return the key of the identity that stays: the named one, the larger one, the older one."""
    number = item.identities[place]
    return (number in labels, item.faces[place], -number)


def _of_face(item: Item) -> tuple[Answer, ...]:
    faces, (own, *others) = (item.face_id or 0,), item.identities
    keys = zip("yo", item.identities, strict=False)
    found = (
        Answer(key=key, meaning=f"identity {one}", requests=(ConfirmFaces(faces=faces, identity=one),))
        for key, one in keys
    )
    reject = tuple(RejectFaces(faces=faces, identity=number) for number in item.identities)
    neither = f"not {own}" if not others else f"neither {own} nor {others[0]}"
    return (*found, Answer(key="n", meaning=neither, requests=reject))


def _not_sure(item: Item) -> Answer:
    faces = () if item.face_id is None else (item.face_id,)
    one, other = (*item.identities, None)[:2] if item.face_id is None else (None, None)
    later = PutOff(faces=faces, identity=one, other=other, seen=item.seen)
    return Answer(key="?", meaning="not sure: ask again when there is more to see", requests=(later,))
