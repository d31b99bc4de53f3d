"""The changes of a listing page: new and changed assets, which are worth fetching, and when to read them again."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from immich_facesets.assets import Asset, FaceHint
from immich_facesets.dates import DateKind

_YOUNG_LOOKS = tuple(
    timedelta(minutes=minutes) for minutes in (5, 30, 120, 12 * 60, 2 * 24 * 60, 5 * 24 * 60, 10 * 24 * 60)
)
"""Faces arrive seconds to days after the upload and change no date: a young asset is read again after these pauses."""


@dataclass(frozen=True, slots=True)
class KnownAsset:
    """The store's record of an asset that a page lists again."""

    fingerprint: str
    updated_at: datetime
    date_kind: DateKind
    width: int | None
    height: int | None
    is_wanted: bool
    is_gone: bool
    hints_read_at: datetime | None
    hints_due_at: datetime | None
    hint_looks: int


@dataclass(frozen=True, slots=True)
class ListingRules:
    """
    Rules of which assets are fetched and read again.

    ``min_face_short``: pixels at original size a face needs to be worth a download. ``second_look``: the time over
    which later reads are spread. ``every_picture``: for a source without faces, every picture is fetched, and none is
    read again.
    """

    min_face_short: float = 90.0
    second_look: timedelta = timedelta(days=30)
    young_for: timedelta = timedelta(days=14)
    every_picture: bool = False


@dataclass(frozen=True, slots=True)
class AssetPlan:
    """
    The values to write for one asset.

    ``hints`` is None when the stored ones stay; ``is_new`` and ``is_changed`` count.
    """

    asset: Asset
    is_wanted: bool
    hints: tuple[FaceHint, ...] | None
    hints_read_at: datetime | None
    hints_due_at: datetime | None
    hint_looks: int
    is_new: bool
    is_changed: bool


def next_look(asset_id: str, created_at: datetime, looks: int, now: datetime, rules: ListingRules) -> datetime | None:
    """
    Return when the faces of an asset are read again, after ``looks`` reads.

    Young assets are read again after growing pauses. Older ones are read once in ``second_look``, at a time of their
    own, so that the work of the slow schedule is spread evenly.
    """
    if now - created_at < rules.young_for and looks <= len(_YOUNG_LOOKS):
        return now + _YOUNG_LOOKS[max(0, looks - 1)]
    spread = int.from_bytes(hashlib.sha256(asset_id.encode()).digest()[:4]) / 2**32
    return now + rules.second_look * (0.5 + spread)


def is_big_enough(hint: FaceHint, width: int | None, height: int | None, rules: ListingRules) -> bool:
    """
    Return whether a face in an original of ``width`` x ``height`` pixels is worth the download.

    A box without area (0, 0, 0, 0, as some builds of Immich write it) says only that somebody is there.
    """
    return hint.box.area == 0 or hint.original_box(width, height).face_short >= rules.min_face_short


def is_wanted(asset: Asset, hints: Iterable[FaceHint], rules: ListingRules) -> bool:
    """Return whether at least one face makes the picture worth the download."""
    return any(is_big_enough(hint, asset.width, asset.height, rules) for hint in hints)


def plan_page(
    assets: Iterable[Asset], known: Mapping[str, KnownAsset], now: datetime, rules: ListingRules
) -> tuple[AssetPlan, ...]:
    """
    Decide the changes of each listed asset. ``known`` holds the stored assets of this page by id.

    Faces in the listing are used directly. Without them, a new or changed asset is due for a read at once, and the
    others keep their known faces.
    """
    plans = []
    for asset in assets:
        before = known.get(asset.asset_id)
        is_new = before is None or before.is_gone
        is_changed = before is not None and (
            before.fingerprint != asset.fingerprint
            or before.updated_at != asset.updated_at
            or (before.width, before.height) != (asset.width, asset.height)
        )
        if rules.every_picture:
            plans.append(AssetPlan(asset, True, None, None, None, 0, is_new, is_changed))
        elif asset.hints is not None:
            # Inline faces cost nothing: every listing counts as a read,
            # but only a first or a due one moves the schedule.
            looks = 1 if before is None or is_new else before.hint_looks
            due = before.hints_due_at if before is not None and not is_new else None
            if due is None or due <= now:
                looks = looks + 1 if due is not None else looks
                due = next_look(asset.asset_id, asset.created_at, looks, now, rules)
            plans.append(
                AssetPlan(asset, is_wanted(asset, asset.hints, rules), asset.hints, now, due, looks, is_new, is_changed)
            )
        elif before is None or is_new or is_changed or before.hints_read_at is None:
            wanted = before is not None and before.is_wanted and not is_new
            read_at = before.hints_read_at if before is not None and not is_new else None
            plans.append(AssetPlan(asset, wanted, None, read_at, now, 0, is_new, is_changed))
        else:
            plans.append(
                AssetPlan(
                    asset, before.is_wanted, None, before.hints_read_at, before.hints_due_at, before.hint_looks,
                    is_new, is_changed,
                )
            )  # fmt: skip
    return tuple(plans)
