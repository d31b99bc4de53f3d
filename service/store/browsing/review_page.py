"""The review queue, a page at a time, with all that a person needs to decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, select

from immich_facesets.review.items import Item
from service.store.browsing.identity_faces import BrowsedFace, browsed_faces
from service.store.browsing.identity_lists import known_births, shown_labels
from service.store.browsing.kept import Kept
from service.store.browsing.slices import Page, Slice, cut_page, sliced
from service.store.reference_pictures import display_files
from service.store.review_items import item_of
from service.store.tables import review_items

_LAST = 1e9
"""Added to the key of what was put off: more than the benefit of any item."""


@dataclass(frozen=True, slots=True)
class QueuedItem:
    """One item. ``number``: of this item, as long as it is in the queue."""

    number: int
    item: Item
    comes_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPage:
    """
    A page of the queue, and what is known of everybody in it, by number and by face id.

    ``total``: how many items there are of the kind that was asked for. ``births`` and ``days`` are ISO dates; ``days``:
    the first and the last one of an identity's pictures. ``references``: the display file of each reference picture.
    """

    page: Page[QueuedItem]
    total: int
    labels: Mapping[int, str]
    births: Mapping[int, str]
    days: Mapping[int, tuple[str, str]]
    faces: Mapping[int, BrowsedFace]
    references: Mapping[int, str]


def review_page(tx: Connection, part: Slice, kind: str | None = None, kept: Kept | None = None) -> ReviewPage:
    """
    Return a page of the queue, the most beneficial first, and what was put off last.

    ``kept``: what the reader read before, where it keeps anything.
    """
    now = (Kept() if kept is None else kept).at(tx)
    wanted = () if kind is None else (review_items.c.kind == kind,)
    key = case((review_items.c.comes_last, _LAST), else_=0.0) - review_items.c.benefit
    keys = select(key.label("key"), review_items.c.item_id.label("number")).where(*wanted)
    cut = cut_page(tx.execute(sliced(keys, part)).all(), lambda row: (row.key, row.number), part)
    rows = {row.item_id: row for row in tx.execute(select(review_items).where(_among(row.number for row in cut.items)))}
    items = tuple(QueuedItem(row.number, item_of(rows[row.number]), rows[row.number].comes_last) for row in cut.items)
    numbers = {number for one in items for number in one.item.identities}
    wanted_faces = {face for one in items for part_of in one.item.evidence or () for face in part_of}
    wanted_faces |= {one.item.face_id for one in items if one.item.face_id is not None}
    labels, born = now.read(shown_labels), known_births(now)
    return ReviewPage(
        page=Page(items, cut.last),
        total=tx.scalar(select(func.count()).select_from(review_items).where(*wanted)) or 0,
        labels={number: labels[number] for number in numbers if number in labels},
        births={number: date for number, date in born.items() if number in numbers},
        days={number: one.days for number, one in now.summaries(numbers).items() if one.days[0]},
        faces=browsed_faces(tx, sorted(wanted_faces)),
        references=display_files(tx, [one.item.reference for one in items if one.item.reference is not None]),
    )


def _among(numbers: Any) -> Any:
    return review_items.c.item_id.in_(list(numbers))  # a page: never more than a statement may list
