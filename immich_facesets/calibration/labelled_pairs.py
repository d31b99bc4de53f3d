"""
Labelled pairs of faces that a library provides without extra work.

Two faces in one picture are two people, and so are all faces of the two: impostor pairs. The faces that a source
assigns to one person, after the two-pass rule, are genuine pairs. Neither is a random sample: a couple in 500 pictures
is one pair of people, and a mirror shows one person twice. Therefore faces are first put into tight clusters, and each
pair of clusters that was ever seen together counts once.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import pair_products
from immich_facesets.clustering.linkage import average_linkage, by_first_appearance, split_by
from immich_facesets.grouping.centroids import Centroids, without_outliers
from immich_facesets.grouping.face_table import Assertion, FaceTable, Rows
from immich_facesets.spaces import OperatingPoints

MOST_FACES = 6000
"""About the most faces to examine, in whole pictures: clustering them takes a second or two."""

MOST_PAIRS = 20_000
"""The most pairs of clusters to compare: more would not improve the estimate."""

SAMPLED_FACES = 4
"""The most faces of each cluster to compare for a pair of clusters."""

SAMPLED_OF_PERSON = 24
"""The most faces of a named person to compare with each other."""

PERSON_SHARE = 0.02
"""
The share of the variance of impostor distances due to a single person: some people resemble many others.

