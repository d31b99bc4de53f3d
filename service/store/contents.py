"""Contents (pictures by hash), the faces found in them, and the contents still to be embedded."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, true, update

from immich_facesets.assets import Asset
from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.wire import FaceAnswer
from service.store import failures
from service.store.assets import asset_from_row, hint_from_row
from service.store.former_members import remember_members
from service.store.tables import (
    assets,
    contents,
    crops,
    embeddings,
    faces,
    fingerprints,
    hints,
    vectors,
)
from service.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    The settings for embedding a content: the space, and all else that its stored results depend on.

    ``detection`` is the mode. Faces of ``crop_short`` pixels (short edge) or more get a crop of at most ``crop_size``
    pixels, with ``crop_padding`` of the box around it.
    """

    space: str
    detection: str
    crop_size: int
    crop_padding: float
    crop_short: float


@dataclass(frozen=True, slots=True)
class FoundFace:
    """One face to be written. ``crop_file`` is relative to the crops folder, None without a crop."""

    answer: FaceAnswer
    crop_file: str | None


@dataclass(frozen=True, slots=True)
class EmbeddedContent:
    """One embedded picture: its hashes, size and faces. ``asked``: the boxes of a guided search, else None."""

    fingerprint: str
    sha256: str
    sha1: str
    size_bytes: int
    width: int
    height: int
    recipe: Recipe
    faces: tuple[FoundFace, ...]
    orientation: int | None = None
    phash: str | None = None
    asked: tuple[Box, ...] | None = None


_PLACE = assets.c.source + "\n" + assets.c.asset_id
_BOX = (faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)


def _missing(recipe: Recipe, now: datetime, sources: Collection[str] | None) -> Any:
    """
    Return the condition for work: wanted, present, not done with this recipe, and not paused after a failure.

    A known picture that was changed is fetched in any case: its old faces stay until the new bytes are seen.
    """
    done = exists().where(
        fingerprints.c.fingerprint == assets.c.fingerprint,
        embeddings.c.sha256 == fingerprints.c.sha256,
        *_done(recipe),
    )
    is_changed = and_(
        assets.c.content.is_not(None), ~exists().where(fingerprints.c.fingerprint == assets.c.fingerprint)
    )
    return and_(
        or_(assets.c.is_wanted.is_(True), is_changed),
        assets.c.is_gone.is_(False),
        assets.c.is_offline.is_(False),
        ~done,
        ~failures.resting(failures.EMBED, assets.c.fingerprint, now),
        ~failures.resting_place(failures.FETCH, now),
        true() if sources is None else assets.c.source.in_(sources),
    )


def _done(recipe: Recipe) -> tuple[Any, ...]:
    """Return the conditions for embeddings whose stored results serve this recipe, whatever recipe made them."""
    return (
        embeddings.c.space == recipe.space,
        embeddings.c.detection == recipe.detection,
        or_(embeddings.c.crop_short <= recipe.crop_short, ~_face_without_crop(recipe)),
        ~_crop_too_small(recipe),
    )


_OF_EMBEDDING = and_(faces.c.sha256 == embeddings.c.sha256, faces.c.space == embeddings.c.space)


def _face_without_crop(recipe: Recipe) -> Any:
    """Return the condition that a face has no crop and is large enough for one."""
    large = and_(faces.c.x2 - faces.c.x1 >= recipe.crop_short, faces.c.y2 - faces.c.y1 >= recipe.crop_short)
    has_crop = exists().where(crops.c.face_id == faces.c.face_id)
    return exists().where(_OF_EMBEDDING, large, ~has_crop).correlate(embeddings)


def _crop_too_small(recipe: Recipe) -> Any:
    """
    Return the condition that a stored crop shows or resolves less than the recipe asks for, and the original has more.

    A crop that was never reduced has every pixel of the original, so it serves any size.
    """
    stored = embeddings.c
    is_reduced = crops.c.x2 - crops.c.x1 > stored.crop_size
    is_coarse = stored.crop_size * (1 + 2 * recipe.crop_padding) < recipe.crop_size * (1 + 2 * stored.crop_padding)
    shows_less = stored.crop_padding < recipe.crop_padding
    of_face = crops.c.face_id == faces.c.face_id
    return exists().where(_OF_EMBEDDING, of_face, or_(shows_less, and_(is_reduced, is_coarse))).correlate(embeddings)


def place_of(asset: Asset) -> str:
    """Return the key of one place where bytes lie."""
    return f"{asset.source}\n{asset.asset_id}"


def to_embed(
    tx: Connection,
    recipe: Recipe,
    now: datetime,
    *,
    sources: Collection[str] | None = None,
    after: str = "",
    limit: int = 200,
) -> list[Asset]:
    """
    Return one asset per fingerprint of the contents whose faces are missing or outdated, in order of fingerprint.

    ``sources`` are the available ones, None for all; ``after`` is the last fingerprint of the previous batch.
    """
    first = (
        select(assets.c.fingerprint, func.min(_PLACE).label("place"))
        .where(_missing(recipe, now, sources), assets.c.fingerprint > after)
        .group_by(assets.c.fingerprint)
        .order_by(assets.c.fingerprint)
        .limit(limit)
        .subquery()
    )
    rows = tx.execute(
        select(assets)
        .join(first, first.c.fingerprint == assets.c.fingerprint)
        .where(first.c.place == _PLACE)
        .order_by(assets.c.fingerprint)
    )
    return [asset_from_row(row) for row in rows]


