"""Figures of one identity for its page: how many faces each year has, and how far they lie from the centroid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, cast, func, select

from service.store.browsing.identity_faces import earliest_date
from service.store.browsing.kept import about_people
from service.store.tables import faces, memberships

BIN_WIDTH = 0.02
"""The cosine distances of one bin."""

BINS = 50
"""The bins from 0 to 1; the last one also has what lies beyond."""


@dataclass(frozen=True, slots=True)
class IdentityFigures:
    """``years``: how many faces each year has. ``undated``: faces without a year. ``distances``: faces of each bin."""

    years: Mapping[int, int]
    undated: int
    distances: tuple[int, ...]


@about_people
def identity_figures(tx: Connection, number: int) -> IdentityFigures:
    """Return the figures of an identity; all are 0 where it has no faces."""
    dated = (
        select(func.substr(earliest_date(), 1, 4).label("year"))
        .select_from(faces)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(memberships.c.identity == number)
        .subquery()
    )
    rows: Any = tx.execute(select(dated.c.year, func.count()).group_by(dated.c.year)).all()
    years = {int(year): int(count) for year, count in rows if year is not None}
    place = cast(func.floor(memberships.c.distance / BIN_WIDTH), Integer)
    counted: Any = tx.execute(
        select(place, func.count())
        .where(memberships.c.identity == number, memberships.c.distance.is_not(None))
        .group_by(place)
    ).all()
    bins = [0] * BINS
    for found, count in counted:
        bins[min(max(int(found), 0), BINS - 1)] += int(count)
    return IdentityFigures(dict(sorted(years.items())), sum(c for year, c in rows if year is None), tuple(bins))
