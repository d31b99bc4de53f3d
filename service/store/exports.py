"""The data publish reads and writes: the faces that may be exported, and the state of the export folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, and_, case, delete, select, update

from immich_facesets.dates import EVIDENCE
from immich_facesets.faces import Box, Face, Measures
from service.store.change_tracking import OF_NOBODY, renewing
from service.store.chunks import chunks
from service.store.decisions import constraints_now
from service.store.ledger import write_ledger
from service.store.tables import (
    assets,
    contents,
    crops,
    embeddings,
    exports,
    faces,
    identities,
    memberships,
    sources,
)
from service.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class StoredCrop:
    """
    The square crop around a face, and a verdict on the finished crop that was stored without its facts.

    ``area`` is what it shows of the original, with ``pad_ratio`` of the box around it. ``width`` and ``height`` are the
    original's; what lies outside has no pixels of its own. ``most_side``: pixels of a side above which it was reduced.
    """

    file: str
    area: Box
    width: int
    height: int
    pad_ratio: float
    phash: str | None
    check_key: str | None
    verdict: str | None
    painted: tuple[Box, ...]
    most_side: int

    @property
    def side(self) -> float:
        """The pixels of a side of the stored file."""
        return min(float(self.most_side), self.area.width)

    @property
    def area_corners(self) -> tuple[float, float, float, float]:
        return (self.area.x1, self.area.y1, self.area.x2, self.area.y2)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the stored file, taken from its name."""
        return self.file.rsplit("/", 1)[-1].split(".")[1]


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """
    One location of a content: the configured user, the asset, its path, and the local date it was taken (ISO).

    ``taken`` is empty where no date tells when that was.
    """

    user: str
    asset_id: str
    path: str
    taken: str


@dataclass(frozen=True, slots=True)
class Member:
    """One face of an identity with all that an export needs except its vector; ``how``: how it became a member."""

    identity: int
    face: Face
    crop: StoredCrop | None
    how: str | None = None


def _of_content(column: Column[int]) -> Any:
    """Return a column of the content that a row of ``faces`` belongs to."""
    return select(column).where(contents.c.sha256 == faces.c.sha256).correlate(faces).scalar_subquery()


def _of_embedding(column: Any) -> Any:
    """Return a column of the embedding of a face's picture."""
    made_it = and_(embeddings.c.sha256 == faces.c.sha256, embeddings.c.space == faces.c.space)
    return select(column).where(made_it).correlate(faces).scalar_subquery()


CROP_COLUMNS = (
    crops.c.file,
    crops.c.x1.label("cx1"),
    crops.c.y1.label("cy1"),
    crops.c.x2.label("cx2"),
    crops.c.y2.label("cy2"),
    crops.c.phash,
    crops.c.check_key,
    crops.c.verdict,
    crops.c.painted,
    _of_embedding(embeddings.c.crop_size).label("crop_size"),
    _of_embedding(embeddings.c.crop_padding).label("crop_padding"),
    _of_content(contents.c.width).label("picture_width"),
    _of_content(contents.c.height).label("picture_height"),
)


def members(tx: Connection, space: str, identity: int | None = None) -> list[Member]:
    """
    Return the faces of every identity that may be exported, or of one, by identity and face id.

    Strangers, and faces that a moderator holds back, are not among them.
    """
    decided = constraints_now(tx, space)
    rows = tx.execute(
        select(faces, memberships.c.identity, memberships.c.how, *CROP_COLUMNS)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .join(identities, identities.c.number == memberships.c.identity)
        .outerjoin(crops, crops.c.face_id == faces.c.face_id)
        .where(faces.c.space == space, identities.c.never_export.is_(False), *_only(identity))
        .order_by(memberships.c.identity, faces.c.face_id)
    )
    return [
        Member(row.identity, face_of(row), crop_of(row), row.how)
        for row in rows
        if row.identity not in decided.strangers and row.face_id not in decided.not_for_sets
    ]


def _only(identity: int | None) -> list[Any]:
    return [] if identity is None else [memberships.c.identity == identity]


def strays(tx: Connection, space: str) -> list[Member]:
    """Return the unassigned faces that are large enough for a crop, as members of identity 0, by face id."""
    rows = tx.execute(
        select(faces, *CROP_COLUMNS)
        .join(crops, crops.c.face_id == faces.c.face_id)
        .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
        .where(faces.c.space == space, memberships.c.face_id.is_(None))
        .order_by(faces.c.face_id)
    )
    return [Member(0, face_of(row), crop_of(row)) for row in rows]


def crop_of(row: Any) -> StoredCrop | None:
    """Return the columns of a crop as a value; None when the face has no crop."""
    if row.file is None:
        return None
    return StoredCrop(
        file=row.file,
        area=Box(row.cx1, row.cy1, row.cx2, row.cy2),
        width=row.picture_width,
        height=row.picture_height,
        pad_ratio=row.crop_padding or 0.0,
        phash=row.phash,
        check_key=row.check_key,
        verdict=row.verdict,
        painted=tuple(Box(*box) for box in row.painted or ()),
        most_side=row.crop_size or round(row.cx2 - row.cx1),
    )


