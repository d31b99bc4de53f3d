"""The commands ``identities similar`` and ``identities parts``: proposals, and the decisions that follow from them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from immich_facesets.errors import RequestError
from immich_facesets.grouping.similar_faces import SimilarFace
from immich_facesets.grouping.split_proposal import SplitProposal
from immich_facesets.moderation.requests import MoveFaces, SplitPerson
from immich_facesets.wording import counted
from service.cli.deciding import DryRun, EvenIfLocked, Json, Reason, decide
from service.cli.identity_decisions import Identity
from service.cli.set_decisions import identities
from service.cli.terminal import out, print_json, print_line
from service.reports.identity import require_identity
from service.reports.library.known_figures import KnownFigures
from service.reports.library.proposals import Proposals
from service.settings import load_settings
from service.storage import open_reading

__all__ = ["identities"]

T = TypeVar("T")


@identities.command("similar")
def similar(
    number: Identity,
    *,
    add: Annotated[bool, typer.Option("--add", help="Make the clear ones faces of this identity.")] = False,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """List the faces of nobody that look like an identity, the nearest first."""
    found = _ask(number, lambda proposals: proposals.similar(number))
    clear = tuple(one.face_id for one in found if one.is_clear)
    if add:
        if not clear:
            raise RequestError(f"no face of nobody is clearly identity {number}: nothing was changed")
        request = MoveFaces(faces=clear, into=number, even_if_locked=even_if_locked)
        decide(request, reason=reason, dry_run=dry_run, json=json)
    elif json:
        print_json(found)
    else:
        _print_similar(number, found)


@identities.command("parts")
def parts(
    number: Identity,
    *,
    split: Annotated[
        int | None, typer.Option("--split", min=2, help="Make this part another, new person.", metavar="PART")
    ] = None,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Propose how to split an identity: the people that it seems to hold."""
    found = _ask(number, lambda proposals: proposals.split(number))
    if split is not None:
        if split > len(found.parts):
            raise RequestError(f"there is no part {split}: identity {number} has {counted(len(found.parts), 'part')}")
        request = SplitPerson(faces=found.parts[split - 1], even_if_locked=even_if_locked)
        decide(request, reason=reason, dry_run=dry_run, json=json)
    elif json:
        print_json(found)
    else:
        _print_parts(number, found)


def _ask(number: int, question: Callable[[Proposals], Awaitable[T]]) -> T:
    async def answer() -> T:
        settings = load_settings()
        async with open_reading(settings) as store:
            await require_identity(store, number)
            return await question(Proposals(store, settings, KnownFigures(store)))

    return asyncio.run(answer())


def _print_similar(number: int, found: tuple[SimilarFace, ...]) -> None:
    if not found:
        print_line(f"No face of nobody looks like identity {number}.")
        return
    table = Table("Face", "Distance", "Next", "Clear", box=None)
    for one in found:
        rival = "" if one.rival_distance is None else f"{one.rival} ({one.rival_distance:.2f})"
        table.add_row(str(one.face_id), f"{one.distance:.2f}", rival, "yes" if one.is_clear else "")
    out.print(table)
    clear = sum(one.is_clear for one in found)
    print_line(
        f"{counted(len(found), 'face')} of nobody, {clear} of them clear: 'immich-facesets identities similar {number} --add' "
        f"adds these, 'immich-facesets identities confirm FACE... --identity {number}' adds single ones"
    )


def _print_parts(number: int, found: SplitProposal) -> None:
    if len(found.parts) < 2:
        print_line(f"Identity {number} seems to be one person: nothing separates clearly.")
        return
    table = Table("Part", "Faces", "Distance", "First faces", box=None)
    for place, (part, distance) in enumerate(zip(found.parts, found.distances, strict=True), start=1):
        table.add_row(str(place), str(len(part)), f"{distance:.2f}", " ".join(map(str, part[:5])))
    out.print(table)
    print_line(
        f"{counted(len(found.unclear), 'face')} unclear. 'immich-facesets identities parts {number} --split 2' makes part 2 "
        "another person"
    )