def other_place(
    tx: Connection, recipe: Recipe, now: datetime, fingerprint: str, tried: Collection[str], sources: Collection[str]
) -> Asset | None:
    """Return an asset with these bytes that is not among ``tried`` (see ``place_of``), or None; as in ``to_embed``."""
    row = tx.execute(
        select(assets)
        .where(_missing(recipe, now, sources), assets.c.fingerprint == fingerprint, _PLACE.not_in(tried))
        .order_by(assets.c.source, assets.c.asset_id)
        .limit(1)
    ).one_or_none()
    return None if row is None else asset_from_row(row)


def count_to_embed(tx: Connection, recipe: Recipe, now: datetime, *, sources: Collection[str] | None = None) -> int:
    """Return how many contents are missing or outdated."""
    wanted = select(func.count(assets.c.fingerprint.distinct())).where(_missing(recipe, now, sources))
    return tx.scalar(wanted) or 0


@dataclass(frozen=True, slots=True)
class KnownBoxes:
    """The boxes around which bytes are searched for faces. ``are_all``: each face the sources know of has a place."""

    boxes: tuple[Box, ...]
    are_all: bool


def boxes_of(tx: Connection, fingerprint: str) -> KnownBoxes:
    """
    Return the sources' face boxes of every asset with these bytes, in upright original pixels.

    A box without area becomes the whole picture: somebody is there, at a place that is not known.
    """
    rows = tx.execute(
        select(hints, assets.c.width, assets.c.height)
        .join(assets, and_(assets.c.source == hints.c.source, assets.c.asset_id == hints.c.asset_id))
        .where(assets.c.fingerprint == fingerprint, assets.c.is_gone.is_(False))
        .order_by(hints.c.face_id)
    )
    boxes: list[Box] = []
    are_all = True
    for row in rows:
        box = hint_from_row(row).original_box(row.width, row.height)
        if box.area == 0:
            are_all = False
            box = Box(0.0, 0.0, row.width or 0, row.height or 0)
        if box.area > 0 and all(box.iou(other) < SAME_FACE_IOU for other in boxes):
            boxes.append(box)
    return KnownBoxes(tuple(boxes), are_all)


def is_embedded(tx: Connection, sha256: str, recipe: Recipe) -> bool:
    """Return whether these bytes are already embedded, under another fingerprint."""
    return bool(tx.scalar(select(exists().where(embeddings.c.sha256 == sha256, *_done(recipe)))))


def record_alias(tx: Connection, fingerprint: str, sha256: str) -> None:
    """Store another fingerprint of bytes that are already known."""
    _link(tx, fingerprint, sha256)
    failures.clear(tx, failures.EMBED, fingerprint)
    failures.clear_places(tx, fingerprint)


def _link(tx: Connection, fingerprint: str, sha256: str) -> None:
    """Store the content of a fingerprint; every asset with this fingerprint shows it from now on."""
    upsert(tx, fingerprints, [{"fingerprint": fingerprint, "sha256": sha256}])
    tx.execute(
        update(assets)
        .where(assets.c.fingerprint == fingerprint, assets.c.content.is_distinct_from(sha256))
        .values(content=sha256)
    )


def record_content(tx: Connection, found: EmbeddedContent, now: datetime) -> None:
    """Write one embedded picture: the commit point of embed. A face found again keeps its row and its identity."""
    upsert(
        tx,
        contents,
        [
            {
                "sha256": found.sha256,
                "sha1": found.sha1,
                "size_bytes": found.size_bytes,
                "width": found.width,
                "height": found.height,
                "orientation": found.orientation,
                "phash": found.phash,
            }
        ],
    )
    _link(tx, found.fingerprint, found.sha256)
    upsert(
        tx,
        embeddings,
        [
            {
                "sha256": found.sha256,
                "space": found.recipe.space,
                "crop_short": found.recipe.crop_short,
                "embedded_at": now,
                "detection": found.recipe.detection,
                "crop_size": found.recipe.crop_size,
                "crop_padding": found.recipe.crop_padding,
                "asked": _sides(found.asked),
            }
        ],
    )
    _record_faces(tx, found)
    failures.clear(tx, failures.EMBED, found.fingerprint)
    failures.clear_places(tx, found.fingerprint)


def _sides(boxes: tuple[Box, ...] | None) -> list[list[float]] | None:
    return None if boxes is None else [[box.x1, box.y1, box.x2, box.y2] for box in boxes]


