"""
The rule for minors: which faces may show a minor, and are held back from every bundle for face swapping.

It asks every source of knowledge about a face: the people attached to its identity, now or ever; the people to whom a
source gave the face, now or ever; and the known minors whom its identity resembles. One of them is enough. Only a date
at which the person was of age lifts it, or a user's decision.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from immich_facesets.assets import PersonKey
from immich_facesets.dates import read_date

ADULT_AGE = 18

LEAST_SHARE = 0.1
"""The share of an identity's faces given to a minor from which on all of it may be that minor."""

_WINDOW = 3
"""Years of a childhood that are compared as one: children change fast, and a mean over all years resembles none."""

Sums = dict[int | None, NDArray[np.float64]]
"""The sum of the vectors of each year; None: of undated faces."""


class Held(StrEnum):
    """
    The reason why a face is held back, in order of weight.

    A person of its identity was a minor; so was a person to whom a source gave the face; it is of an identity that
    resembles a minor in those years; or it is undated and may be of such a person's childhood.
    """

    MINOR = "minor_not_in_swap_bundles"
    GIVEN = "given_to_a_minor_not_in_swap_bundles"
    ALIKE = "like_a_minor_not_in_swap_bundles"
    UNDATED = "undated_maybe_minor_not_in_swap_bundles"


@dataclass(frozen=True, slots=True)
class DatedFace:
    """A face with its identity (0: none) and the day it was taken, where a date says that."""

    face_id: int
    identity: int
    taken: date | None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """
    All that is known about people with a birth date.

    ``births``: ISO dates by person, every one that counts. ``of_faces``: by face id, the people to whom a source gave
    the face, now or ever. ``of_identities``: by number, the people attached to the identity, now or ever. ``of_age``:
    face ids of which a user decided that they show an adult.
    """

    births: Mapping[PersonKey, tuple[str, ...]] = field(default_factory=dict, repr=False)
    of_faces: Mapping[int, frozenset[PersonKey]] = field(default_factory=dict)
    of_identities: Mapping[int, frozenset[PersonKey]] = field(default_factory=dict)
    of_age: frozenset[int] = frozenset()

    def born(self, people: Iterable[PersonKey]) -> set[str]:
        """Return all birth dates of these people."""
        return {born for person in people for born in self.births.get(person, ())}

    def people_of(self, faces: Iterable[DatedFace]) -> set[PersonKey]:
        """Return the people with a birth date whom these faces may show, as sources state."""
        return {
            person
            for face in faces
            for person in (*self.of_faces.get(face.face_id, ()), *self.of_identities.get(face.identity, ()))
            if person in self.births
        }


