"""The boxes that a guided search was asked about, against the faces that the sources know of now."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select, update

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.listing import ListingRules, is_big_enough
from service.store.chunks import chunks
from service.store.hints import hint_from_row
from service.store.tables import assets, embeddings, faces, fingerprints, hints


def mark_unasked(tx: Connection, space: str, rules: ListingRules) -> int:
    """
    Mark contents to be searched again for faces that a source found after the last search; return their number.

    Their faces stay as they are until then. A face too small for a download is no reason for one.
    """
    rows = tx.execute(_later_hints(space)).all()
    found = _faces_in(tx, sorted({row.sha256 for row in rows}), space)
    stale: set[str] = set()
    for row in rows:
        hint = hint_from_row(row)
        if row.sha256 in stale or not is_big_enough(hint, row.width, row.height, rules):
            continue
        box = hint.original_box(row.width, row.height)
        known = [*(Box(*sides) for sides in row.asked), *found[row.sha256]]
        if all(box.iou(other) < SAME_FACE_IOU for other in known):
            stale.add(row.sha256)
    for some in chunks(sorted(stale)):
        here = (embeddings.c.space == space, embeddings.c.sha256.in_(some))
        tx.execute(update(embeddings).where(*here).values(detection=""))
    return len(stale)


def _later_hints(space: str) -> Any:
    """Return the query for hints of contents searched around boxes, as far as they can be later than that search."""
    other = fingerprints.alias()
    has_another = exists().where(
        other.c.sha256 == fingerprints.c.sha256, other.c.fingerprint != fingerprints.c.fingerprint
    )
    is_later = or_(assets.c.hints_read_at > embeddings.c.embedded_at, has_another)
    return (
        select(hints, assets.c.width, assets.c.height, fingerprints.c.sha256, embeddings.c.asked)
        .join(assets, and_(assets.c.source == hints.c.source, assets.c.asset_id == hints.c.asset_id))
        .join(fingerprints, fingerprints.c.fingerprint == assets.c.fingerprint)
        .join(embeddings, embeddings.c.sha256 == fingerprints.c.sha256)
        .where(
            embeddings.c.space == space,
            embeddings.c.detection != "",
            embeddings.c.asked.is_not(None),
            assets.c.is_gone.is_(False),
            is_later,
        )
    )


def _faces_in(tx: Connection, contents: list[str], space: str) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = defaultdict(list)
    for some in chunks(contents):
        for row in tx.execute(select(faces).where(faces.c.space == space, faces.c.sha256.in_(some))):
            found[row.sha256].append(Box(row.x1, row.y1, row.x2, row.y2))
    return found
