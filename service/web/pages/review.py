"""The page of the review queue: one question at a time, each answer a decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, assert_never

import msgspec
from aiohttp import web

from immich_facesets.moderation.requests import IgnoreStrangers, MarkNotAFace, Request
from immich_facesets.review.items import Kind
from immich_facesets.wording import counted
from service.web.library.identities import PageQuery
from service.web.library.review import ReviewedIdentity, ReviewItem, ReviewQuery
from service.web.pages.shell import Done, render_page
from service.web.pages.wording import years_of
from service.web.parameters import read_query
from service.web.routes import Answer, Route
from service.web.viewers import library_of

KINDS: dict[Kind, str] = {
    "merge": "Two people, or one?",
    "mixed": "Mixed people",
    "member": "Wrong faces",
    "ambiguous": "Between two people",
    "nearly": "Nearly a person",
    "reference": "Reference pictures",
}
CARDS_OF_A_PAGE = 8

_KEYS = {"?": "s"}
"""Keys of the API that have another meaning in pages: ? shows the keys."""


class CardsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which questions are shown."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=50, description="the most questions of the page")] = CARDS_OF_A_PAGE
    kind: Annotated[Kind | Literal[""], msgspec.Meta(description="of this kind alone")] = ""
    done: Done = ""


_WORDS: dict[Kind, dict[str, str]] = {
    "merge": {"y": "the same person", "n": "two people"},
    "mixed": {"y": "one person", "n": "several people: part them"},
    "member": {"y": "yes", "n": "no"},
    "ambiguous": {"n": "neither"},
    "nearly": {"y": "a new person", "n": "strangers"},
    "reference": {"n": "neither: delete the picture"},
}
_WORDS_OF_TWO_FACES = {"y": "both: a mirror, a collage", "o": "this face, not the other", "n": "no"}
_WORDS_OF_ALL = {"?": "not sure"}


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """One answer of a card: its key, its words, and the requests of its form as JSON."""

    key: str
    words: str
    requests: str
    settles: int


@dataclass(frozen=True, slots=True)
class Card:
    """One question as a page shows it. ``face_id``: of a question about one face, which somebody else may be."""

    item: ReviewItem
    title: str
    answers: Sequence[CardAnswer]
    face_id: int | None


def card_of(item: ReviewItem) -> Card:
    """Return the card of a question."""
    answers = [
        CardAnswer(
            _KEYS.get(one.key, one.key),
            _words(item, one.key, one.meaning),
            _json(one.requests),
            _settles(item, one.key),
        )
        for one in item.answers
    ]
    face_id = None if item.face is None else item.face.id
    if face_id is not None:
        more = (
            ("i", "A stranger", IgnoreStrangers(faces=(face_id,))),
            ("x", "No face", MarkNotAFace(faces=(face_id,))),
        )
        answers += [CardAnswer(key, words, _json((one,)), item.settles) for key, words, one in more]
    return Card(item, _title(item), answers, face_id)


def _settles(item: ReviewItem, key: str) -> int:
    return 0 if key == "?" else item.settles


def _title(item: ReviewItem) -> str:
    people = [_name(one) for one in item.identities]
    faces = counted(sum(part.faces for part in item.parts), "face")
    match item.kind:
        case "merge":
            return f"Are {people[0]} and {people[1]} the same person?"
        case "mixed":
            return f"Is this all {people[0]}, or are {faces} other people?"
        case "member" if item.reason in {"twice_in_picture", "two_in_picture"}:
            return f"Is this {people[0]}? The picture has another face of {people[0]}."
        case "member":
            return f"Is this {people[0]}?"
        case "ambiguous" | "reference":
            return f"Is this {people[0]} or {people[1]}?"
        case "nearly":
            return f"Are these {faces} a person to keep?"
        case _:
            assert_never(item.kind)


def _words(item: ReviewItem, key: str, meaning: str) -> str:
    """Return the words of an answer, with names where the API has numbers; those of the API for one without."""
    words = _WORDS.get(item.kind, {}).get(key) or _WORDS_OF_ALL.get(key) or meaning
    if item.kind == "member" and item.reason in {"twice_in_picture", "two_in_picture"}:
        words = _WORDS_OF_TWO_FACES.get(key, words)
    if item.kind in {"ambiguous", "reference"} and key in "yo":
        words = _name(item.identities["yo".index(key)])
    return words[:1].upper() + words[1:]


def _name(identity: ReviewedIdentity) -> str:
    return identity.label or f"person {identity.number}"


def _json(requests: Sequence[Request]) -> str:
    return msgspec.json.encode(list(requests)).decode()


async def show_review(request: web.Request) -> web.StreamResponse:
    query, library = read_query(request, CardsQuery), library_of(request)
    found = await library.review(ReviewQuery(limit=query.limit, cursor=query.cursor, kind=query.kind or None))
    view: dict[str, Any] = {
        "query": query,
        "cards": [card_of(one) for one in found.items],
        "total": found.total,
        "guardrails": found.guardrails,
        "kinds": KINDS,
        "years_of": years_of,
        "next": None if found.next is None else str(request.rel_url.update_query(cursor=found.next)),
    }
    return await render_page(request, "review.html", view)


ROUTES = (
    Route(
        method="GET",
        path="/review",
        handler=show_review,
        summary="The page of the review queue",
        query=CardsQuery,
        answers={200: Answer("The page", media_type="text/html"), 303: Answer("To the login", redirects=True)},
    ),
)
