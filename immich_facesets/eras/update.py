"""
Eras that last: a name once given stays, and so do the faces that have it.

Later faces join the era they look most like, if they are of its time. They are measured against its founders, the faces
it was made of, and never against each other: what joined first decides nothing, and no era drifts through the years.
What fits nowhere waits until enough of it stands together for an era of its own.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.eras.ages import Childhood
from immich_facesets.eras.creation import by_window, first_eras, with_old_names
from immich_facesets.eras.era import KeptEra, founded, free_name, year_name
from immich_facesets.eras.rules import EraRules
from immich_facesets.eras.splitting import recover
from immich_facesets.eras.undated import confidence, look, look_without_oneself
from immich_facesets.eras.years import NO_YEAR, dominant_year, is_one_event, span, years_of
from immich_facesets.grouping.face_table import Centroids, FaceTable, Rows, distances


def plan_eras(
    table: FaceTable, kept: Sequence[KeptEra], rules: EraRules, childhood: Childhood | None = None
) -> tuple[KeptEra, ...]:
    """
    The eras an identity shall have: those it has, grown, or the first ones if it can be sorted; by name.

    ``table``: all its faces, ``taken`` as local days; ``childhood``: eras by age instead of by likeness. Planning again
    with what was planned plans the same. The order of rows decides nothing.
    """
    table = table.in_order_of_content()
    return grow_eras(table, kept or first_eras(table, rules, childhood), rules, childhood)


def split_again(
    table: FaceTable, kept: Sequence[KeptEra], rules: EraRules, childhood: Childhood | None = None
) -> tuple[KeptEra, ...]:
    """
    The eras an identity gets when it is split anew on purpose.

    An era that holds more than half of the faces of an old one keeps that one's name. What cannot be sorted any more
    stays as it is.
    """
    table = table.in_order_of_content()
    found = first_eras(table, rules, childhood)
    if not found:
        return tuple(kept)
    if childhood is None:
        found = with_old_names(found, kept, frozenset(table.face_ids.tolist()))
    return grow_eras(table, found, rules, childhood)


def grow_eras(
    table: FaceTable, kept: Sequence[KeptEra], rules: EraRules, childhood: Childhood | None = None
) -> tuple[KeptEra, ...]:
    """The same eras with the faces that belong to them by now, and new ones of what fits nowhere; by name."""
    if not any(era.face_ids for era in kept):
        return tuple(kept)
    growth = _Growth(table.in_order_of_content(), kept, rules, childhood)
    growth.run()
    return tuple(sorted(growth.eras.values(), key=lambda era: era.name))


class _Growth:
    """Eras while they grow. Rows are those of the table; an era without any face in it has no say."""

    def __init__(self, table: FaceTable, kept: Sequence[KeptEra], rules: EraRules, childhood: Childhood | None) -> None:
        self.eras = {era.name: era for era in kept}
        self._table, self._rules, self._childhood = table, rules, childhood
        self._when = years_of(table.taken)
        self._window = None if childhood is None else childhood.places(table.taken)
        self._centroids = Centroids(table.vectors, np.ones(len(table), dtype=np.bool_), rules.near)
        self._is_good = table.admitted(rules.gate)
        self._is_loose = self._is_good & ~np.isin(table.face_ids, [face for era in kept for face in era.face_ids])

    def run(self) -> None:
        """Until nothing more joins or is found: every round that goes on has used up some faces."""
        while True:
            self._join_dated()
            if self._found_dated():
                continue
            self._place_undated()
            if not self._found_undated():
                return

    def _rows(self, *, dated: bool) -> Rows:
        """The faces of no era that are good enough for one."""
        return np.flatnonzero(self._is_loose & ((self._when != NO_YEAR) == dated))

    def _awake(self) -> tuple[list[KeptEra], list[Rows]]:
        """The eras that can be compared with, and the rows that speak for them: founders, while any of them is left."""
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
        eras, sets = self._awake()
        if not len(rows) or not eras:
            return
        gaps = distances(self._table.vectors[rows], self._centroids.matrix(sets))
        is_of_time = self._is_of_time(rows, eras)
        if self._childhood is None:  # near in looks and then in years, or not at all
            place, limit = gaps.argmin(axis=1), self._rules.join
        else:
            place, limit = is_of_time.argmax(axis=1), self._rules.tighten
        here = np.arange(len(rows))
        self._take(eras, rows, place, is_of_time[here, place] & (gaps[here, place] <= limit), None)

    def _is_of_time(self, rows: Rows, eras: Sequence[KeptEra]) -> NDArray[np.bool_]:
        """Which of these dated faces are of the time of which era, (n, k): near its main year, or as its first faces were."""
        if self._childhood is None or self._window is None:
            years = np.array(
                [(era.from_year, era.main_year, era.to_year) for era in eras], dtype=np.float64
            )  # None: NaN
            when = self._when[rows][:, None]
            is_near: NDArray[np.bool_] = np.abs(when - years[:, 1]) <= self._rules.max_years
            return is_near | ((years[:, 0] <= when) & (when <= years[:, 2]))
        names = np.array(["", *(window.name for window in self._childhood.windows)])
        return np.asarray(names[self._window[rows] + 1][:, None] == np.array([era.name for era in eras]))

    def _place_undated(self) -> None:
        rows = self._rows(dated=False)
        eras, sets = self._awake()
        if not len(rows) or len(eras) < 2:  # with a single one there is nothing to compare
            return
        vectors, matrix = self._table.vectors, self._centroids.matrix(sets)
        dated = np.flatnonzero(self._is_good & (self._when != NO_YEAR))
        place, gap, margin = look_without_oneself(vectors, matrix, sets)
        known = dated[gap[dated] <= self._rules.join]
        known, right = self._right_eras(known, eras)
        is_right = place[known] == right
        place, gap, margin_here = look(vectors[rows], matrix)
        sure = confidence(margin_here, margin[known], is_right, self._rules.scale)
        self._take(eras, rows, place, (gap <= self._rules.join) & (sure >= self._rules.sure), sure)

    def _right_eras(self, rows: Rows, eras: Sequence[KeptEra]) -> tuple[Rows, NDArray[np.intp]]:
        """Of dated faces those that others of their time speak for, and which era most of these others are in."""
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
        """New eras of faces that fit in no other; one event is none."""
        rows = self._rows(dated=True)
        if len(rows) < self._rules.least_thin:
            return False
        if self._childhood is not None and self._window is not None:
            sets = by_window(self._table, rows, self._window, self._rules)
            named = {self._childhood.windows[place].name: found for place, found in sets.items()}
            fresh = {name: found for name, found in named.items() if name not in self._inhabited()}
        else:
            near = np.intersect1d(rows, self._near_centre(self._when != NO_YEAR))
            labels = average_linkage(self._table.vectors[near], self._rules.cluster)
            fresh = self._named([near[part] for part in split_by(labels)])
        sized = {name: found for name, found in fresh.items() if len(found) >= self._rules.least_thin}
        return self._add({name: found for name, found in sized.items() if not is_one_event(self._table.taken[found])})

    def _found_undated(self) -> bool:
        """A new era of undated faces that look alike and like no other, when they are enough for an anchor."""
        rows = self._rows(dated=False)
        _, sets = self._awake()
        if len(rows) < self._rules.min_anchor or not sets:
            return False
        gaps = distances(self._table.vectors[rows], self._centroids.matrix(sets))
        rows = rows[gaps.min(axis=1) > self._rules.join]
        near = np.intersect1d(rows, self._near_centre(np.ones(len(self._table), dtype=np.bool_)))
        labels = average_linkage(self._table.vectors[near], self._rules.cluster)
        large = [near[part] for part in split_by(labels) if len(part) >= self._rules.min_anchor]
        return self._add(self._named(large))

    def _near_centre(self, is_seed: NDArray[np.bool_]) -> Rows:
        """The rows that ``split`` would look at, of those marked."""
        rows = np.flatnonzero(is_seed)
        some = self._table.rows(rows)
        everybody = np.ones(len(some), dtype=np.bool_)
        return rows[recover(some, everybody, Centroids(some.vectors, everybody, self._rules.near), self._rules)]

    def _named(self, sets: Iterable[Rows]) -> dict[str, Rows]:
        """The sets by free names after their main years, earliest first."""
        taken = self._inhabited()
        named: dict[str, Rows] = {}
        for rows in sorted(sets, key=lambda rows: (span(self._when[rows])[0] or 0, -len(rows))):
            if len(rows) >= self._rules.least_thin:
                named[free_name(year_name(dominant_year(self._when[rows])), taken | named.keys())] = rows
        return named

    def _inhabited(self) -> set[str]:
        """The names that are taken; an era whose faces are all gone gives its name to the next of its kind."""
        return {name for name, era in self.eras.items() if era.face_ids}

    def _add(self, sets: Mapping[str, Rows]) -> bool:
        for name, rows in sets.items():
            self.eras[name] = founded(self._table, rows, name)
            self._is_loose[rows] = False
        return bool(sets)
