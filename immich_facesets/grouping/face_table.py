"""The input of grouping: the table of faces, known identities, assertions of sources, and centroids."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import SLACK
from immich_facesets.clustering.linkage import average_linkage, content_order
from immich_facesets.faces import Gate

Rows = NDArray[np.intp]
Origin = Literal["asserted", "discovered"]

BLOCK_ROWS = 2048
"""Number of rows of vectors that are compared at once."""


@dataclass(frozen=True, slots=True)
class FaceTable:
    """
    All faces of one space, as columns of equal length n, each face once, in any order.

    ``vectors``: (n, d), unit length. ``pictures``: arbitrary codes, equal for equal content. ``taken``: days since 1970
    (UTC). ``yaw``: degrees. ``quality``: in [0, 1], from a model of face quality. The last three are NaN where unknown.
    """

    face_ids: NDArray[np.int64]
    vectors: NDArray[np.float32] = field(repr=False)
    pictures: NDArray[np.int64]
    face_short: NDArray[np.float32]
    blur: NDArray[np.float32]
    det_score: NDArray[np.float32]
    taken: NDArray[np.float64]
    yaw: NDArray[np.float32]
    quality: NDArray[np.float32]

    def __post_init__(self) -> None:
        columns = tuple(getattr(self, field.name) for field in fields(self))
        if any(len(column) != len(self.face_ids) for column in columns):
            raise ValueError("the columns of a face table must be of equal length")

    def __len__(self) -> int:
        return len(self.face_ids)

    def admitted(self, gate: Gate) -> NDArray[np.bool_]:
        """Return which faces pass the gate, (n,)."""
        is_large = self.face_short >= np.float32(gate.face_short)
        is_sharp = self.blur >= np.float32(gate.blur)
        return is_large & is_sharp & (self.det_score >= np.float32(gate.det_score))

    def in_order_of_content(self) -> Self:
        """
        Return the same faces in an order that does not depend on face ids.

        Only faces that are equal in every column keep their order. Results computed from rows in this order are bit for
        bit the same, whatever ids the store assigned.
        """
        if len(self) == 0:
            return self
        quality = np.column_stack([self.face_short, self.blur, self.det_score, self.taken, self.yaw, self.quality])
        order = content_order(np.hstack([self.vectors, quality]).astype(np.float32, copy=False))
        return self.rows(order)

    def rows(self, rows: Rows) -> Self:
        """Return a table of the given rows, in the given order."""
        return type(self)(
            **{field.name: np.ascontiguousarray(getattr(self, field.name)[rows]) for field in fields(self)}
        )


@dataclass(frozen=True, slots=True)
class Known:
    """
    An existing identity.

    ``people``: the (source, person id) pairs attached to it. ``born``: the birthday in days since 1970, where a source
    provides it.
    """

    number: int
    origin: Origin
    is_locked: bool
    people: frozenset[tuple[str, str]]
    born: float | None = None


@dataclass(frozen=True, slots=True)
class Assertion:
    """A person named by a source, and the faces that the source assigns to this person."""

    source: str
    person_id: str
    label: str = field(repr=False)
    face_ids: tuple[int, ...]

    @property
    def person(self) -> tuple[str, str]:
        return (self.source, self.person_id)


class Centroids:
    """
    A cache of the centroids of sets of rows of one table.

    A centroid is the normalised mean of the rows that pass the gate, or of all rows when none does. Near-identical
    pictures together weigh as much as one.
    """

    def __init__(self, vectors: NDArray[np.float32], is_good: NDArray[np.bool_], near: float) -> None:
        self._vectors = vectors
        self._is_good = is_good
        self._near = near
        self._known: dict[bytes, Mass] = {}

    def of(self, rows: Rows) -> NDArray[np.float32]:
        """Return the centroid of ``rows`` (ascending, at least one), (d,), unit length."""
        total = self.mass(rows).total
        length = np.linalg.norm(total)
        if length < 1e-9:  # the vectors cancel out: any of them is as good a centre
            first: NDArray[np.float32] = self._vectors[rows[0]]
            return first
        return (total / length).astype(np.float32)

    def mass(self, rows: Rows) -> "Mass":
        """Return the contribution of ``rows`` (ascending, at least one) to a centroid."""
        key = rows.tobytes()
        found = self._known.get(key)
        if found is None:
            vectors = self._vectors[self._counted(rows)]
            shares = burst_weights(vectors, self._near)
            found = self._known[key] = Mass(shares @ vectors.astype(np.float64), float(shares.sum()))
        return found

    def counts(self, rows: Rows, row: int) -> bool:
        """Return whether ``row``, one of ``rows``, contributes to their centroid."""
        return bool(self._is_good[row]) or not self._is_good[rows].any()

    def _counted(self, rows: Rows) -> Rows:
        good = rows[self._is_good[rows]]
        return good if len(good) else rows

    def matrix(self, sets: list[Rows]) -> NDArray[np.float32]:
        """Return the centroids of several sets of rows, (k, d)."""
        matrix = np.empty((len(sets), self._vectors.shape[1]), dtype=np.float32)
        for place, rows in enumerate(sets):
            matrix[place] = self.of(rows)
        return matrix

    def distances(self, rows: Rows) -> NDArray[np.float64]:
        """Return the cosine distance of each of ``rows`` from their centroid, (n,)."""
        return distances(self._vectors[rows], self.of(rows)[None])[:, 0]


@dataclass(frozen=True, slots=True)
class Mass:
    """The weighted sum (d,) of the vectors that count, and their total weight; a burst of pictures weighs as one."""

    total: NDArray[np.float64]
    weight: float


def burst_weights(vectors: NDArray[np.float32], near: float) -> NDArray[np.float64]:
    """Return one weight per row, (n,): rows of one burst (average linkage, cut at ``near``) share a weight of 1."""
    n = len(vectors)
    if n == 1:
        return np.ones(1)
    if n <= BLOCK_ROWS:
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -1.0)
        if likeness.max() <= 1.0 - near - SLACK:
            return np.ones(n)
    burst = average_linkage(vectors, near)
    shared: NDArray[np.float64] = 1.0 / np.bincount(burst)[burst]
    return shared


def distances(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine distances of unit vectors (n, d) to unit centroids (k, d), as (n, k)."""
    return 1.0 - (vectors @ centroids.T).astype(np.float64)


