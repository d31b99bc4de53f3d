"""Face regions merged into the sidecars of a folder: the pictures known now, by bytes, and one sidecar after another."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from immich_facesets.errors import ItemError, SetupError
from immich_facesets.exports.library import LibraryFace
from immich_facesets.exports.sidecar_pictures import KnownPictures, known_pictures
from immich_facesets.exports.xmp import XMP, PictureRegions
from immich_facesets.exports.xmp_merge import Merged, merge_regions
from immich_facesets.exports.xmp_schemes import holds_ours
from service.computation import compute
from service.files.sidecars import (
    FoundSidecar,
    digest_of,
    read_sidecar,
    replace_sidecar,
    require_folder,
    require_writable,
    sidecars_in,
)
from service.store import exports, identities, placed_pictures, spaces
from service.store.database import Store

_MADE_BY = "export command"


@dataclass(frozen=True, slots=True)
class SidecarChange:
    """The change of a sidecar, done or planned; ``problem`` is the reason why one that should change could not."""

    name: str
    added: int = 0
    removed: int = 0
    problem: str | None = None


@dataclass
class MergeCounts:
    """Counts of one merge. ``foreign``: people whom others had named; ``left_alone``: sidecars, by reason."""

    sidecars: int = 0
    changed: int = 0
    added: int = 0
    removed: int = 0
    foreign: int = 0
    left_alone: Counter[str] = field(default_factory=Counter)
    first_problem: str | None = None

    def count(self, change: SidecarChange) -> None:
        if change.problem is not None:
            self.left_alone["could_not_be_read"] += 1
            self.first_problem = self.first_problem or f"{change.name}: {change.problem}"
            return
        self.changed += 1
        self.added += change.added
        self.removed += change.removed


async def merge_into(
    store: Store,
    folder: Path,
    *,
    is_dry_run: bool,
    tell: Callable[[SidecarChange], None],
    clock: Callable[[], datetime],
) -> MergeCounts:
    """
    Bring our regions in the sidecars below a folder up to date, and tell each change.

    A sidecar that cannot be read stops no other. Nothing is written when ``is_dry_run``.
    """
    await compute(require_folder, folder)
    known = await _known(store)
    if not is_dry_run:
        await compute(require_writable, folder)
    counts = MergeCounts()
    try:
        await compute(_merge_all, folder, known, counts, tell, is_dry_run=is_dry_run)
    finally:
        if counts.changed and not is_dry_run:
            entry = {"profile": XMP.name, "identity": None, "faces": counts.added}
            await store.write(
                exports.record_copy, str(folder), entry=entry, identity=None, made_by=_MADE_BY, now=clock()
            )
    return counts


async def _known(store: Store) -> KnownPictures:
    space = await store.read(spaces.active_space)
    if space is None:
        raise SetupError("nothing was synced yet: run 'immich-facesets sync' first")
    labels = await store.read(identities.labels)
    faces = [
        LibraryFace(face, identity, labels.get(identity))
        for face, identity in await store.read(placed_pictures.exportable_faces, space)
    ]
    return await compute(known_pictures, await store.read(placed_pictures.placed_pictures, space), faces)


def _merge_all(
    folder: Path,
    known: KnownPictures,
    counts: MergeCounts,
    tell: Callable[[SidecarChange], None],
    *,
    is_dry_run: bool,
) -> None:
    for found in sidecars_in(folder):
        counts.sidecars += 1
        try:
            change = _merge_one(found, known, counts, is_dry_run=is_dry_run)
        except ItemError as error:
            change = SidecarChange(found.name, problem=str(error))
        if change is not None:
            counts.count(change)
            tell(change)


def _merge_one(
    found: FoundSidecar, known: KnownPictures, counts: MergeCounts, *, is_dry_run: bool
) -> SidecarChange | None:
    """Return the change of a sidecar; None where nothing is to be done."""
    before = read_sidecar(found.path)
    picture = _picture_of(found, known, counts, has_ours=holds_ours(before.body))
    if picture is None:
        return None
    merged: Merged = merge_regions(before.body, picture.regions, picture.frame)
    counts.foreign += merged.foreign
    if merged.body == before.body:
        counts.left_alone["up_to_date"] += 1
        return None
    if not is_dry_run:
        replace_sidecar(before, merged.body)
    return SidecarChange(found.name, merged.added, merged.removed)


def _picture_of(
    found: FoundSidecar, known: KnownPictures, counts: MergeCounts, *, has_ours: bool
) -> PictureRegions | None:
    """Return the picture that a sidecar belongs to; None, counted by reason, where nothing is known of it."""
    reason = "nobody_known_in_the_picture"
    digest: str | None = None
    if not found.pictures:
        digest = known.by_name.get(found.name)
        reason = "no_picture_beside_it"
    elif len(found.pictures) > 1:
        reason = "several_pictures_beside_it"
    else:
        digest = _digest(found.pictures[0], known, has_ours=has_ours)
    picture = None if digest is None else known.regions.get(digest)
    if picture is None:
        counts.left_alone[reason] += 1
    return picture


def _digest(path: Path, known: KnownPictures, *, has_ours: bool) -> str | None:
    """Return the SHA-256 of a picture if it matters: where it may show somebody, or the sidecar has regions of ours."""
    try:
        size = path.stat().st_size
        matters = known.may_have_regions(size) or (has_ours and size in known.by_size)
        return digest_of(path) if matters else None
    except OSError as error:
        raise ItemError(f"the picture beside it cannot be read: {error.strerror}", reason="unreadable") from error
