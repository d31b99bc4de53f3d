"""Decisions are made in the store, and exports that must not stay are removed at once."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from immich_facesets.moderation.decisions import ReferencePicture
from immich_facesets.moderation.records import Author, CarriedPicture, Line
from immich_facesets.moderation.requests import Request
from service.computation import compute
from service.files.export_tree import ExportTree
from service.files.overviews import leave_out
from service.files.references import ReferenceFolder
from service.moderation.references import remove_leftovers
from service.store import decision_imports, export_folder, exports, moderation, reference_pictures
from service.store.database import Store
from service.store.decision_imports import ImportedDecisions
from service.store.moderation import MadeDecisions
from service.store.reference_pictures import KeptPicture

log = structlog.get_logger(__name__)

_WITHDRAWS = frozenset({"never_export", "profiles_off", "stranger"})
"""The settings after which exports of an identity must not stay."""


async def make_decisions(store: Store, requests: Sequence[Request], author: Author, now: datetime) -> MadeDecisions:
    """Make the decisions of these requests in one step: all of them, or none."""
    done = await store.write(moderation.decide, list(requests), author, now)
    log.info("decided", decisions=list(done.decisions), kinds=list(done.kinds), made_from=author.made_from)
    return done


async def import_lines(
    store: Store, folder: ReferenceFolder, lines: Sequence[Line], now: datetime
) -> ImportedDecisions:
    """Append the decisions of an export that are not here yet, with their reference pictures, and apply them."""
    async with folder.turn:
        try:
            pictures = await compute(_write_pictures, folder, lines)
            done = await store.write(decision_imports.import_decisions, list(lines), now, pictures)
        finally:  # files of pictures that are not taken in
            await remove_leftovers(store, folder)
    log.info("decisions_imported", added=done.added, known=done.known)
    return done


def _write_pictures(folder: ReferenceFolder, lines: Sequence[Line]) -> dict[str, KeptPicture]:
    """Write the reference pictures of these lines durably and return them by their digests. Blocks."""
    found: dict[str, KeptPicture] = {}
    for line in lines:
        made, carried = line.decision, line.picture
        if isinstance(made, ReferencePicture) and made.is_on and carried is not None:
            name = folder.write(made.face.sha256, carried.image)
            found[made.digest] = KeptPicture(made.digest, made.face, carried.area, name)
    return found


async def carried_pictures(store: Store, folder: ReferenceFolder) -> dict[str, CarriedPicture]:
    """Return the reference pictures for an export of decisions, by their digests; missing files are left out."""
    kept = await store.read(reference_pictures.all_pictures)
    return await compute(_read_pictures, folder, kept)


def _read_pictures(folder: ReferenceFolder, kept: Sequence[KeptPicture]) -> dict[str, CarriedPicture]:
    images = ((one, folder.read(one.display)) for one in kept)
    return {one.digest: CarriedPicture(area=one.area, image=image) for one, image in images if image is not None}


def withdraws(done: MadeDecisions) -> frozenset[int]:
    """Return the identities whose exports may have to go at once."""
    merged = {old for old, _ in done.effect.merged}
    return frozenset({number for number, setting in done.effect.settings if setting in _WITHDRAWS} | merged)


async def withdraw_exports(
    store: Store, tree: ExportTree, numbers: frozenset[int], author: Author, now: datetime
) -> int:
    """
    Remove the exports of these identities that must not be there; return how many directories went.

    Forms of everybody go, and lists of people lose these: the next publish writes the forms again. After a kill it
    removes the rest.
    """
    async with tree.turn:  # a publish that runs has written its directory, or sees the decision
        directories = await store.read(export_folder.barred_directories, numbers)
        for directory in directories:
            await compute(tree.remove_directory, directory)
            await store.write(exports.record_removal, directory, made_by=author.made_by, now=now)
        barred = await store.read(export_folder.barred_identities)
        await compute(leave_out, tree, barred & numbers)
    return len(directories)
