"""
Updates of stored eras: a name once given stays, and so do the faces of the era.

Later faces join the era they are most similar to, if they are of its time. They are compared with its founders, the
faces it was made of, and never with each other. The order in which faces joined therefore decides nothing, and no era
drifts through the years. Faces that fit no era remain outside until enough similar ones form an era of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.eras.ages import Childhood
from immich_facesets.eras.creation import by_window, first_eras, with_given_names, with_old_names
from immich_facesets.eras.decided import DecidedEras
from immich_facesets.eras.era import KeptEra, free_name, new_era, year_name
from immich_facesets.eras.rules import EraRules
from immich_facesets.eras.splitting import look_alikes, recover
from immich_facesets.eras.undated import confidence, nearest_era, nearest_era_leave_one_out
from immich_facesets.eras.years import NO_YEAR, dominant_year, is_one_event, span, years_of
from immich_facesets.grouping.centroids import Centroids, cosine_distances
from immich_facesets.grouping.face_table import FaceTable, Rows


def plan_eras(
    table: FaceTable,
    kept: Sequence[KeptEra],
    rules: EraRules,
    childhood: Childhood | None = None,
    decided: DecidedEras = DecidedEras(),  # noqa: B008 it is frozen
) -> tuple[KeptEra, ...]:
    """
    Return the planned eras of an identity by name: its stored eras, grown, or the first ones if it can be sorted.

    ``table``: all its faces, ``taken`` as local days; ``childhood``: eras by age instead of by similarity. Planning
    again with the planned eras gives the same plan. The order of rows does not affect the result.
    """
    table = table.in_order_of_content()
    begun = decided.over(kept or first_eras(table, rules, childhood))
    return grow_eras(table, begun.eras, rules, childhood)


def split_again(
    table: FaceTable, kept: Sequence[KeptEra], rules: EraRules, childhood: Childhood | None = None
) -> tuple[KeptEra, ...]:
    """
    Return the eras of an identity that is split again on request.

    An era that holds more than half of the faces of an old one keeps the old name. Eras that can no longer be sorted
    stay unchanged.
    """
    table = table.in_order_of_content()
    found = first_eras(table, rules, childhood)
    if not found:
        return tuple(kept)
    if childhood is None:
        found = with_old_names(found, kept, frozenset(table.face_ids.tolist()))
    else:
        found = with_given_names(found, kept)
    return grow_eras(table, found, rules, childhood)


def grow_eras(
    table: FaceTable, kept: Sequence[KeptEra], rules: EraRules, childhood: Childhood | None = None
) -> tuple[KeptEra, ...]:
    """Return the same eras with the faces that now belong to them, and new eras of the remaining faces; by name."""
    if not any(era.face_ids for era in kept):
        return tuple(kept)
    growth = _Growth(table.in_order_of_content(), kept, rules, childhood)
    growth.run()
    return tuple(sorted(growth.eras.values(), key=lambda era: era.name))


class _Growth:
    """The state of eras while they grow. Rows are those of the table; an era without any face in it is not used."""

    def __init__(self, table: FaceTable, kept: Sequence[KeptEra], rules: EraRules, childhood: Childhood | None) -> None:
        self.eras = {era.name: era for era in kept}
        self._table, self._rules, self._childhood = table, rules, childhood
        self._when = years_of(table.taken)
        self._window = None if childhood is None else childhood.places(table.taken)
        self._centroids = Centroids(table.vectors, np.ones(len(table), dtype=np.bool_), rules.near)
        self._is_good = table.admitted(rules.gate)
        self._is_loose = self._is_good & ~np.isin(table.face_ids, [face for era in kept for face in era.face_ids])

    def run(self) -> None:
        """Grow until nothing more joins or is found: every further round has used up some faces."""
        while True:
            self._join_dated()
            if self._found_dated():
                continue
            self._place_undated()
            if not self._found_undated():
                return

    def _rows(self, *, dated: bool) -> Rows:
        """Return the faces of no era that are good enough for one."""
        return np.flatnonzero(self._is_loose & ((self._when != NO_YEAR) == dated))

    def _comparable_eras(self) -> tuple[list[KeptEra], list[Rows]]:
        """
        Return the eras that can be compared with, and the rows that represent them: founders, while any of them is
        left.
        """
        eras, sets = [], []
        for era in self.eras.values():
            rows = np.flatnonzero(np.isin(self._table.face_ids, list(era.founders)))
            if not len(rows):
                rows = np.flatnonzero(np.isin(self._table.face_ids, list(era.joined)))
            if len(rows):
                eras.append(era)
                sets.append(rows)
        return eras, sets

    def _join_dated(self) -> None:
        rows = self._rows(dated=True)
        eras, sets = self._comparable_eras()
        if not len(rows) or not eras:
            return
        gaps = cosine_distances(self._table.vectors[rows], self._centroids.matrix(sets))
        is_of_time = self._is_of_time(rows, eras)
        if self._childhood is None:  # near in looks and then in years, or not at all
            place, limit = gaps.argmin(axis=1), self._rules.join
        else:
            place, limit = is_of_time.argmax(axis=1), self._rules.tighten
        here = np.arange(len(rows))
        self._take(eras, rows, place, is_of_time[here, place] & (gaps[here, place] <= limit), None)

    def _is_of_time(self, rows: Rows, eras: Sequence[KeptEra]) -> NDArray[np.bool_]:
        """
        Return which of these dated faces are of the time of which era, (n, k).

        A face is of an era's time when it is near its main year, or within the span of its first faces.
        """
        if self._childhood is None or self._window is None:
            years = np.array(
                [(era.from_year, era.main_year, era.to_year) for era in eras], dtype=np.float64
            )  # None: NaN
            when = self._when[rows][:, None]
            is_near: NDArray[np.bool_] = np.abs(when - years[:, 1]) <= self._rules.max_years
            return is_near | ((years[:, 0] <= when) & (when <= years[:, 2]))
        names = np.array(["", *(window.name for window in self._childhood.windows)])
        return np.asarray(names[self._window[rows] + 1][:, None] == np.array([era.age_name for era in eras]))

    def _place_undated(self) -> None:
        rows = self._rows(dated=False)
        eras, sets = self._comparable_eras()
        if not len(rows) or len(eras) < 2:  # with a single one there is nothing to compare
            return
        vectors, matrix = self._table.vectors, self._centroids.matrix(sets)
        dated = np.flatnonzero(self._is_good & (self._when != NO_YEAR))
        place, gap, margin = nearest_era_leave_one_out(vectors, matrix, sets)
        known = dated[gap[dated] <= self._rules.join]
        known, right = self._right_eras(known, eras)
        is_right = place[known] == right
        place, gap, margin_here = nearest_era(vectors[rows], matrix)
        sure = confidence(margin_here, margin[known], is_right, self._rules.scale)
        self._take(eras, rows, place, (gap <= self._rules.join) & (sure >= self._rules.sure), sure)

    def _right_eras(self, rows: Rows, eras: Sequence[KeptEra]) -> tuple[Rows, NDArray[np.intp]]:
        """Return the dated faces with other faces of their time, and the era that most of these others are in."""
        time = self._when if self._window is None else self._window
        owner = np.full(len(self._table), -1)
        for place, era in enumerate(eras):
            owner[np.isin(self._table.face_ids, list(era.face_ids))] = place
        is_witness = (owner >= 0) & (self._when != NO_YEAR)
        times, code = np.unique(time, return_inverse=True)
        counts = np.zeros((len(times), len(eras)), dtype=np.int64)
        np.add.at(counts, (code[is_witness], owner[is_witness]), 1)
        others = counts[code[rows]]
        mine = np.flatnonzero(owner[rows] >= 0)
        others[mine, owner[rows[mine]]] -= 1
        is_known = others.any(axis=1)
        return rows[is_known], others[is_known].argmax(axis=1)

    def _take(
        self, eras: list[KeptEra], rows: Rows, place: Rows, is_in: NDArray[np.bool_], sure: NDArray[np.float64] | None
    ) -> None:
        for number, era in enumerate(eras):
            mine = np.flatnonzero(is_in & (place == number))
            if len(mine):
                faces = self._table.face_ids[rows[mine]].tolist()
                certain = [None] * len(mine) if sure is None else [round(float(one), 3) for one in sure[mine]]
                self.eras[era.name] = era.with_joined(dict(zip(faces, certain, strict=True)))
        self._is_loose[rows[is_in]] = False

    def _found_dated(self) -> bool:
        """Create eras from dated faces that fit no other era; one event makes none. Return whether any was created."""
        rows = self._rows(dated=True)
        if len(rows) < self._rules.least_thin:
            return False
        if self._childhood is not None and self._window is not None:
            sets = by_window(self._table, rows, self._window, self._rules)
            given = {era.age_name: era.name for era in self.eras.values()}
            ages = {self._childhood.windows[place].name: found for place, found in sets.items()}
            named = {given.get(name, name): found for name, found in ages.items()}
            fresh = {name: found for name, found in named.items() if name not in self._names_in_use()}
        else:
            near = np.intersect1d(rows, self._near_centre(self._when != NO_YEAR))
            fresh = self._named(look_alikes(near, self._table.vectors[near], self._when, self._rules))
        sized = {name: found for name, found in fresh.items() if len(found) >= self._rules.least_thin}
        return self._add({name: found for name, found in sized.items() if not is_one_event(self._table.taken[found])})

    def _found_undated(self) -> bool:
        """Create an era of undated faces that are similar only to each other, when they are enough for an anchor."""
        rows = self._rows(dated=False)
        _, sets = self._comparable_eras()
        if len(rows) < self._rules.min_anchor or not sets:
            return False
        gaps = cosine_distances(self._table.vectors[rows], self._centroids.matrix(sets))
        rows = rows[gaps.min(axis=1) > self._rules.join]
        near = np.intersect1d(rows, self._near_centre(np.ones(len(self._table), dtype=np.bool_)))
        labels = average_linkage(self._table.vectors[near], self._rules.cluster)
        large = [near[part] for part in split_by(labels) if len(part) >= self._rules.min_anchor]
        return self._add(self._named(large))

    def _near_centre(self, is_seed: NDArray[np.bool_]) -> Rows:
        """Return those of the marked rows that ``split`` would use."""
        rows = np.flatnonzero(is_seed)
        some = self._table.rows(rows)
        everybody = np.ones(len(some), dtype=np.bool_)
        return rows[recover(some, everybody, Centroids(some.vectors, everybody, self._rules.near), self._rules)]

    def _named(self, sets: Iterable[Rows]) -> dict[str, Rows]:
        """Return the sets by free names after their main years, earliest first."""
        taken = self._names_in_use()
        named: dict[str, Rows] = {}
        for rows in sorted(sets, key=lambda rows: (span(self._when[rows])[0] or 0, -len(rows))):
            if len(rows) >= self._rules.least_thin:
                named[free_name(year_name(dominant_year(self._when[rows])), taken | named.keys())] = rows
        return named

    def _names_in_use(self) -> set[str]:
        """Return the taken names; the name of an era whose faces are all gone is free for the next era of that name."""
        return {name for name, era in self.eras.items() if era.face_ids}

    def _add(self, sets: Mapping[str, Rows]) -> bool:
        for name, rows in sets.items():
            window = self.eras[name].window if name in self.eras else None
            self.eras[name] = replace(new_era(self._table, rows, name), window=window)
            self._is_loose[rows] = False
        return bool(sets)