def _record_faces(tx: Connection, found: EmbeddedContent) -> None:
    here = (faces.c.sha256 == found.sha256, faces.c.space == found.recipe.space)
    before = [
        (row.face_id, Box(row.x1, row.y1, row.x2, row.y2))
        for row in tx.execute(select(faces.c.face_id, *_BOX).where(*here).order_by(faces.c.face_id))
    ]
    kept: set[int] = set()
    fresh: list[FoundFace] = []
    for face in found.faces:
        box = face.answer.face_box()
        same = [(box.iou(old), face_id) for face_id, old in before if face_id not in kept]
        score, face_id = max(same, default=(0.0, 0))
        if score < SAME_FACE_IOU:
            fresh.append(face)
            continue
        kept.add(face_id)
        tx.execute(update(faces).where(faces.c.face_id == face_id).values(**_face_row(found, face.answer)))
        _record_parts(tx, face_id, face)
    gone = [face_id for face_id, _ in before if face_id not in kept]
    if gone:
        tx.execute(delete(faces).where(faces.c.face_id.in_(gone)))
    for face in fresh:
        result = tx.execute(insert(faces).values(**_face_row(found, face.answer)))
        primary_key = result.inserted_primary_key
        if primary_key is not None:
            _record_parts(tx, primary_key[0], face)


def _face_row(found: EmbeddedContent, answer: FaceAnswer) -> dict[str, Any]:
    x1, y1, x2, y2 = answer.box
    measures = answer.quality
    return {
        "sha256": found.sha256,
        "space": found.recipe.space,
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "landmarks": [list(point) for point in answer.landmarks],
        "det_score": answer.det_score,
        "blur": measures.blur,
        "blur_size": measures.blur_size,
        "brightness": measures.brightness,
        "contrast": measures.contrast,
        "yaw": measures.yaw,
        "pitch": measures.pitch,
        "roll": measures.roll,
        "quality": measures.quality,
    }


def _record_parts(tx: Connection, face_id: int, face: FoundFace) -> None:
    upsert(tx, vectors, [{"face_id": face_id, "vector": face.answer.embedding}])
    crop = face.answer.crop
    if crop is None or face.crop_file is None:
        tx.execute(delete(crops).where(crops.c.face_id == face_id))
        return
    x1, y1, x2, y2 = crop.area
    row = {"face_id": face_id, "file": face.crop_file, "x1": x1, "y1": y1, "x2": x2, "y2": y2}
    upsert(tx, crops, [{**row, "phash": None, "check_key": None, "seen": None, "verdict": None, "painted": None}])


_ORPHANED = ~exists().where(assets.c.content == contents.c.sha256, assets.c.is_gone.is_(False))


def orphaned_faces(tx: Connection, space: str) -> set[int]:
    """Return the faces of the space in contents that no asset shows which is not gone."""
    found = select(faces.c.face_id).join(contents, contents.c.sha256 == faces.c.sha256)
    return set(tx.scalars(found.where(faces.c.space == space, _ORPHANED)))


def drop_orphans(tx: Connection) -> int:
    """
    Drop every content that no asset shows which is not gone, with its faces and failures; return how many.

    The memberships of its faces are remembered.
    """
    failures.forget_gone(tx)
    orphans = list(tx.scalars(select(contents.c.sha256).where(_ORPHANED)))
    remember_members(tx, orphans)
    in_use = exists().where(assets.c.fingerprint == fingerprints.c.fingerprint, assets.c.is_gone.is_(False))
    tx.execute(delete(fingerprints).where(~in_use))
    for start in range(0, len(orphans), 500):
        some: Sequence[str] = orphans[start : start + 500]
        tx.execute(delete(fingerprints).where(fingerprints.c.sha256.in_(some)))
        tx.execute(delete(faces).where(faces.c.sha256.in_(some)))
        tx.execute(delete(embeddings).where(embeddings.c.sha256.in_(some)))
        tx.execute(delete(contents).where(contents.c.sha256.in_(some)))
    return len(orphans)


def crop_files(tx: Connection, space: str | None = None) -> set[str]:
    """Return all crop files that faces of the space (None: of any) need; other files in the folder are leftovers."""
    of_space = true() if space is None else faces.c.space == space
    return set(tx.scalars(select(crops.c.file).join(faces, faces.c.face_id == crops.c.face_id).where(of_space)))


def forget_lost(tx: Connection, files: Collection[str], space: str) -> None:
    """Mark contents with lost crops to be embedded again in this space; their faces are kept."""
    for start in range(0, len(files), 500):
        some = list(files)[start : start + 500]
        lost = (
            select(faces.c.sha256)
            .join(crops, crops.c.face_id == faces.c.face_id)
            .where(crops.c.file.in_(some), faces.c.space == space)
        )
        tx.execute(delete(embeddings).where(embeddings.c.sha256.in_(lost), embeddings.c.space == space))


def vectors_of(tx: Connection, face_ids: Sequence[int], dimension: int) -> NDArray[np.float32]:
    """Return the (n, d) matrix of these faces' unit vectors, in their order."""
    matrix = np.zeros((len(face_ids), dimension), dtype=np.float32)
    place = {face_id: row for row, face_id in enumerate(face_ids)}
    for start in range(0, len(face_ids), 500):
        some = list(face_ids[start : start + 500])
        for row in tx.execute(select(vectors).where(vectors.c.face_id.in_(some))):
            matrix[place[row.face_id]] = np.frombuffer(row.vector, dtype="<f4")
    return matrix
