"""Decisions are made in the store, and exports that must not stay are removed at once."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from immich_facesets.moderation.records import Author, Line
from immich_facesets.moderation.requests import Request
from service.computation import compute
from service.files.export_tree import ExportTree
from service.files.overviews import leave_out
from service.store import decision_imports, export_folder, exports, moderation
from service.store.database import Store
from service.store.decision_imports import ImportedDecisions
from service.store.moderation import MadeDecisions

log = structlog.get_logger(__name__)

_WITHDRAWS = frozenset({"never_export", "stranger"})
"""The settings after which exports of an identity must not stay."""


async def make_decisions(store: Store, requests: Sequence[Request], author: Author, now: datetime) -> MadeDecisions:
    """Make the decisions of these requests in one step: all of them, or none."""
    done = await store.write(moderation.decide, list(requests), author, now)
    log.info("decided", decisions=list(done.decisions), kinds=list(done.kinds), made_from=author.made_from)
    return done


async def import_lines(store: Store, lines: Sequence[Line], now: datetime) -> ImportedDecisions:
    """Append the decisions of an export that are not here yet, and apply them."""
    done = await store.write(decision_imports.import_decisions, list(lines), now)
    log.info("decisions_imported", added=done.added, known=done.known)
    return done


def withdraws(done: MadeDecisions) -> frozenset[int]:
    """Return the identities whose exports may have to go at once."""
    merged = {old for old, _ in done.effect.merged}
    return frozenset({number for number, setting in done.effect.settings if setting in _WITHDRAWS} | merged)


async def withdraw_exports(
    store: Store, tree: ExportTree, numbers: frozenset[int], author: Author, now: datetime
) -> int:
    """
    Remove the exports of those of these identities that must not be exported; return how many directories went.

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