It is 0.017 as measured on LFW with w600k_mbf. It makes the pairs of one person dependent, by the usual design effect
1 + rho (pairs - 1).
"""

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio: Knuth's multiplicative hash


@dataclass(frozen=True, slots=True)
class Pairs:
    """
    Distances with weights: all pairs of faces of one group (a pair of clusters, or a person) together weigh 1.

    ``groups``: number of groups. ``people``: number of people involved. ``effective``: number of independent pairs with
    the same information. ``set_aside``: number of pairs of faces that are no evidence. These are impostors in one
    cluster (one person twice in a picture, or two indistinguishable people), and genuine pairs of one moment.
    """

    distances: NDArray[np.float64] = field(repr=False)
    weights: NDArray[np.float64] = field(repr=False)
    groups: int
    people: int
    effective: float
    set_aside: int


NO_PAIRS = Pairs(np.zeros(0), np.zeros(0), groups=0, people=0, effective=0.0, set_aside=0)


def impostor_pairs(faces: FaceTable, is_good: NDArray[np.bool_], may_repeat: Container[int], cut: float) -> Pairs:
    """
    Return the pairs of people seen together in a picture.

    ``faces``: in the order of content. ``is_good``: (n,) the faces that count. ``may_repeat``: pictures that may hold a
    person twice. ``cut``: the cut of the clustering, tight enough that no cluster holds two people.
    """
    rows = _in_shared_pictures(faces, is_good, may_repeat)
    if len(rows) == 0:
        return NO_PAIRS
    vectors = faces.vectors[rows]
    label = average_linkage(vectors, cut)
    one, two, set_aside = _seen_together(label, faces.pictures[rows])
    if len(one) == 0:
        return Pairs(np.zeros(0), np.zeros(0), groups=0, people=0, effective=0.0, set_aside=set_aside)
    members = [cluster[:SAMPLED_FACES] for cluster in split_by(label)]
    one, two = _chosen(vectors, members, one, two)
    left, right, weights = _crossed(members, one, two)
    degree = np.bincount(np.concatenate([one, two]))
    people = int((degree > 0).sum())
    effective = len(one) ** 2 / (len(one) + PERSON_SHARE * float((degree * (degree - 1.0)).sum()))
    return Pairs(
        distances=1.0 - pair_products(vectors.astype(np.float64), left, right),
        weights=weights,
        groups=len(one),
        people=people,
        effective=min(effective, float(people)),
        set_aside=set_aside,
    )


def genuine_pairs(
    faces: FaceTable, is_good: NDArray[np.bool_], assertions: Sequence[Assertion], points: OperatingPoints
) -> Pairs:
    """
    Return the pairs of faces of each named person, without pairs of one moment.

    The two-pass rule removes wrong assignments, and the farthest faces with them. Hence the number of misses among
    these pairs is a lower bound.
    """
    row_of = {face: row for row, face in enumerate(faces.face_ids.tolist())}
    centroids = Centroids(faces.vectors, is_good, points.near)
    distances, weights, people, near = [np.zeros(0)], [np.zeros(0)], 0, 0
    for assertion in sorted(assertions, key=lambda one: one.person):
        asserted = sorted(row_of[face] for face in assertion.face_ids if face in row_of)
        rows = np.array([row for row in asserted if is_good[row]], dtype=np.intp)
        kept = without_outliers(rows, centroids, points.drop, points.outlier)[:SAMPLED_OF_PERSON]
        one, two = np.triu_indices(len(kept), k=1)
        apart = 1.0 - pair_products(faces.vectors[kept].astype(np.float64), one, two)
        is_far = (apart > points.near) & (faces.pictures[kept[one]] != faces.pictures[kept[two]])
        near += int((~is_far).sum())
        if is_far.any():
            people += 1
            distances.append(apart[is_far])
            weights.append(np.full(int(is_far.sum()), 1.0 / is_far.sum()))
    return Pairs(np.concatenate(distances), np.concatenate(weights), people, people, float(people), near)


def _in_shared_pictures(faces: FaceTable, is_good: NDArray[np.bool_], may_repeat: Container[int]) -> Rows:
    """Return the good faces, ascending, of pictures that hold two or more; whole pictures, until there are enough."""
    rows = np.flatnonzero(is_good)
    if len(rows) == 0:
        return rows
    picture = by_first_appearance(faces.pictures[rows])
    size = np.bincount(picture)
    repeats = [code in may_repeat for code in faces.pictures[rows].tolist()]
    size[picture[repeats]] = 0
    size[size < 2] = 0
    is_taken = (size > 0) & (np.cumsum(size) - size < MOST_FACES)
    taken: Rows = rows[is_taken[picture]]
    return taken


def _seen_together(
    label: NDArray[np.int64], pictures: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return each pair of clusters seen in one picture, once, and how often a cluster is twice in a picture."""
    lows, highs = [label[:0]], [label[:0]]
    for rows in split_by(by_first_appearance(pictures)):
        first, second = np.triu_indices(len(rows), k=1)
        here = label[rows]
        lows.append(np.minimum(here[first], here[second]))
        highs.append(np.maximum(here[first], here[second]))
    low, high = np.concatenate(lows), np.concatenate(highs)
    is_two = low != high
    found = np.unique(low[is_two] * (label.max() + 1) + high[is_two])
    one, two = np.divmod(found, label.max() + 1)
    return one, two, int((~is_two).sum())


def _chosen(
    vectors: NDArray[np.float32], members: Sequence[Rows], one: NDArray[np.int64], two: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Select at most ``MOST_PAIRS`` pairs by a hash of their content, so that new faces change few of them."""
    if len(one) <= MOST_PAIRS:
        return one, two
    heads = np.ascontiguousarray(vectors[[rows[0] for rows in members]][:, :2]).view(np.uint64).ravel()
    order = np.argsort((heads[one] ^ heads[two]) * _MIX, kind="stable")[:MOST_PAIRS]
    return one[order], two[order]


def _crossed(
    members: Sequence[Rows], one: NDArray[np.int64], two: NDArray[np.int64]
) -> tuple[Rows, Rows, NDArray[np.float64]]:
    """Return the cross product of the sampled faces of each pair of clusters, and the weight of each face pair."""
    lefts, rights, weights = [], [], []
    for low, high in zip(one.tolist(), two.tolist(), strict=True):
        left, right = members[low], members[high]
        count = len(left) * len(right)
        lefts.append(np.repeat(left, len(right)))
        rights.append(np.tile(right, len(left)))
        weights.append(np.full(count, 1.0 / count))
    return np.concatenate(lefts), np.concatenate(rights), np.concatenate(weights)
