"""Contents that are still to be embedded: what is missing or outdated, where its bytes lie, and the boxes to look at."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, exists, func, or_, select, true

from immich_facesets.assets import Asset
from immich_facesets.faces import SAME_FACE_IOU, Box
from service.store import failures
from service.store.assets import asset_from_row
from service.store.hints import hint_from_row
from service.store.tables import assets, contents, crops, embeddings, faces, fingerprints, hints, memberships
from service.store.tables import failures as table


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


WAITING = "waiting"
"""The reason of a picture that a sync did not come to, because the embedder or a source went away before."""

_PLACE = assets.c.source + "\n" + assets.c.asset_id


def _missing(recipe: Recipe, now: datetime, sources: Collection[str] | None) -> Any:
    """
    Return the condition for work: wanted, present, not done with this recipe, and not paused after a failure.

    A known picture that was changed is fetched in any case: its old faces stay until the new bytes are seen. So is one
    with a member of an identity, which a new space or recipe must not lose.
    """
    done = exists().where(
        fingerprints.c.fingerprint == assets.c.fingerprint,
        embeddings.c.sha256 == fingerprints.c.sha256,
        *_done(recipe),
    )
    is_changed = and_(
        assets.c.content.is_not(None), ~exists().where(fingerprints.c.fingerprint == assets.c.fingerprint)
    )
    has_member = exists().where(faces.c.sha256 == assets.c.content, memberships.c.face_id == faces.c.face_id)
    return and_(
        or_(assets.c.is_wanted.is_(True), is_changed, has_member),
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


def unread(tx: Connection, recipe: Recipe, now: datetime, since: datetime, sources: Collection[str]) -> dict[str, int]:
    """
    Return how many pictures of ``sources`` a sync leaves unread that began at ``since``, by reason.

    Those are the pictures that failed in it, and those that rest because of their remote. ``WAITING`` are those that were
    not tried to the end. A picture that rests since an earlier sync because of itself is not among them.
    """
    failed_now = and_(table.c.last_at >= since, table.c.reason != failures.AT_CRASH)
    rests_for_remote = and_(table.c.reason == failures.UNAVAILABLE, table.c.retry_at > now)
    counted = select(table.c.reason, func.count()).where(
        table.c.source.in_(sources), table.c.reason != failures.OWN_EXPORT, or_(failed_now, rests_for_remote)
    )
    found = {row[0]: int(row[1]) for row in tx.execute(counted.group_by(table.c.reason))}
    of_this = or_(table.c.item == assets.c.fingerprint, table.c.item == assets.c.asset_id)
    has_failed = exists().where(of_this, failed_now)
    waiting = select(func.count(assets.c.fingerprint.distinct())).where(_missing(recipe, now, sources), ~has_failed)
    found[WAITING] = tx.scalar(waiting) or 0
    return {reason: number for reason, number in sorted(found.items()) if number}


@dataclass(frozen=True, slots=True)
class FetchedAgain:
    """How many contents are fetched a second time for another recipe, and the bytes of their files."""

    pictures: int
    size_bytes: int


def fetched_again(
    tx: Connection, recipe: Recipe, now: datetime, *, sources: Collection[str] | None = None
) -> FetchedAgain:
    """Return what ``to_embed`` has that was embedded in this space before, with settings that do not serve any more."""
    is_other = and_(embeddings.c.detection != recipe.detection, embeddings.c.detection != "")  # "": a face came later
    lacks_crop = and_(embeddings.c.crop_short > recipe.crop_short, _face_without_crop(recipe))
    wanted = select(assets.c.fingerprint).where(_missing(recipe, now, sources)).distinct().cte()
    found = (
        select(contents.c.sha256, contents.c.size_bytes)
        .join(embeddings, embeddings.c.sha256 == contents.c.sha256)
        .join(fingerprints, fingerprints.c.sha256 == contents.c.sha256)
        .join(wanted, wanted.c.fingerprint == fingerprints.c.fingerprint)
        .where(embeddings.c.space == recipe.space, or_(is_other, lacks_crop, _crop_too_small(recipe)))
        .distinct()
        .subquery()
    )
    row = tx.execute(select(func.count(found.c.sha256), func.sum(found.c.size_bytes))).one()
    return FetchedAgain(row[0], int(row[1] or 0))


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