def two_pass(rows: Rows, centroids: Centroids, vectors: NDArray[np.float32], drop: float, outlier: float) -> Rows:
    """
    Return the rows that belong to one person, without bystanders and wrong assignments (docs/grouping.md).

    Rows farther than ``drop`` from the centroid are dropped. Then the centroid is recomputed, and rows farther than
    ``outlier`` are dropped.
    """
    kept = rows
    for limit in (drop, outlier):
        if len(kept) == 0:
            break
        kept = kept[distances(vectors[kept], centroids.of(kept)[None])[:, 0] <= limit]
    return kept


class People:
    """The attachments of the sources' people to identities, while a plan is made."""

    def __init__(self, known: Mapping[int, frozenset[tuple[str, str]]]) -> None:
        self.identity_of = {person: number for number in sorted(known) for person in sorted(known[number])}

    def attach(self, person: tuple[str, str], number: int) -> None:
        self.identity_of[person] = number

    def renumber(self, final: Mapping[int, int]) -> None:
        """Move people to the final numbers of their identities."""
        self.identity_of = {person: final.get(number, number) for person, number in self.identity_of.items()}

    def detach(self, numbers: Container[int]) -> None:
        """Detach all people from the given identities."""
        self.identity_of = {person: number for person, number in self.identity_of.items() if number not in numbers}

    def has_other(self, number: int, person: tuple[str, str]) -> bool:
        """Return whether another person of the same source is attached; a source names different people on purpose."""
        source = person[0]
        return any(to == number and other[0] == source and other != person for other, to in self.identity_of.items())

    def of(self, number: int) -> frozenset[tuple[str, str]]:
        return frozenset(person for person, to in self.identity_of.items() if to == number)

    def conflict(self, one: int, two: int) -> bool:
        """Return whether the same source has people attached to both identities."""
        sources = {source for source, _ in self.of(one)}
        return any(source in sources for source, _ in self.of(two))
