"""Contents (pictures by hash), and the faces found in them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, exists, insert, or_, select, true, update

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.wire import FaceAnswer
from service.store import failures
from service.store.change_tracking import OF_NOBODY, renewing
from service.store.chunks import chunks
from service.store.embedding_work import Recipe
from service.store.forgotten import forgotten_in
from service.store.former_members import remember_members
from service.store.tables import (
    assets,
    contents,
    crops,
    cuts,
    embeddings,
    erased_pictures,
    faces,
    fingerprints,
    memberships,
    vectors,
)
from service.store.upsert import upsert


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


_BOX = (faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)


def record_alias(tx: Connection, fingerprint: str, sha256: str) -> None:
    """Store another fingerprint of bytes that are already known."""
    with _shown_with(tx, fingerprint, sha256):
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


def record_content(tx: Connection, found: EmbeddedContent, now: datetime) -> int:
    """
    Write one embedded picture, and return how many of its faces are new: the commit point of embed.

    A face found again keeps its row and its identity. One that is known in another space is not new. A forgotten face is
    not written.
    """
    gone = forgotten_in(tx, found.sha256, [face.answer.face_box() for face in found.faces])
    if any(found.faces[index].crop_file is not None for index in gone):  # forgotten since its crop was written
        upsert(tx, erased_pictures, [{"sha256": found.sha256}])
    found = replace(found, faces=tuple(face for index, face in enumerate(found.faces) if index not in gone))
    with _shown_with(tx, found.fingerprint, found.sha256):
        _record_picture(tx, found, now)
        new = _record_faces(tx, found)
    failures.clear(tx, failures.EMBED, found.fingerprint)
    failures.clear_places(tx, found.fingerprint)
    return new


def _record_picture(tx: Connection, found: EmbeddedContent, now: datetime) -> None:
    """Store a picture, which contents it is for its assets, and that it is embedded."""
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


@contextmanager
def _shown_with(tx: Connection, fingerprint: str, sha256: str) -> Iterator[None]:
    """Let writes about a picture renew what readers keep of people only where one is shown with it, before or now."""
    before = select(assets.c.content).where(assets.c.fingerprint == fingerprint)
    pictures = or_(faces.c.sha256 == sha256, faces.c.sha256.in_(before))
    has_members = tx.scalar(select(exists().where(pictures, memberships.c.face_id == faces.c.face_id)))
    with renewing(tx, None if has_members else OF_NOBODY):
        yield


def _sides(boxes: tuple[Box, ...] | None) -> list[list[float]] | None:
    return None if boxes is None else [[box.x1, box.y1, box.x2, box.y2] for box in boxes]


def _record_faces(tx: Connection, found: EmbeddedContent) -> int:
    here = (faces.c.sha256 == found.sha256, faces.c.space == found.recipe.space)
    before = [
        (row.face_id, Box(row.x1, row.y1, row.x2, row.y2))
        for row in tx.execute(select(faces.c.face_id, *_BOX).where(*here).order_by(faces.c.face_id))
    ]
    elsewhere = [
        Box(row.x1, row.y1, row.x2, row.y2)
        for row in tx.execute(select(*_BOX).where(faces.c.sha256 == found.sha256, faces.c.space != found.recipe.space))
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
    for some in chunks(gone):
        tx.execute(delete(faces).where(faces.c.face_id.in_(some)))
    for face in fresh:
        result = tx.execute(insert(faces).values(**_face_row(found, face.answer)))
        primary_key = result.inserted_primary_key
        if primary_key is not None:
            _record_parts(tx, primary_key[0], face)
    boxes = [face.answer.face_box() for face in fresh]
    return sum(all(box.iou(other) < SAME_FACE_IOU for other in elsewhere) for box in boxes)


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
    for some in chunks(orphans):
        tx.execute(delete(fingerprints).where(fingerprints.c.sha256.in_(some)))
        tx.execute(delete(faces).where(faces.c.sha256.in_(some)))
        tx.execute(delete(embeddings).where(embeddings.c.sha256.in_(some)))
        tx.execute(delete(contents).where(contents.c.sha256.in_(some)))
    return len(orphans)


def crop_files(tx: Connection, space: str | None = None) -> set[str]:
    """Return the crop files that faces of the space (None: of any) need."""
    of_space = true() if space is None else faces.c.space == space
    return set(tx.scalars(select(crops.c.file).join(faces, faces.c.face_id == crops.c.face_id).where(of_space)))


def needed_files(tx: Connection) -> set[str]:
    """Return the files of all crops and cuts; other files in their folder are leftovers."""
    return crop_files(tx) | set(tx.scalars(select(cuts.c.file)))


def forget_lost(tx: Connection, files: Collection[str], space: str) -> None:
    """Mark contents with lost crops to be embedded again in this space; their faces are kept."""
    for some in chunks(files):
        lost = (
            select(faces.c.sha256)
            .join(crops, crops.c.face_id == faces.c.face_id)
            .where(crops.c.file.in_(some), faces.c.space == space)
        )
        here = (embeddings.c.sha256.in_(lost), embeddings.c.space == space)
        tx.execute(update(embeddings).where(*here).values(detection=""))


def vectors_of(tx: Connection, face_ids: Sequence[int], dimension: int) -> NDArray[np.float32]:
    """Return the (n, d) matrix of these faces' unit vectors, in their order."""
    matrix = np.zeros((len(face_ids), dimension), dtype=np.float32)
    place = {face_id: row for row, face_id in enumerate(face_ids)}
    for some in chunks(face_ids):
        for row in tx.execute(select(vectors).where(vectors.c.face_id.in_(some))):
            matrix[place[row.face_id]] = np.frombuffer(row.vector, dtype="<f4")
    return matrix