class YearlyMeans:
    """The mean vectors of identities and of people with a birth date, by year, collected face by face."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._of_identities: dict[int, Sums] = {}
        self._of_people: dict[PersonKey, Sums] = {}
        self._given: Counter[tuple[int, PersonKey]] = Counter()
        self._faces: Counter[int] = Counter()

    def add(self, faces: Sequence[DatedFace], vectors: NDArray[np.float32]) -> None:
        """Collect faces. ``vectors``: (n, d), unit length, row by row."""
        known = self._knowledge
        for face, vector in zip(faces, vectors, strict=True):
            given = known.of_faces.get(face.face_id, frozenset())
            if face.identity:
                _add(self._of_identities.setdefault(face.identity, {}), face.taken, vector)
                self._faces[face.identity] += 1
                self._given.update((face.identity, person) for person in given)
            for person in given | known.of_identities.get(face.identity, frozenset()):
                if person in known.births:
                    _add(self._of_people.setdefault(person, {}), face.taken, vector)

    def of_minors(self, within: float) -> dict[int, set[tuple[PersonKey, str]]]:
        """
        Return the minors whom each identity resembles, with their birth dates, by number.

        An identity resembles a minor if a mean of its faces is within this cosine distance of a mean of the minor's.
        The means are of all years, of the years in question, and of parts of these. An identity also resembles a minor
        to whom a source gave a tenth of its faces.
        """
        found: dict[int, set[tuple[PersonKey, str]]] = {}
        for (number, person), count in self._given.items():
            if count >= LEAST_SHARE * self._faces[number]:
                births = self._knowledge.births.get(person, ())
                found.setdefault(number, set()).update((person, born) for born in births)
        for person, sums in self._of_people.items():
            for born in self._knowledge.births[person]:
                for number in self._near(_anchors(sums, born), born, within):
                    found.setdefault(number, set()).add((person, born))
        return found

    def _near(self, anchors: Sequence[NDArray[np.float64]], born: str, within: float) -> list[int]:
        if not anchors:
            return []
        numbers: list[int] = []
        points: list[NDArray[np.float64]] = []
        for number, sums in self._of_identities.items():
            part = [vector for year, vector in sums.items() if _is_of_childhood(year, born)]
            if part:
                numbers += [number, number]
                points += [_mean(part), _mean(list(sums.values()))]
        if not points:
            return []
        distances = 1.0 - np.stack(points) @ np.stack(anchors).T
        return [numbers[row] for row in np.flatnonzero((distances <= within).any(axis=1)).tolist()]


def held_back(faces: Iterable[DatedFace], knowledge: Knowledge, alike: Mapping[int, Iterable[str]]) -> dict[int, Held]:
    """
    Return the faces that may show a minor, with the reason, by face id. The others may enter bundles for swapping.

    ``alike``: by identity, the birth dates of the minors whom it resembles. A date before the birth is impossible for a
    person whom a source or a link names, and counts as none; a person who only looks alike is then another.
    """
    found = {}
    for face in faces:
        reason = _reason(face, knowledge, alike.get(face.identity, ()))
        if reason is not None and face.face_id not in knowledge.of_age:
            found[face.face_id] = reason
    return found


def _reason(face: DatedFace, knowledge: Knowledge, alike: Iterable[str]) -> Held | None:
    attached = knowledge.born(knowledge.of_identities.get(face.identity, ()))
    given = knowledge.born(knowledge.of_faces.get(face.face_id, ()))
    if face.taken is None:
        return Held.UNDATED if attached or given or set(alike) else None
    if any(is_under_age(born, face.taken) for born in attached):
        return Held.MINOR
    if any(is_under_age(born, face.taken) for born in given):
        return Held.GIVEN
    day = face.taken.isoformat()
    if any(is_under_age(born, face.taken) and not (read_date(born) is not None and day < born) for born in alike):
        return Held.ALIKE
    return None


def is_under_age(born: str, taken: date) -> bool:
    """
    Return whether a day is before the 18th birthday of a person; an unreadable birth date counts as such.

    A person born on 29 February comes of age on 1 March.
    """
    day = read_date(born)
    return day is None or (taken.year, taken.month, taken.day) < (day.year + ADULT_AGE, day.month, day.day)


def _anchors(sums: Sums, born: str) -> list[NDArray[np.float64]]:
    """
    Return the mean looks of a minor: of all years, of the childhood and of its parts; none without a childhood.

    The faces are the minor's, so a year before the birth is impossible, and counts as no date.
    """
    day = read_date(born)
    childhood: Sums = {}
    for stated, vector in sums.items():
        year = None if stated is None or (day is not None and stated < day.year) else stated
        if _is_of_childhood(year, born):
            childhood[year] = childhood.get(year, 0.0) + vector
    if not childhood:
        return []
    parts = [list(sums.values()), list(childhood.values())]
    windows: dict[int, list[NDArray[np.float64]]] = {}
    for year, vector in childhood.items():
        if year is not None:
            windows.setdefault(year // _WINDOW, []).append(vector)
    return [_mean(part) for part in (*parts, *windows.values())]


def _is_of_childhood(year: int | None, born: str) -> bool:
    day = read_date(born)
    return year is None or day is None or day.year <= year <= day.year + ADULT_AGE


def _add(sums: Sums, taken: date | None, vector: NDArray[np.float32]) -> None:
    year = None if taken is None else taken.year
    sums[year] = sums.get(year, 0.0) + vector.astype(np.float64)


def _mean(sums: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean of summed vectors, of unit length."""
    vector: NDArray[np.float64] = np.sum(sums, axis=0)
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0.0 else vector
