"""The command ``review``: the questions that only a person can settle, one at a time, with one key for each answer."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from immich_facesets.errors import RequestError
from immich_facesets.review.answers import Answer
from immich_facesets.review.items import Kind
from immich_facesets.wording import counted
from service.cli.deciding import DryRun, Json, Reason, decide
from service.cli.over_api import service_address
from service.cli.terminal import as_sentence, print_json, print_line, print_remark
from service.passes.context import CROPS_FOLDER, REFERENCES_FOLDER
from service.reports.library.review import ReviewReads
from service.settings import Settings, load_settings
from service.storage import open_reading
from service.web.library.faces import Face
from service.web.library.review import (
    EvidenceFace,
    ReviewedIdentity,
    ReviewedReference,
    ReviewItem,
    ReviewPage,
    ReviewQuery,
)

SKIP, QUIT = "s", "q"
MOST_LISTED = 200


def review(
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only questions of this kind.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many questions are asked at most.")] = MOST_LISTED,
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Ask what grouping cannot know, the most useful question first: is this one person, is this face theirs?

    Each answer is a decision that 'decisions undo' takes back. --json lists the questions instead.
    """
    settings = load_settings()
    if json:
        print_json([item for page in _pages(settings, kind, limit, at_once=MOST_LISTED) for item in page.items])
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RequestError("review asks questions on a terminal: with --json it lists them for a program", status=400)
    links = Links(settings)
    asked = total = 0
    for page in _pages(settings, kind, limit, at_once=1):
        for message in page.guardrails if not asked else ():
            print_line(f"Look at this: {message}")
        for item in page.items:
            asked, total = asked + 1, total or min(limit, page.total)
            print_line(f"{asked} of {total}: {as_question(item)}")
            for line in (*_told(item, links), ""):
                print_line(line)
            if not _answered(item, reason=reason, dry_run=dry_run):
                return
    left = asyncio.run(_page(settings, ReviewQuery(kind=kind, limit=1))).total if asked else 0
    if left:
        print_line(f"{counted(left, 'question')} left: 'immich-facesets review' asks again.")
    else:
        print_line("There is nothing more to review." if asked else "There is nothing to review.")


def _pages(settings: Settings, kind: Kind | None, limit: int, *, at_once: int) -> Iterator[ReviewPage]:
    """Yield the queue, read again after each answer: what an answer settles is not asked."""
    cursor: str | None = ""
    while cursor is not None and limit > 0:
        page = asyncio.run(_page(settings, ReviewQuery(kind=kind, limit=min(at_once, limit), cursor=cursor)))
        yield page
        limit, cursor = limit - len(page.items), page.next


async def _page(settings: Settings, query: ReviewQuery) -> ReviewPage:
    async with open_reading(settings) as store:
        return await ReviewReads(store, settings.base_path).page(query)


def as_question(item: ReviewItem) -> str:
    """Return the question with its probability and its weight."""
    exported = "" if item.is_exported else ", never exported"
    return (
        f"{item.question[:1].upper()}{item.question[1:]} The probability that something is wrong is "
        f"{item.probability:.0%}. An answer settles {counted(item.settles, 'face')}{exported}."
    )


class Links:
    """Where faces can be looked at: at the service that runs, else as files in the data folder."""

    def __init__(self, settings: Settings) -> None:
        self._crops: Path = settings.data_dir.absolute() / CROPS_FOLDER
        self._references: Path = settings.data_dir.absolute() / REFERENCES_FOLDER
        self._service = service_address(settings)

    def of(self, face: Face) -> str:
        return "no crop: too small" if face.crop is None else self._place(face.crop.crop, self._crops)

    def of_reference(self, shown: ReviewedReference) -> str:
        return self._place(shown.display, self._references)

    def _place(self, address: str, folder: Path) -> str:
        if self._service is not None:
            return f"{self._service}{address}"
        name = address.rpartition("/")[2]
        return str(folder / name[:2] / name)


def _told(item: ReviewItem, links: Links) -> Iterator[str]:
    """Yield what a person needs to decide, a line each."""
    if item.face is not None:
        ages = [f"{age} years old as identity {one.number}" for one, age in _aged(item)]
        yield f"  The face: {'; '.join((_face(item.face, links), *ages))}"
    if item.reference is not None:
        yield f"  The reference picture: {item.reference.id}: {links.of_reference(item.reference)}"
    for one in item.identities:
        yield f"  {_identity(one)}"
        yield from (f"    {_evidence(shown, links)}" for shown in one.evidence)
    for part in item.parts:
        yield f"  {counted(part.faces, 'face')} apart"
        yield from (f"    {_evidence(shown, links)}" for shown in part.evidence)


def _aged(item: ReviewItem) -> list[tuple[ReviewedIdentity, int]]:
    return [(one, age) for one, age in zip(item.identities, item.ages, strict=False) if age is not None]


def _identity(one: ReviewedIdentity) -> str:
    parts = [f"Identity {one.number}{'' if one.label is None else f', {one.label}'}", counted(one.faces, "face")]
    parts += [f"{one.first_date} to {one.last_date}"] if one.first_date is not None else []
    parts += [f"born {one.birth_date}"] if one.birth_date is not None else []
    return ", ".join(parts)


def _evidence(shown: EvidenceFace, links: Links) -> str:
    age = "" if shown.age is None else f", {shown.age} years old"
    return f"{_face(shown.face, links)}{age}"


def _face(face: Face, links: Links) -> str:
    place = face.picture.places[0] if face.picture.places else None
    where = "" if place is None else f", {place.source}: {place.path}"
    return f"{face.id}, {(face.taken or 'no date')[:10]}: {links.of(face)}{where}"


def _answered(item: ReviewItem, *, reason: str, dry_run: bool) -> bool:
    """Ask until an answer is made or skipped; return whether to go on."""
    while (answer := _asked(item.answers)) is not None:
        if isinstance(answer, str):
            return answer != QUIT
        try:
            decide(*answer.requests, reason=reason, dry_run=dry_run, json=False)
        except RequestError as error:
            print_remark(as_sentence(str(error)))
            continue
        if not dry_run:
            return True
    return False


def _asked(answers: Sequence[Answer]) -> Answer | str | None:
    """Return the answer that a key stands for, or a key that decides nothing; None at the end of the input."""
    by_key = {one.key: one for one in answers}
    words = [f"{one.key}: {one.meaning}" for one in answers]
    print_line(f"[{'; '.join((*words, f'{SKIP}: skip', f'{QUIT}: stop'))}]")
    while True:
        key = typer.getchar().lower()
        if key in by_key:
            return by_key[key]
        if key in {SKIP, QUIT}:
            return key
        if not key or key in {"\x04", "\x1a"}:
            return None
        print_remark(f"no answer has this key; there are: {', '.join((*by_key, SKIP, QUIT))}")
