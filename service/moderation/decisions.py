"""Decisions are made in the store, and exports that must not stay are removed at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from immich_facesets.moderation.decisions import FaceRef, ReferencePicture
from immich_facesets.moderation.open_pictures import OpenPicture
from immich_facesets.moderation.records import Author, CarriedPicture, Line
from immich_facesets.moderation.requests import Request
from service.computation import compute
from service.files.export_tree import ExportTree
from service.files.overviews import leave_out
from service.files.references import ReferenceFolder
from service.moderation.references import remove_leftovers
from service.store import decision_imports, export_folder, exports, moderation, reference_pictures, reference_questions
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
    store: Store,
    folder: ReferenceFolder,
    lines: Sequence[Line],
    now: datetime,
    undecided: Sequence[OpenPicture] = (),
) -> ImportedDecisions:
    """Append the decisions of an export that are not here yet, with all reference pictures, and apply them."""
    async with folder.turn:
        try:
            pictures = await compute(_write_pictures, folder, lines, undecided)
            done = await store.write(decision_imports.import_decisions, list(lines), now, pictures, list(undecided))
        finally:  # files of pictures that are not taken in
            await remove_leftovers(store, folder)
    log.info("decisions_imported", added=done.added, known=done.known)
    return done


def _write_pictures(
    folder: ReferenceFolder, lines: Sequence[Line], undecided: Sequence[OpenPicture]
) -> dict[str, KeptPicture]:
    """Write the reference pictures of an export durably and return them by their digests. Blocks."""
    found: dict[str, KeptPicture] = {}
    for one in undecided:
        found[one.digest] = _write_picture(folder, one.digest, one.face, one.picture)
    for line in lines:
        made, carried = line.decision, line.picture
        if isinstance(made, ReferencePicture) and made.is_on and carried is not None:
            found[made.digest] = _write_picture(folder, made.digest, made.face, carried)
    return found


def _write_picture(folder: ReferenceFolder, digest: str, face: FaceRef, carried: CarriedPicture) -> KeptPicture:
    name = folder.write(face.sha256, carried.image)
    original = None if carried.original is None else folder.write_original(face.sha256, carried.original)
    return KeptPicture(digest, face, carried.area, name, original=original)


async def carried_pictures(
    store: Store, folder: ReferenceFolder, *, has_originals: bool = False
) -> dict[str, CarriedPicture]:
    """Return the reference pictures for an export of decisions, by their digests; missing files are left out."""
    kept = await store.read(reference_pictures.all_pictures)
    return await compute(_read_pictures, folder, kept, has_originals=has_originals)


async def open_pictures(store: Store, carried: Mapping[str, CarriedPicture]) -> list[OpenPicture]:
    """Return those of the pictures of an export, by their digests, of which no decision says whose they are."""
    found = await store.read(reference_questions.undecided_pictures)
    return [
        OpenPicture(
            face=one.picture.face,
            sent_for=one.sent_for,
            rival=one.rival,
            made_at=one.made_at,
            members=one.members,
            picture=carried[one.picture.digest],
        )
        for one in found
        if one.picture.digest in carried
    ]


def _read_pictures(
    folder: ReferenceFolder, kept: Sequence[KeptPicture], *, has_originals: bool
) -> dict[str, CarriedPicture]:
    found: dict[str, CarriedPicture] = {}
    for one in kept:
        image = folder.read(one.display)
        original = folder.read(one.original) if has_originals and one.original is not None else None
        if image is not None:
            found[one.digest] = CarriedPicture(area=one.area, image=image, original=original)
    return found


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
