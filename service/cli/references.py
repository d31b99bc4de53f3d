"""The commands below ``identities`` for reference pictures, which are in no library: add, list and delete."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from immich_facesets.errors import ItemError, RequestError
from immich_facesets.moderation.requests import NewPerson, RemoveReference
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.wording import counted
from service.app import open_pool
from service.cli.deciding import (
    BesideServiceError,
    DryRun,
    Json,
    Reason,
    author_of,
    decide,
    reference_folder,
    with_own_store,
)
from service.cli.identify import read_picture
from service.cli.identity_decisions import Identity
from service.cli.over_api import add_reference_over_api, preview_reference_over_api
from service.cli.proposals import identities
from service.cli.terminal import print_json, print_line
from service.embedders.pool import EmbedderPool
from service.moderation.over_api import reference_calls
from service.moderation.references import References, tidy_references
from service.passes.context import utc_now
from service.reports.identification import Identify
from service.reports.library.references import ReferenceReads
from service.settings import Settings, load_settings
from service.storage import open_reading
from service.store.browsing.identity_details import survivor
from service.store.database import Store
from service.store.reference_pictures import original_file
from service.web.library.references import (
    ReferenceAdded,
    ReferenceCalls,
    ReferencePreview,
    ReferencesAnswer,
    ReferenceShown,
    SentPicture,
    box_in,
)

__all__ = ["identities"]


@identities.command("reference")
def reference(
    what: Annotated[
        list[str], typer.Argument(metavar="[N] FILE", help="The number of an identity, and a picture of the person.")
    ],
    label: Annotated[str | None, typer.Option("--label", help="The name of a new person, instead of a number.")] = None,
    box: Annotated[
        str | None, typer.Option("--box", help="Which face of a picture with several: X1,Y1,X2,Y2 in pixels.")
    ] = None,
    *,
    namesake: Annotated[bool, typer.Option("--namesake", help="Another person has the same name.")] = False,
    keep_original: Annotated[bool, typer.Option("--keep-original", help="Keep the file itself, too.")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Add a reference picture, which shows how a person looks. It need not be in any library, and is never exported."""
    settings = load_settings()
    configure_logging(level=settings.log_level if settings.log_level == "DEBUG" else "WARNING")
    person, file = _named(what, label, is_namesake=namesake)
    try:
        picture = read_picture(file)
    except ItemError as error:
        raise RequestError(f"{file}: {error}", status=400) from error
    sent = SentPicture(
        picture=picture, person=person, box=box_in(box), keeps_original=keep_original, author=author_of(reason)
    )
    try:
        done: ReferenceAdded | ReferencePreview = (
            asyncio.run(_preview(settings, sent)) if dry_run else asyncio.run(_add(settings, sent))
        )
    except ItemError as error:
        raise RequestError(f"{file}: {error}", status=422) from error
    if json:
        print_json(done)
    elif isinstance(done, ReferencePreview):
        _print_previewed(done)
    else:
        _print_added(done)


@identities.command("references")
def list_references(number: Identity, *, json: Json = False) -> None:
    """List the reference pictures of a person, with their files."""
    settings = load_settings()
    found, originals = asyncio.run(_list(settings, number))
    if json:
        print_json(found)
        return
    print_line(f"{counted(len(found.references), 'reference picture')} of identity {number}.")
    for one in found.references:
        print_line(f"  {_told(one)}: {_file(settings, one.display)}")
        if one.id in originals:
            print_line(f"    its original: {originals[one.id]}")


