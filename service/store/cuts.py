"""Cuts of originals: pictures that show more around a face than its crop, and where they can be cut from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from immich_facesets.assets import Asset
from immich_facesets.faces import Box
from service.store import failures
from service.store.assets import asset_from_row
from service.store.chunks import chunks
from service.store.forgotten import faces_there, forgotten_places
from service.store.tables import assets, cuts, faces
from service.store.upsert import upsert

CUT = "cut"
"""The stage name of the failures of pictures that could not be cut: the item is one asset."""


@dataclass(frozen=True, slots=True)
class StoredCut:
    """
    A cut and its file, which has ``size``: width and height. ``area``: what it shows of the original.

    ``planned`` identifies the area that was wanted; ``pixels``: of the side of a square, of which the file has no more
    pixels; ``others``: further faces seen in it, in pixels of the original, by detectors that ``check_key`` identifies.
    """

    face_id: int
    framing: str
    planned: str
    pixels: int
    file: str
    area: Box
    size: tuple[int, int]
    check_key: str
    others: tuple[Box, ...]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, taken from its name."""
        return self.file.rsplit("/", 1)[-1].split(".")[1]

    def serves(self, pixels: int) -> bool:
        """Return whether it has as many pixels as are wanted, or as many as the original has."""
        is_whole = self.size[0] >= int(self.area.width) and self.size[1] >= int(self.area.height)
        return is_whole or self.pixels >= pixels


def cuts_of(tx: Connection, face_ids: Sequence[int], framing: str) -> dict[int, StoredCut]:
    """Return the cuts of these faces in a framing, by face id."""
    found: dict[int, StoredCut] = {}
    for some in chunks(face_ids):
        for row in tx.execute(select(cuts).where(cuts.c.face_id.in_(some), cuts.c.framing == framing)):
            found[row.face_id] = StoredCut(
                row.face_id,
                row.framing,
                row.planned,
                row.pixels,
                row.file,
                Box(row.x1, row.y1, row.x2, row.y2),
                (row.width, row.height),
                row.check_key,
                tuple(Box(*box) for box in row.others),
            )
    return found


def record_cut(tx: Connection, cut: StoredCut, source: Asset | None) -> bool:
    """
    Store a cut: the commit point of its picture, whose former failure is over. ``source``: what it was cut from.

    False, without any write, where its face was forgotten meanwhile.
    """
    if not faces_there(tx, [cut.face_id]):
        return False
    area, (width, height) = cut.area, cut.size
    row = {
        "face_id": cut.face_id,
        "framing": cut.framing,
        "planned": cut.planned,
        "pixels": cut.pixels,
        "file": cut.file,
        "x1": area.x1,
        "y1": area.y1,
        "x2": area.x2,
        "y2": area.y2,
        "width": width,
        "height": height,
        "check_key": cut.check_key,
        "others": [[box.x1, box.y1, box.x2, box.y2] for box in cut.others],
    }
    upsert(tx, cuts, [row])
    if source is not None:
        failures.clear(tx, CUT, source.asset_id, source=source.source)
    return True


def places_to_cut(tx: Connection, sha256: str, now: datetime) -> list[Asset]:
    """Return the assets that may give these bytes now: not gone, not offline, and not resting after a failure."""
    rows = tx.execute(
        select(assets)
        .where(
            assets.c.content == sha256,
            assets.c.is_gone.is_(False),
            assets.c.is_offline.is_(False),
            ~failures.resting_place(CUT, now),
        )
        .order_by(assets.c.source, assets.c.asset_id)
    )
    return [asset_from_row(row) for row in rows]


def boxes_in(tx: Connection, space: str, sha256s: Collection[str]) -> dict[str, tuple[Box, ...]]:
    """Return the boxes of all faces of the space in these contents, and where forgotten ones were, by content."""
    found: dict[str, list[Box]] = forgotten_places(tx, sha256s)
    for some in chunks(sorted(sha256s)):
        rows = tx.execute(
            select(faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
            .where(faces.c.space == space, faces.c.sha256.in_(some))
            .order_by(faces.c.face_id)
        )
        for row in rows:
            found.setdefault(row.sha256, []).append(Box(row.x1, row.y1, row.x2, row.y2))
    return {sha256: tuple(boxes) for sha256, boxes in found.items()}
