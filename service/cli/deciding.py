"""The parts that all commands for decisions share: how faces are named, how a decision is made, and what is printed."""

import asyncio
import getpass
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

import typer

from immich_facesets.errors import FacesetsError, RequestError, SetupError
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import FaceRef
from immich_facesets.moderation.effects import Effect, Erasure
from immich_facesets.moderation.records import MOST_REASON, Author
from immich_facesets.moderation.requests import Chosen, ForgetPerson, Request
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.wording import counted
from service.cli.over_api import decide_over_api
from service.cli.terminal import print_json, print_line, print_remark
from service.files.references import ReferenceFolder
from service.moderation.decisions import make_decisions, withdraw_exports, withdraws
from service.moderation.erasures import NOT_ALL_ERASED, Erasing
from service.moderation.references import REFERENCE, files_left
from service.passes.context import CROPS_FOLDER, REFERENCES_FOLDER, utc_now
from service.settings import Settings, load_settings
from service.storage import open_own_exports, open_own_store, open_reading, prepare_data_dir
from service.store.database import DataLock, InUseError, Store
from service.store.moderation import MadeDecisions, preview_decisions

T = TypeVar("T")


class BesideServiceError(SetupError):
    """A service, or another command, works in the data folder."""


Reason = Annotated[str, typer.Option("--reason", help="Why: free text that is kept with the decision.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EvenIfLocked = Annotated[bool, typer.Option("--even-if-locked", help="Change faces of locked identities, too.")]
FaceNames = Annotated[
    list[str],
    typer.Argument(metavar="FACE...", help="Ids of faces ('identities show N --json'), or SHA256:X1,Y1,X2,Y2."),
]

_PLACE = re.compile(r"([0-9a-f]{64}):(-?[\d.]+),(-?[\d.]+),(-?[\d.]+),(-?[\d.]+)")


def faces_of(texts: Sequence[str]) -> tuple[Chosen, ...]:
    """Return the faces that the arguments of a command name; ``RequestError`` (400) for what names none."""
    return tuple(_face(text) for text in texts)


def _face(text: str) -> Chosen:
    if text.isascii() and text.isdigit() and 0 < int(text) < 2**63:
        return int(text)
    found = _PLACE.fullmatch(text)
    if found is None:
        raise RequestError(
            f"{text!r} names no face: give its id, or the SHA-256 of its picture and a box, as in SHA256:X1,Y1,X2,Y2",
            status=400,
        )
    try:
        x1, y1, x2, y2 = (float(number) for number in found.groups()[1:])
    except ValueError as error:
        raise RequestError(f"{text!r} has no valid box: write X1,Y1,X2,Y2 in pixels", status=400) from error
    return FaceRef(found[1], Box(x1, y1, x2, y2))


def author_of(reason: str) -> Author:
    """Return who decides by a command: the user of the system."""
    if len(reason) > MOST_REASON:
        raise RequestError(f"a reason has at most {MOST_REASON} characters", status=400)
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        name = "command"
    return Author(name[:200], "command", reason)


def decide(*requests: Request, reason: str, dry_run: bool, json: bool) -> None:
    """Make or preview the decisions of these requests, and print what they change."""
    settings = load_settings()
    configure_logging(level=settings.log_level if settings.log_level == "DEBUG" else "WARNING")
    author = author_of(reason)
    done = asyncio.run(_preview(settings, requests) if dry_run else _decide(settings, requests, author))
    if json:
        print_json(done)
    else:
        _print(done)


def forget(request: ForgetPerson, *, is_sure: bool, reason: str, json: bool) -> None:
    """Preview what is erased of a person, ask, and erase it; ``is_sure``: the user does not want to be asked."""
    if not is_sure:
        if json or not sys.stdin.isatty():
            raise RequestError(f"this erases the data of identity {request.identity} for good: say --yes", status=400)
        decide(request, reason=reason, dry_run=True, json=False)
        try:
            answer = typer.prompt(f"Nothing brings this data back. Repeat the number {request.identity} to erase it")
        except typer.Abort as error:
            raise RequestError("no answer: nothing was erased", status=400) from error
        if answer.strip() != str(request.identity):
            raise RequestError("the numbers differ: nothing was erased", status=400)
    decide(request, reason=reason, dry_run=False, json=json)


async def _decide(settings: Settings, requests: Sequence[Request], author: Author) -> MadeDecisions:
    """Make decisions in the store, or let the service do so that works in it."""
    try:
        return await with_own_store(settings, lambda store: _make(settings, store, requests, author))
    except BesideServiceError:
        if (done := await decide_over_api(settings, requests, author.reason)) is not None:
            return done
        raise


async def with_own_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """Do something with the store, locked; while a service runs beside it, a ``BesideServiceError`` says what to do."""
    folder = await asyncio.to_thread(prepare_data_dir, settings)
    try:
        with DataLock(folder), open_own_store(settings, folder) as store:
            return await work(store)
    except InUseError as error:
        raise BesideServiceError(
            f"a service, or another command, works in {settings.data_dir}: decisions by command need it stopped, unless it is "
            "a service that answers at FACESETS_LISTEN with the token of these settings. An import needs it stopped at any "
            "rate. Stop it, repeat this command, and start it again. With --dry-run it may go on"
        ) from error


async def _preview(settings: Settings, requests: Sequence[Request]) -> MadeDecisions:
    async with open_reading(settings) as store:
        return await store.read(preview_decisions, list(requests))


async def _make(settings: Settings, store: Store, requests: Sequence[Request], author: Author) -> MadeDecisions:
    now = utc_now()
    done = await make_decisions(store, requests, author, now)
    if REFERENCE in done.kinds and (left := await files_left(store, reference_folder(settings))):
        print_remark(left)
    if done.erased is not None:
        await erase_rest(settings, store, author)
        return done
    numbers = withdraws(done)
    if numbers:
        try:
            tree = await asyncio.to_thread(open_own_exports, settings, store)
            await withdraw_exports(store, tree, numbers, author, now)
        except FacesetsError as error:
            print_remark(f"decided, but exports may be there still: {error}. The next sync or 'export' removes them")
    return done


def reference_folder(settings: Settings) -> ReferenceFolder:
    """Return the folder of reference pictures, for a command without a service."""
    return ReferenceFolder(settings.data_dir / REFERENCES_FOLDER)


async def erase_rest(settings: Settings, store: Store, author: Author) -> None:
    """Erase what a forgotten person left outside of the tables, or say why some of it is left."""
    troubles, tree = list[str](), None
    try:
        tree = await asyncio.to_thread(open_own_exports, settings, store)
    except FacesetsError as error:
        troubles.append(str(error))
    crops, references = settings.data_dir / CROPS_FOLDER, reference_folder(settings)
    left = await Erasing(store, tree, crops, references, utc_now).finish(author.made_by)
    troubles += [left] if left and tree is not None else []
    if troubles:
        print_remark(f"{NOT_ALL_ERASED}: {'; '.join(troubles)}")


def _print(done: MadeDecisions) -> None:
    if done.erased is None:
        _print_effect(done.effect)
    else:
        _print_erased(done, done.erased)
    if not done.decisions:
        print_line("Nothing was changed: this was a preview.")
    elif done.erased is not None:
        print_line(
            f"Decision {done.decisions[0]}: nothing takes it back. The next sync writes the other face sets again."
        )
    else:
        decided = ", ".join(map(str, done.decisions))
        follows = " The next sync or 'export' writes the face sets." if done.effect.is_of_facesets else ""
        print_line(f"Decision {decided}: 'immich-facesets decisions undo {done.decisions[0]}' takes it back.{follows}")


def _print_effect(effect: Effect) -> None:
    for old, new in effect.merged:
        print_line(f"Identity {old} is identity {new}.")
    for number in effect.new:
        print_line(f"Identity {number} is new.")
    for one in effect.changes:
        ways = [f"{counted(one.joins, 'face')} joined"] if one.joins else []
        ways += [f"{counted(one.leaves, 'face')} left"] if one.leaves else []
        print_line(f"Identity {one.identity}: {', '.join(ways)}; it has {counted(one.faces, 'face')}.")
    if effect.released:
        print_line(f"{counted(effect.released, 'face')} of nobody now.")
    settings: dict[int, list[str]] = {}
    for number, setting in effect.settings:
        settings.setdefault(number, []).append(setting.replace("_", " "))
    for number, several in settings.items():
        print_line(f"Identity {number}: {', '.join(several)} set.")


def _print_erased(done: MadeDecisions, erased: Erasure) -> None:
    """Print who is forgotten, with every number of a merged person, and what that erases."""
    is_done = bool(done.decisions)
    people = ", ".join(f"identity {number}" for number, setting in done.effect.settings if setting == "forgotten")
    print_line(f"{'Forgotten' if is_done else 'To be forgotten'}: {people}.")
    counts = {
        "face": erased.faces,
        "vector": erased.vectors,
        "crop": erased.crops,
        "face set": erased.facesets,
        "person of a source": erased.people,
        "decision": erased.decisions,
        "reference picture": erased.references,
    }
    told = ", ".join(
        counted(number, word, "people of sources" if word == "person of a source" else None)
        for word, number in counts.items()
        if number
    )
    print_line(f"{'Erased' if is_done else 'To be erased'}: {told or 'nothing but the number'}.")
    for place in erased.copies:
        print_line(f"A copy of exports may have this person, and is yours to delete: {place}")