@identities.command("remove-reference")
def remove_reference(
    reference: Annotated[int, typer.Argument(min=1, metavar="ID", help="The id of a reference picture.")],
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Delete a reference picture for good. It no longer counts."""
    decide(RemoveReference(reference=reference), reason=reason, dry_run=dry_run, json=json)


def _named(what: list[str], label: str | None, *, is_namesake: bool) -> tuple[int | NewPerson, Path]:
    """Return the person and the file that the arguments of the command name."""
    numbers, file = what[:-1], Path(what[-1])
    if label is not None and not numbers:
        return NewPerson(label=label, is_namesake=is_namesake), file
    if label is None and len(numbers) == 1 and numbers[0].isascii() and numbers[0].isdecimal():
        return int(numbers[0]), file
    raise RequestError(
        "name an identity and one picture, as in 'identities reference 3 anna.jpg', or --label NAME and one picture",
        status=400,
    )


async def _add(settings: Settings, sent: SentPicture) -> ReferenceAdded:
    """Add a picture in the store, or let the service do so that works in it."""
    try:
        return await with_own_store(settings, lambda store: _add_here(settings, store, sent))
    except BesideServiceError:
        if (added := await add_reference_over_api(settings, sent)) is not None:
            return added
        raise


async def _add_here(settings: Settings, store: Store, sent: SentPicture) -> ReferenceAdded:
    async with open_pool(settings) as pool:
        await tidy_references(store, reference_folder(settings))
        added = await _calls(settings, store, pool).add(sent)
    if added is None:
        raise RuntimeError("only a caller that names the last decision gets no answer")
    return added


async def _preview(settings: Settings, sent: SentPicture) -> ReferencePreview:
    """Ask a service, which has an embedder at hand, or else an embedder, what a picture would do."""
    if (told := await preview_reference_over_api(settings, sent)) is not None:
        return told
    async with open_reading(settings) as store, open_pool(settings) as pool:
        return await _calls(settings, store, pool).preview(sent)


def _calls(settings: Settings, store: Store, pool: EmbedderPool) -> ReferenceCalls:
    identify = Identify(store, settings, pool)
    return reference_calls(References(store, settings, pool, reference_folder(settings), identify.rival, utc_now))


async def _list(settings: Settings, number: int) -> tuple[ReferencesAnswer, dict[int, Path]]:
    """Return the reference pictures of a person, and the files of the originals that were kept."""
    async with open_reading(settings) as store:
        current = await store.read(survivor, number)
        if current is None:
            raise RequestError(f"there is no identity {number}", status=404)
        folder = reference_folder(settings)
        found = await ReferenceReads(store, folder, settings.base_path).of_identity(current)
        files = {one.id: await store.read(original_file, one.id) for one in found.references if one.original}
        return found, {key: folder.path.absolute() / file for key, file in files.items() if file is not None}


def _print_previewed(added: ReferencePreview) -> None:
    if added.known is not None:
        print_line(f"Reference picture {added.known} of identity {added.identity} is here already.")
    else:
        new = ", who is new" if added.identity in added.done.effect.new else ""
        print_line(f"It would be a reference picture of identity {added.identity}{new}.")
        if added.rival is not None:
            print_line(
                f"It resembles identity {added.rival} as well: a review would ask whose it is before it is used."
            )
    print_line("Nothing was changed: this was a preview.")


def _print_added(added: ReferenceAdded) -> None:
    if not added.done.decisions and added.rival is None:
        print_line(f"Reference picture {added.id} of identity {added.identity} is here already.")
        return
    new = " It is new." if added.identity in added.done.effect.new else ""
    print_line(f"Reference picture {added.id} of identity {added.identity}.{new}")
    if added.rival is not None:
        print_line(
            f"It resembles identity {added.rival} as well, and is not used yet: 'immich-facesets review --kind reference' "
            "asks whose it is."
        )
    else:
        print_line(
            f"It counts now. 'immich-facesets identities similar {added.identity}' shows faces that look like it, and the next "
            "sync takes the clear ones."
        )


def _told(one: ReferenceShown) -> str:
    match one.state:
        case "used":
            return f"{one.id}, used"
        case "waiting":
            return f"{one.id}, used after the next sync"
        case "asked":
            return f"{one.id}, a review asks whether it is identity {one.identity} or {one.rival}"


def _file(settings: Settings, address: str) -> Path:
    name = address.rpartition("/")[2]
    return reference_folder(settings).path.absolute() / name[:2] / name
