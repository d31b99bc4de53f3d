"""
Withdraw from the export folder what must not be there any more, before anything else of a sync can fail.

A birth date may arrive while the embedder is down or another space is being filled. Then nothing is published for hours
or days, but what was published before must not show a minor to programs for face swapping. The next publish writes the
rest again.
"""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from immich_facesets.exports.fsz import FSZ
from immich_facesets.exports.withdrawal import bundle_files, exposes
from immich_facesets.faces import Box
from immich_facesets.imports.manifests import MANIFEST
from service.files.export_tree import ExportTree
from service.files.overviews import leave_out
from service.files.ownership import object_in
from service.passes.context import PassContext
from service.passes.group_inputs.operating_points import points_today
from service.passes.publishing.minors import held_faces
from service.store import export_folder, exports, faces, spaces
from service.store.change_tracking import read_state
from service.store.named_values import read_last_complete_sync, read_thresholds

log = structlog.get_logger(__name__)

MADE_BY = "sync"


async def withdraw(context: PassContext, tree: ExportTree) -> int:
    """
    Delete the bundles and forms for swapping that have a face held back by now, and the exports of barred people.

    Return how many directories had such a face.

    Nothing is looked at while the store is as the last complete sync left it.
    """
    store = context.store
    last = await store.read(read_last_complete_sync)
    if last is not None and last.state == await store.read(read_state):
        return 0
    barred = await _withdraw_barred(context, tree)
    used = await store.read(read_thresholds)
    if used is None or used.space != await store.read(spaces.active_space):
        return barred
    held = await held_faces(store, used.space, within=points_today(context.settings, used).match)
    boxes = await store.read(faces.boxes_of_faces, sorted(held))  # of strays too: an older bundle may have one
    async with tree.turn:
        withdrawn = await asyncio.to_thread(_withdraw, tree, boxes) if boxes else {}
        for directory, is_removed in withdrawn.items():
            if is_removed:
                await store.write(exports.record_removal, directory, made_by=MADE_BY, now=context.clock())
    if withdrawn:
        log.info("withdrawn", directories=len(withdrawn))
    return barred + len(withdrawn)


async def _withdraw_barred(context: PassContext, tree: ExportTree) -> int:
    """Remove what is left of people who must not be exported: a decision was cut off before it did so."""
    store = context.store
    async with tree.turn:
        directories = await store.read(export_folder.directories_of_barred)
        for directory in directories:
            await asyncio.to_thread(tree.remove_directory, directory)
            await store.write(exports.record_removal, directory, made_by=MADE_BY, now=context.clock())
        barred = await store.read(export_folder.barred_identities)
        await asyncio.to_thread(leave_out, tree, barred)
    return len(directories)


def _withdraw(tree: ExportTree, held: Mapping[str, Sequence[Box]]) -> dict[str, bool]:
    """
    Delete what exposes these faces; return the directories, and whether each is removed as a whole. Blocking.

    Of a face set only the bundles go: the rest of it stays for readers.
    """
    found: dict[str, bool] = {}
    for directory in tree.on_disk():
        manifest = object_in(tree.read_file(f"{directory}/{MANIFEST}") or b"")
        if not exposes(manifest, held):
            continue
        found[directory] = manifest.get("profile", FSZ.name) != FSZ.name
        if found[directory]:
            tree.remove_directory(directory)
        else:
            tree.remove_files(directory, bundle_files(manifest))
    return found
