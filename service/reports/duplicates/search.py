"""Search for duplicate pictures, with results that can be printed as JSON."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.near_duplicates.pictures import PictureLikeness, Pictures, near_hashes, near_identical
from service.computation import compute
from service.store.database import Store
from service.store.picture_copies import Copy, StoredFaces, StoredLook, copies, faces_in, looks
from service.store.spaces import active_space

Kind = Literal["identical", "near"]


class Place(msgspec.Struct, frozen=True, order=True):
    """Location of a picture."""

    source: str
    asset_id: str
    path: str


class DuplicatePicture(msgspec.Struct, frozen=True, kw_only=True):
    """
    One picture of a group, with all its places. None means unknown, as for pictures that were never fetched.

    ``taken`` is ISO (UTC); ``is_largest`` in pixels, then in bytes; ``faces`` is the number found in it.
    """

    sha256: str | None
    width: int | None
    height: int | None
    size_bytes: int | None
    taken: str | None
    faces: int | None
    is_largest: bool
    places: tuple[Place, ...]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """
    A group of duplicates.

    ``identical``: one picture in several places, byte by byte. ``near``: several pictures that show the same.
    ``spare_bytes``: size of all but the largest, as far as known, every place counted.
    """

    kind: Kind
    spare_bytes: int
    pictures: tuple[DuplicatePicture, ...]


class Duplicates(msgspec.Struct, frozen=True, kw_only=True):
    """
    All duplicates found.

    ``places``: pictures in all sources. ``looked_at``: different ones with a known perceptual hash. ``without_hash``:
    those embedded by an earlier version, which can only be compared byte by byte.
    """

    places: int
    looked_at: int
    without_hash: int
    within_bits: int
    groups: tuple[Group, ...]

    def of(self, kind: Kind) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.kind == kind)


async def find_duplicates(store: Store, likeness: PictureLikeness) -> Duplicates:
    """Search the whole library. Only embeddings that affect the result are read."""
    space = await store.read(active_space)
    everywhere = await store.read(copies, space)
    known = await store.read(looks, space)
    comparable = [look for look in known if look.phash is not None]
    near: list[list[StoredLook]] = []
    if space is not None:
        suspects = await compute(_suspects, comparable, likeness.bits)
        found = await store.read(faces_in, space, [look.sha256 for look in suspects])
        near = await compute(_near, suspects, found, likeness)
    return _report(everywhere, known, near, looked_at=len(comparable), bits=likeness.bits)


def _suspects(known: Sequence[StoredLook], bits: int) -> list[StoredLook]:
    """Return the pictures whose hash is near that of another."""
    near = [row for low, high in near_hashes(_hashes(known), bits) for row in (low, high)]
    return [known[row] for row in (np.unique(np.concatenate(near)).tolist() if near else ())]


def _near(suspects: Sequence[StoredLook], found: StoredFaces, likeness: PictureLikeness) -> list[list[StoredLook]]:
    """Return the groups among the suspects, without pictures whose faces changed during a sync."""
    counts = Counter(found.sha256)
    kept = [look for look in suspects if counts[look.sha256] == look.faces]
    names = {look.sha256 for look in kept}
    rows = [row for row, sha256 in enumerate(found.sha256) if sha256 in names]
    pictures = Pictures(
        hashes=_hashes(kept),
        width=np.array([look.width for look in kept], dtype=np.int64),
        height=np.array([look.height for look in kept], dtype=np.int64),
        taken=np.array([look.taken for look in kept], dtype=np.float64),
        starts=np.cumsum([0, *(counts[look.sha256] for look in kept)], dtype=np.int64),
        vectors=found.vectors[rows],
        boxes=found.boxes[rows],
    )
    return [[kept[row] for row in group] for group in near_identical(pictures, likeness)]


def _hashes(known: Sequence[StoredLook]) -> NDArray[np.uint64]:
    return np.array([int(look.phash or "", 16) for look in known], dtype=np.uint64)


def _report(
    everywhere: Sequence[Copy],
    known: Sequence[StoredLook],
    near: Sequence[Sequence[StoredLook]],
    *,
    looked_at: int,
    bits: int,
) -> Duplicates:
    look_of = {look.sha256: look for look in known}
    places: dict[str, list[Copy]] = {}
    for copy in everywhere:
        places.setdefault(copy.bytes_name, []).append(copy)
    groups = [
        _group("near", [_picture(places[look.sha256], look) for look in group if look.sha256 in places])
        for group in near
    ]
    groups += [
        _group("identical", [_picture(several, look_of.get(name))])
        for name, several in sorted(places.items())
        if len(several) > 1
    ]
    groups.sort(key=lambda group: (group.kind, -group.spare_bytes, group.pictures[0].places))
    return Duplicates(
        places=len(everywhere),
        looked_at=looked_at,
        without_hash=sum(look.phash is None for look in known),
        within_bits=bits,
        groups=tuple(groups),
    )


def _picture(several: Sequence[Copy], look: StoredLook | None) -> DuplicatePicture:
    first = several[0]
    taken = None if look is None or math.isnan(look.taken) else datetime.fromtimestamp(look.taken, UTC).isoformat()
    return DuplicatePicture(
        sha256=first.sha256,
        width=first.width if look is None else look.width,
        height=first.height if look is None else look.height,
        size_bytes=None if look is None else look.size_bytes,
        taken=taken or min((copy.taken for copy in several if copy.taken), default=None),
        faces=None if look is None else look.faces,
        is_largest=False,
        places=tuple(Place(copy.source, copy.asset_id, copy.path) for copy in several),
    )


def _group(kind: Kind, pictures: Sequence[DuplicatePicture]) -> Group:
    """Return the group, largest picture first, the others by size; equal ones by place."""
    ordered = sorted(
        pictures, key=lambda one: (-(one.width or 0) * (one.height or 0), -(one.size_bytes or 0), one.places)
    )
    spare = sum((one.size_bytes or 0) * len(one.places) for one in ordered) - (ordered[0].size_bytes or 0)
    largest = msgspec.structs.replace(ordered[0], is_largest=True)
    return Group(kind=kind, spare_bytes=spare, pictures=(largest, *ordered[1:]))
