"""
Splitting the faces of one identity into eras.

Sub-clusters that are large enough are anchors and never merge with one another. Merging from era to era would drift
through the years until faces of a child and of a grandmother are in one set. A fragment may join one anchor, measured
against the anchor as first found, so that fragments do not chain. A single event, all of one day, shows the person's
looks of that day only. It becomes an anchor only where there is nothing better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.eras.rules import EraRules
from immich_facesets.eras.years import NO_YEAR, Years, as_years, dominant_year, is_one_event, span
from immich_facesets.grouping.centroids import Centroids, cosine_distances
from immich_facesets.grouping.face_table import FaceTable, Rows


@dataclass(frozen=True, slots=True)
class Era:
    """
    Faces of one period, by id; the years are None where no face is dated. ``is_thin``: too few faces to stand alone.

    ``founder_ids``: faces of the sub-cluster the era was made of; the others joined.
    """

    from_year: int | None
    to_year: int | None
    face_ids: tuple[int, ...]
    is_thin: bool
    founder_ids: tuple[int, ...] = ()


def split(
    table: FaceTable, years: Sequence[int | None], *, curated: NDArray[np.bool_] | None = None, rules: EraRules
) -> tuple[Era, ...]:
    """
    Split an identity into eras, earliest first, undated last.

    ``table``: the candidates; ``years``: of each, None when undated; ``curated``: (n,) which of them certainly show
    this person and form the seed (all, when None). Each face is in at most one era. Faces that fail the gate, or are
    too far from the centroid, are in none. Faces of one event that fit no era are in none either. The order of rows
    does not affect the result.
    """
    when_by_face = dict(zip(table.face_ids.tolist(), as_years(years, len(table)).tolist(), strict=True))
    seeds = set(table.face_ids[curated].tolist()) if curated is not None else set(when_by_face)
    table = table.in_order_of_content()
    when = np.array([when_by_face[face] for face in table.face_ids.tolist()], dtype=np.int64)
    is_seed = np.array([face in seeds for face in table.face_ids.tolist()], dtype=np.bool_)
    centroids = Centroids(table.vectors, np.ones(len(table), dtype=np.bool_), rules.near)
    rows = recover(table, is_seed, centroids, rules)
    clusters = look_alikes(rows, table.vectors[rows], when, rules)
    parts = _gather(table, when, clusters, centroids, rules)
    eras = [_era(table, when, founders, everybody, rules) for founders, everybody in parts]
    return tuple(sorted(eras, key=lambda era: (era.from_year is None, era.from_year or 0, -len(era.face_ids))))


def look_alikes(rows: Rows, vectors: NDArray[np.float32], when: Years, rules: EraRules) -> list[Rows]:
    """
    Return the sub-clusters of these rows; ``vectors``: (n, d), theirs; ``when``: the year of every row of the table.

    Faces that look alike and are dated far from most of their sub-cluster form another one: looks and date together
    make a period.
    """
    clusters = []
    for part in split_by(average_linkage(vectors, rules.cluster)):
        rest = rows[part]
        while len(rest):
            main = dominant_year(when[rest])
            is_of_time = when[rest] == NO_YEAR
            if main is not None:
                is_of_time |= np.abs(when[rest] - main) <= rules.max_years
            clusters.append(rest[is_of_time])
            rest = rest[~is_of_time]
    return clusters


def recover(table: FaceTable, is_seed: NDArray[np.bool_], centroids: Centroids, rules: EraRules) -> Rows:
    """Return the rows within a wide distance of the seed, then admitted by the gate, then near their own centroid."""
    if not is_seed.any():
        return np.flatnonzero(is_seed)
    wide = cosine_distances(table.vectors, centroids.of(np.flatnonzero(is_seed))[None])[:, 0] <= rules.recover
    good = np.flatnonzero(wide & table.admitted(rules.gate))
    if len(good) == 0:
        return good
    return good[centroids.distances(good) <= rules.tighten]


def anchors_among(clusters: Sequence[Rows], taken: NDArray[np.float64], rules: EraRules) -> list[Rows]:
    """Return the clusters that are large enough; those of one event only where all of them are."""
    large = [rows for rows in clusters if len(rows) >= rules.min_anchor]
    return without_events(large, taken)


def without_events(sets: Sequence[Rows], taken: NDArray[np.float64]) -> list[Rows]:
    """Return the sets that span more than one event, or all sets when there is none."""
    return [rows for rows in sets if not is_one_event(taken[rows])] or list(sets)


def _gather(
    table: FaceTable, when: Years, clusters: list[Rows], centroids: Centroids, rules: EraRules
) -> list[tuple[Rows, Rows]]:
    """
    Return the founders and all faces of each era.

    Each fragment joins its nearest anchor if that is near in similarity and in years; the others remain separate.
    """
    anchors = anchors_among(clusters, table.taken, rules)
    is_anchor = {rows.tobytes() for rows in anchors}
    fragments = [rows for rows in clusters if rows.tobytes() not in is_anchor]
    if not anchors or not fragments:
        return [(rows, rows) for rows in without_events(clusters, table.taken)]
    gaps = cosine_distances(centroids.matrix(fragments), centroids.matrix(anchors))
    parts = [[rows] for rows in anchors]
    alone = []
    for fragment, gap in zip(fragments, gaps, strict=True):
        nearest = int(gap.argmin())
        one, two = dominant_year(when[fragment]), dominant_year(when[anchors[nearest]])
        is_same_time = one is not None and two is not None and abs(one - two) <= rules.max_years
        if gap[nearest] <= rules.join and is_same_time:
            parts[nearest].append(fragment)
        else:
            alone.append(fragment)
    kept = {rows.tobytes() for rows in without_events([*anchors, *alone], table.taken)}
    joined = [(part[0], np.sort(np.concatenate(part))) for part in parts]
    return joined + [(rows, rows) for rows in alone if rows.tobytes() in kept]


def _era(table: FaceTable, when: Years, founders: Rows, rows: Rows, rules: EraRules) -> Era:
    first, last = span(when[rows])
    return Era(
        from_year=first,
        to_year=last,
        face_ids=tuple(np.sort(table.face_ids[rows]).tolist()),
        is_thin=len(rows) < rules.min_anchor,
        founder_ids=tuple(np.sort(table.face_ids[founders]).tolist()),
    )