def face_of(row: Any) -> Face:
    """Return a row of ``faces`` as a value."""
    points: Any = tuple((float(x), float(y)) for x, y in row.landmarks)
    return Face(
        face_id=row.face_id,
        sha256=row.sha256,
        box=Box(row.x1, row.y1, row.x2, row.y2),
        landmarks=points,
        det_score=row.det_score,
        measures=Measures(
            blur=row.blur,
            blur_size=row.blur_size,
            brightness=row.brightness,
            contrast=row.contrast,
            yaw=row.yaw,
            pitch=row.pitch,
            roll=row.roll,
            quality=row.quality,
        ),
    )


def places(tx: Connection, space: str, identity: int | None = None) -> dict[str, tuple[StoredPlace, ...]]:
    """Return every location of every content with a face of the space, or of one identity, by content hash."""
    found: dict[str, list[StoredPlace]] = {}
    holding = select(faces.c.sha256).where(faces.c.space == space)
    if identity is not None:
        holding = holding.join(memberships, memberships.c.face_id == faces.c.face_id).where(*_only(identity))
    rows = tx.execute(
        select(
            assets.c.content.label("sha256"),
            assets.c.source,
            assets.c.asset_id,
            assets.c.path,
            case((assets.c.date_kind.in_(EVIDENCE), assets.c.local_date), else_="").label("taken"),
        )
        .where(assets.c.is_gone.is_(False), assets.c.content.in_(holding))
        .order_by(assets.c.source, assets.c.asset_id)
    )
    for row in rows:
        found.setdefault(row.sha256, []).append(StoredPlace(row.source, row.asset_id, row.path, row.taken))
    return {sha256: tuple(items) for sha256, items in found.items()}


def record_phash(tx: Connection, hashes: Sequence[tuple[int, str]]) -> None:
    """Store the perceptual hashes of crops: (face id, hex)."""
    with renewing(tx, OF_NOBODY):
        for face_id, phash in hashes:
            tx.execute(update(crops).where(crops.c.face_id == face_id).values(phash=phash))


def crop_facts(tx: Connection, face_ids: Sequence[int], key: str | None) -> dict[int, bytes]:
    """Return what the detector saw in the finished crops of these faces, by face id; ``key``: where it is this one, if any."""
    is_wanted = () if key is None else (crops.c.check_key == key,)
    found: dict[int, bytes] = {}
    for some in chunks(face_ids):
        rows = tx.execute(
            select(crops.c.face_id, crops.c.seen).where(
                crops.c.face_id.in_(some), crops.c.seen.is_not(None), *is_wanted
            )
        )
        found.update({row.face_id: row.seen for row in rows})
    return found


def record_crop_facts(tx: Connection, face_id: int, *, key: str, seen: bytes) -> None:
    """Store what the detector saw in a finished crop, so that it looks once; a verdict without facts is replaced."""
    facts = {"check_key": key, "seen": seen, "verdict": None, "painted": None}
    with renewing(tx, OF_NOBODY):
        tx.execute(update(crops).where(crops.c.face_id == face_id).values(**facts))


def crops_without_hash(tx: Connection, space: str) -> list[tuple[Face, StoredCrop]]:
    """Return the faces of the space whose crop has no perceptual hash, with the crop."""
    rows = tx.execute(
        select(faces, *CROP_COLUMNS)
        .join(crops, crops.c.face_id == faces.c.face_id)
        .where(crops.c.phash.is_(None), faces.c.space == space)
        .order_by(crops.c.face_id)
    )
    return [(face_of(row), crop) for row in rows if (crop := crop_of(row)) is not None]


def users_of_sources(tx: Connection) -> list[str]:
    """Return the users who each get a manifest, even an empty one."""
    return list(tx.scalars(select(sources.c.name).order_by(sources.c.name)))


def recorded(tx: Connection) -> dict[str, str]:
    """Return the recorded digest of every written directory, by directory name."""
    return {row.directory: row.digest for row in tx.execute(select(exports.c.directory, exports.c.digest))}


def record_export(
    tx: Connection,
    directory: str,
    *,
    digest: str,
    entry: dict[str, Any],
    identity: int | None,
    made_by: str,
    now: datetime,
) -> None:
    """
    Record that a directory was written: the commit point of publish.

    ``entry`` names the profile, unless it is a face set itself.
    """
    upsert(tx, exports, [{"directory": directory, "digest": digest, "entry": entry, "written_at": now}])
    record_copy(tx, directory, entry=entry, identity=identity, made_by=made_by, now=now)


def record_copy(
    tx: Connection, directory: str, *, entry: dict[str, Any], identity: int | None, made_by: str, now: datetime
) -> None:
    """Record in the ledger alone an output that is not kept up to date; of a long path, its end is stored."""
    write_ledger(tx, directory, action="written", entry=entry, identity=identity, made_by=made_by, now=now)


def record_removal(tx: Connection, directory: str, *, made_by: str, now: datetime) -> None:
    """Record that a directory was removed."""
    entry = tx.scalar(select(exports.c.entry).where(exports.c.directory == directory)) or {}
    tx.execute(delete(exports).where(exports.c.directory == directory))
    identity = entry.get("identity")
    write_ledger(tx, directory, action="removed", entry=entry, identity=identity, made_by=made_by, now=now)
