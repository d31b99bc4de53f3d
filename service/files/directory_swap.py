"""
One directory replaced by another at once, and what a kill leaves between two steps.

The module of the export tree states the order of the steps.
"""

import os
from collections.abc import Callable
from pathlib import Path

from immich_facesets.exports.file_names import OURS
from service.files.durable import discard, sync_folder

PREFIX = OURS
"""Prefix of names that the service may delete at any time."""

DRAFT, OLD, GONE = f"{PREFIX}draft-", f"{PREFIX}old-", f"{PREFIX}gone-"
_KINDS = (DRAFT, OLD, GONE)


def beside(target: Path, prefix: str) -> Path:
    """Return the name of a draft or leftover beside a directory, by its prefix."""
    return target.with_name(f"{prefix}{target.name}")


def put_in_place(draft: Path, target: Path, *, swap: Callable[[Path, Path], bool], step: Callable[[str], None]) -> None:
    """Give a whole draft its final name; a directory of that name before gets the draft's name, or another one of ours."""
    exists = target.exists()
    if not (exists and swap(draft, target)):
        if exists:
            target.rename(beside(target, OLD))
            step("moved away")
        draft.rename(target)
    step("swapped")
    sync_folder(target.parent)
    step("durable")


def interrupted(folder: Path) -> list[str]:
    """Return the names in a folder whose swap a kill may have interrupted."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
    return sorted({name.removeprefix(prefix) for name in names for prefix in _KINDS if name.startswith(prefix)})


def settle(target: Path) -> None:
    """Clean up one name: finish a half-done swap, and delete leftovers."""
    draft, old, gone = (beside(target, prefix) for prefix in _KINDS)
    if old.is_dir() and not target.exists():
        (draft if draft.is_dir() else old).rename(target)
    for leftover in (draft, old, gone):
        discard(leftover)
