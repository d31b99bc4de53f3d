"""Errors of a grouping: the scores of each person, which people share a cluster, and which people are split."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from immich_facesets.clustering.linkage import split_by

PEOPLE_A_CLUSTER = 50
"""
The most people of one cluster whose pairs are reported, largest first: a cluster of thousands has millions of pairs.
"""


@dataclass(frozen=True, slots=True)
class PersonScore:
    """
    The scores of one person, by the cluster that holds most of the person's faces.

    ``completeness``: the share of the person's ``faces`` in that cluster. ``purity``: the share of the cluster that
    shows this person. ``parts``: the number of clusters that hold the person's faces.
    """

    person: str
    faces: int
    parts: int
    completeness: float
    purity: float

    @property
    def f(self) -> float:
        return 2 * self.completeness * self.purity / (self.completeness + self.purity)


@dataclass(frozen=True, slots=True)
class Merged:
    """
    Two people who share a cluster: ``faces`` of one of them would have to move. The examples of both are from the worst
    such cluster.
    """

    one: str
    other: str
    faces: int
    clusters: int
    one_examples: tuple[int, ...]
    other_examples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """A person split over several clusters: sizes of ``parts``, largest first; ``examples`` of the first of them."""

    person: str
    parts: tuple[int, ...]
    examples: tuple[tuple[int, ...], ...]

    @property
    def faces(self) -> int:
        """Return how many faces are not in the largest part."""
        return sum(self.parts[1:])


@dataclass(frozen=True, slots=True)
class Confusions:
    """All people, worst first, including those without errors; the worst pairs; the worst splits."""

    people: tuple[PersonScore, ...]
    merged: tuple[Merged, ...]
    split: tuple[Split, ...]


def confusions(
    labels_true: ArrayLike,
    labels_pred: ArrayLike,
    *,
    face_ids: ArrayLike | None = None,
    limit: int = 20,
    examples: int = 4,
) -> Confusions:
    """
    Return the ``limit`` worst pairs and splits, with up to ``examples`` faces of each side or part.

    True labels become text. ``face_ids``: (n,) the ids of the examples; their rows when None. Among equals the first by
    name comes first; examples are spread over the faces in their order.
    """
    names, person = np.unique(np.asarray(labels_true).astype(str), return_inverse=True)
    cluster = np.unique(np.asarray(labels_pred), return_inverse=True)[1]
    if person.shape != cluster.shape or person.ndim != 1:
        raise ValueError("labels must be two lists of equal length")
    cells = _Cells(person, cluster, np.arange(len(person)) if face_ids is None else np.asarray(face_ids))
    return Confusions(
        people=_people(names, cells),
        merged=_merged(names, cells, limit, examples),
        split=_split(names, cells, limit, examples),
    )


def faces_in(found: Confusions) -> set[int]:
    """Return the ids of all example faces."""
    sides = [side for pair in found.merged for side in (pair.one_examples, pair.other_examples)]
    sides += [part for one in found.split for part in one.examples]
    return {face for side in sides for face in side}


class _Cells:
    """The faces of each pair (person, cluster) that occurs."""

    def __init__(self, person: NDArray[np.int64], cluster: NDArray[np.int64], face_ids: NDArray[np.int64]) -> None:
        pairs, code = np.unique(np.stack([person, cluster]), axis=1, return_inverse=True)
        self.faces = [face_ids[rows] for rows in split_by(code.ravel())]
        self.sizes = np.array([len(faces) for faces in self.faces], dtype=np.int64)
        self.person, self.cluster = pairs
        self.cluster_sizes = np.bincount(cluster)

    def by_person(self) -> Iterator[NDArray[np.intp]]:
        """Yield the cells of each person, the largest first."""
        for cells in split_by(self.person):
            yield cells[np.argsort(-self.sizes[cells], kind="stable")]

    def by_cluster(self) -> Iterator[NDArray[np.intp]]:
        """Yield the cells of each cluster that is not pure, the largest first."""
        order = np.lexsort((self.person, self.cluster))
        for cells in np.split(order, np.flatnonzero(np.diff(self.cluster[order])) + 1):
            if len(cells) > 1:
                yield cells[np.argsort(-self.sizes[cells], kind="stable")]


def _people(names: NDArray[np.str_], cells: _Cells) -> tuple[PersonScore, ...]:
    found = []
    for mine in cells.by_person():
        sizes, best = cells.sizes[mine], mine[0]
        purity = float(sizes[0] / cells.cluster_sizes[cells.cluster[best]])
        total = int(sizes.sum())
        found.append(PersonScore(str(names[cells.person[best]]), total, len(mine), float(sizes[0] / total), purity))
    return tuple(sorted(found, key=lambda one: (one.f, -one.faces, one.person)))


def _merged(names: NDArray[np.str_], cells: _Cells, limit: int, examples: int) -> tuple[Merged, ...]:
    found: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for parts in cells.by_cluster():
        for large, small in combinations(parts[:PEOPLE_A_CLUSTER].tolist(), 2):
            one, other = sorted((large, small), key=lambda cell: int(cells.person[cell]))
            pair = (int(cells.person[one]), int(cells.person[other]))
            found[pair].append((int(cells.sizes[small]), one, other))
    worst = sorted(found.items(), key=lambda item: (-sum(size for size, _, _ in item[1]), item[0]))[:limit]
    merged = []
    for (one_person, other_person), places in worst:
        _, one, other = max(places, key=lambda place: place[0])
        merged.append(
            Merged(
                one=str(names[one_person]),
                other=str(names[other_person]),
                faces=sum(size for size, _, _ in places),
                clusters=len(places),
                one_examples=_spread(cells.faces[one], examples),
                other_examples=_spread(cells.faces[other], examples),
            )
        )
    return tuple(merged)


def _split(names: NDArray[np.str_], cells: _Cells, limit: int, examples: int) -> tuple[Split, ...]:
    torn = [
        Split(
            person=str(names[cells.person[mine[0]]]),
            parts=tuple(cells.sizes[mine].tolist()),
            examples=tuple(_spread(cells.faces[cell], examples) for cell in mine[:examples].tolist()),
        )
        for mine in cells.by_person()
        if len(mine) > 1
    ]
    return tuple(sorted(torn, key=lambda one: (-one.faces, one.person))[:limit])


def _spread(faces: NDArray[np.int64], count: int) -> tuple[int, ...]:
    """Return up to ``count`` of the faces, evenly spaced from the first to the last."""
    places = np.unique(np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(np.intp))
    return tuple(int(face) for face in faces[places])
