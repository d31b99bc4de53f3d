"""Decisions as the API takes and shows them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from immich_facesets.moderation.effects import Effect, Erasure
from immich_facesets.moderation.records import MOST_REASON, Author
from immich_facesets.moderation.requests import Request
from service.web.library.identities import IdentityAnswer, MadeDecision, Number, PageQuery
from service.web.problems import Problem

MOST_REQUESTS = 100
Reason = Annotated[str, msgspec.Meta(max_length=MOST_REASON)]


class DecisionsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which decisions are listed, newest first."""

    identity: Annotated[Number | None, msgspec.Meta(description="only those that name this identity")] = None


class DecisionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of decisions, newest first."""

    decisions: tuple[MadeDecision, ...]
    next: str | None = None


class DecisionsQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Decisions that are made together, or not at all. ``reason``: why, free text that is kept with each."""

    decisions: Annotated[tuple[Request, ...], msgspec.Meta(min_length=1, max_length=MOST_REQUESTS)]
    reason: Reason = ""


class UndoQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a decision is undone or done again, and whether locked identities may change by that."""

    reason: Reason = ""
    even_if_locked: bool = False


class DecisionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    The effect of decisions, made or only previewed: then ``decisions`` is empty.

    ``decisions``: their ids. ``selected``: how many faces each selection has. ``erased``: what was erased of a person who was
    forgotten. ``remark`` tells what could not be removed at once.
    """

    decisions: tuple[int, ...]
    kinds: tuple[str, ...]
    effect: Effect
    selected: tuple[int, ...] = ()
    erased: Erasure | None = None
    remark: str = ""


class ChangedIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """An identity whose ETag was not among those of the caller: the one it has, what it is now, and the latest decision."""

    number: int
    etag: str
    now: IdentityAnswer
    latest: MadeDecision | None


class ChangedProblem(Problem, frozen=True, kw_only=True):
    """The problem of a caller that saw older identities than the present ones."""

    changed: tuple[ChangedIdentity, ...]


@dataclass(frozen=True, slots=True)
class WriteKey:
    """The ``Idempotency-Key`` of a request, and a digest of what it asks."""

    text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswers:
    """
    The calls that keep the answers to other writes than decisions, which are kept with what they change.

    ``known`` returns what was answered under a key; it raises ``RequestError`` (422) where that was another request.
    """

    known: Callable[[WriteKey], Awaitable[bytes | None]]
    keep: Callable[[WriteKey, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect that requests would have after the decision ``last``. ``touched``: the identities that they name or change."""

    answer: DecisionsAnswer
    last: int
    touched: tuple[int, ...]


Make = Callable[[Sequence[Request], Author, WriteKey | None, int | None], Awaitable[DecisionsAnswer | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCalls:
    """
    The calls behind the routes that decide.

    ``make(requests, author, key, after)`` returns None when another decision followed the one with the id ``after``.
    ``known(key, author)`` returns what was answered under a key; it raises ``RequestError`` (422) where that was another
    request.
    """

    preview: Callable[[Sequence[Request]], Awaitable[Preview]]
    known: Callable[[WriteKey, Author], Awaitable[DecisionsAnswer | None]]
    make: Make
