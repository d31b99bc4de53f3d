"""The calls behind the reading routes without a store: they answer with the examples of the OpenAPI document."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec

from immich_facesets.errors import RequestError
from service.web import examples
from service.web.library.decisions import DecisionCalls, KeptAnswers, Preview
from service.web.library.eras import EraCalls
from service.web.library.identify import IdentifyAnswer
from service.web.library.reads import LibraryReads
from service.web.library.references import ReferenceCalls

T = TypeVar("T")

MERGED, SURVIVOR = examples.MERGED.number, examples.MERGED.leads_to
IMAGE = b"\xff\xd8\xff\xe0"
NOBODY = 1000
"""From this number on there is no identity, and no face."""


def _always(answer: T) -> Callable[..., Awaitable[T]]:
    async def call(*_: object) -> T:
        return answer

    return call


def _below(answer: T) -> Callable[[int], Awaitable[T | None]]:
    async def call(number: int) -> T | None:
        return answer if number < NOBODY else None

    return call


async def _survivor(number: int) -> int | None:
    return {MERGED: SURVIVOR}.get(number, number if number < NOBODY else None)


async def _archive(_: str) -> Iterator[bytes]:
    return iter((b"PK", b"..."))


def invented_decisions() -> DecisionCalls:
    """Decisions that are made at once, and kept nowhere."""
    return DecisionCalls(
        preview=_always(Preview(examples.PREVIEW, 17, (3,))), known=_always(None), make=_always(examples.DECIDED)
    )


def invented_eras() -> EraCalls:
    """One proposal, whatever the change."""
    return EraCalls(probe=_always(examples.ERA_PROBE), plan=_always(examples.ERA_PLAN), make=_always(examples.ERA_PLAN))


async def invented_identification(picture: bytes, limit: int) -> IdentifyAnswer:
    """The same person, whatever the picture."""
    del picture, limit
    return examples.IDENTIFIED


async def invented_picture(sha256: str) -> bytes | None:
    """The picture of the examples."""
    return IMAGE if sha256 == "3a" * 32 else None


def invented_references() -> ReferenceCalls:
    """Reference pictures that are added at once, and kept nowhere."""
    return ReferenceCalls(
        add=_always(examples.REFERENCE_ADDED), preview=_always(examples.REFERENCE_PREVIEW), last=_always(17)
    )


def no_answers() -> KeptAnswers:
    """Nothing was answered before, and nothing is kept."""
    return KeptAnswers(known=_always(None), keep=_always(None))


USERS_READS = (
    "identities", "labels", "covers", "survivor", "identity", "faces", "eras", "nearest", "figures", "together", "face",
    "search", "crop", "thumbnail", "has_picture", "sources",
    "source_names",
)  # fmt: skip
"""The calls that a user may make."""


def reads_of(user: str) -> LibraryReads:
    """Return the calls of a user: the others are refused."""

    async def refuse(*_: object) -> NoReturn:
        raise RequestError(f"this is the administrator's, not {user}'s", status=403)

    return replace(
        invented_reads(), **{one.name: refuse for one in fields(LibraryReads) if one.name not in USERS_READS}
    )


def invented_reads() -> LibraryReads:
    """One person in every answer; number 7 was merged into 3."""
    return LibraryReads(
        identities=_always(examples.IDENTITIES),
        labels=_always({3: "Anna", 8: "Berta"}),
        covers=_always({3: examples._COVER}),
        survivor=_survivor,
        identity=_below(examples.IDENTITY),
        faces=_always(examples.FACES),
        eras=_always(examples.ERAS),
        nearest=_always(examples.NEAREST),
        figures=_always(examples.FIGURES),
        together=_always(examples.TOGETHER),
        similar=_always(examples.SIMILAR),
        parts=_always(examples.PARTS),
        identities_file=_always(msgspec.json.encode(examples.IDENTITIES_FILE)),
        references=_always(examples.REFERENCES),
        reference_picture=_always(IMAGE),
        reference_original=_always(IMAGE),
        history=_always(examples.HISTORY),
        decisions=_always(examples.DECISIONS),
        decision=_below(examples.DECISIONS.decisions[0]),
        review=_always(examples.REVIEW),
        face=_below(examples.FACE),
        search=_always(examples.SEARCH),
        crop=_always(IMAGE),
        thumbnail=_always(IMAGE),
        has_picture=_always(True),
        facesets=_always(examples.FACESETS),
        faceset=_always(examples.FACESET),
        faceset_file=_always(Path(__file__)),
        faceset_archive=_archive,
        left_out=_always(examples.LEFT_OUT),
        exported=_always(examples.EXPORTED),
        facesets_of=_always(examples.EXPORTED.people[0].facesets),
        planned_set=_always(examples.PLANNED_SET),
        ledger=_always(examples.LEDGER),
        sources=_always(examples.SOURCES),
        source_names=_always(tuple(one.counts.name for one in examples.SOURCES.sources)),
        settings=_always(examples.SETTINGS),
        storage=_always(examples.STORAGE),
        failures=_always(examples.FAILURES),
        jobs=_always(examples.JOBS),
        job=_below(examples.JOBS.jobs[0]),
    )
