"""Creation of an identity's first eras, and reuse of the names of its earlier eras."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.eras.ages import Childhood
from immich_facesets.eras.era import KeptEra, free_name, is_year_name, new_era, year_name
from immich_facesets.eras.probing import Verdict, judge
from immich_facesets.eras.rules import EraRules
from immich_facesets.eras.splitting import recover, split, without_events
from immich_facesets.eras.years import NO_YEAR, dominant_year, years_of
from immich_facesets.grouping.centroids import Centroids
from immich_facesets.grouping.face_table import FaceTable, Rows


def first_eras(table: FaceTable, rules: EraRules, childhood: Childhood | None) -> tuple[KeptEra, ...]:
    """Return the first eras; none when the identity cannot be sorted by age."""
    when = years_of(table.taken)
    if childhood is not None:
        good = np.flatnonzero(table.admitted(rules.gate))
        found = by_window(table, good, childhood.places(table.taken), rules)
        large = {place: rows for place, rows in found.items() if len(rows) >= rules.least_thin}
        kept = {rows.tobytes() for rows in without_events(list(large.values()), table.taken)}
        return tuple(
            new_era(table, rows, childhood.windows[place].name)
            for place, rows in large.items()
            if rows.tobytes() in kept
        )
    if judge(table.vectors, when, table.taken, rules)[1] is not Verdict.SORTABLE:
        return ()
    dated = table.rows(np.flatnonzero(when != NO_YEAR))
    year_of = dict(zip(table.face_ids.tolist(), when.tolist(), strict=True))
    eras: list[KeptEra] = []
    for era in split(dated, years_of(dated.taken).tolist(), rules=rules):
        if len(era.face_ids) < rules.least_thin:
            continue
        main = dominant_year(np.array([year_of[face] for face in era.face_ids]))
        eras.append(
            KeptEra(
                name=free_name(year_name(main), {other.name for other in eras}),
                from_year=era.from_year,
                main_year=main,
                to_year=era.to_year,
                founders=frozenset(era.founder_ids),
                joined=dict.fromkeys(sorted(set(era.face_ids) - set(era.founder_ids))),
            )
        )
    return tuple(eras)


def by_window(table: FaceTable, rows: Rows, window: NDArray[np.int64], rules: EraRules) -> dict[int, Rows]:
    """Return, by window index, the faces of each window that are near the window's own centroid."""
    found = {}
    for place in np.unique(window[rows]).tolist():
        if place < 0:
            continue
        here = rows[window[rows] == place]
        some = table.rows(here)
        everybody = np.ones(len(some), dtype=np.bool_)
        near = recover(some, everybody, Centroids(some.vectors, everybody, rules.near), rules)
        if len(near):
            found[place] = here[near]
    return found


def with_old_names(found: Sequence[KeptEra], kept: Sequence[KeptEra], present: frozenset[int]) -> tuple[KeptEra, ...]:
    """
    Reuse the name of an old era for the new era that holds most of its faces, the largest overlap first.

    A year is no name of an era that has no such year: so it is where eras that were merged are parted again.
    """
    overlaps = sorted(
        (-len(old.face_ids & new.face_ids), old.name, place)
        for place, new in enumerate(found)
        for old in kept
        if 2 * len(old.face_ids & new.face_ids) > len(old.face_ids & present) and _may_be_called(new, old.name)
    )
    names: dict[int, str] = {}
    for _, name, place in overlaps:  # no two can hold more than half of one
        names.setdefault(place, name)
    for place, era in enumerate(found):
        if place not in names:
            names[place] = free_name(year_name(era.main_year), set(names.values()))
    return tuple(replace(era, name=names[place]) for place, era in enumerate(found))


def with_given_names(found: Sequence[KeptEra], kept: Sequence[KeptEra]) -> tuple[KeptEra, ...]:
    """Return new eras by age; the era of ages that a person gave a name has that name."""
    given = {era.window: era.name for era in kept if era.window is not None}
    return tuple(replace(era, name=given[era.name], window=era.name) if era.name in given else era for era in found)


def _may_be_called(era: KeptEra, name: str) -> bool:
    """Return whether a name is no year, or one of the era's years."""
    year = name[:4]
    if not is_year_name(name) or not year.isdecimal() or era.from_year is None or era.to_year is None:
        return True
    return era.from_year <= int(year) <= era.to_year
