"""
Average linkage of more faces than can all be compared with each other.

Most faces of a large library belong to few people, who are found from a sample. Every face near the mean of such a
person is compared only with that person's faces. The remaining faces, of strangers and of people with few faces, are
compared by sketches. Finally, average linkage continues with these and the means of the people's clusters. Hence no
cluster of several faces stays within the cut of another. Only the order in which the first clusters form is not exact.
"""

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.agglomeration import Labels, merge_within, split_by
from immich_facesets.clustering.blocked_products import Directions, row_blocks
from immich_facesets.clustering.components import join_likely, join_near
from immich_facesets.clustering.disjoint_sets import DisjointSets

Sizes = NDArray[np.float64]
Singles = NDArray[np.float32]

SAMPLE = 65_536
"""The number of faces of the sample: of a million, one in fifteen."""

WELL_KNOWN = 3
"""The least number of faces in the sample whose mean represents a person."""

UNASSIGNED = -1


def sampled_linkage(faces: Directions, sizes: Sizes, cut: float, floor: float, sample_rows: int = SAMPLE) -> Labels:
    """
    Cluster ``faces``, each of which counts ``sizes`` (n,) times; return (n,) labels.

    ``floor``: the likeness at the cut. Beyond the faces, it needs memory for as many vectors as there are strangers.
    """
    person = _assign_to_sample(faces, sizes, cut, floor, sample_rows)
    item, groups = _condense(faces, person, sizes, cut)
    item_sizes: Sizes = np.bincount(item, weights=sizes).astype(np.float64)
    means = _means(faces, item, sizes, groups)
    sets = DisjointSets(len(means))
    join_near(sets, means, floor, slice(groups))
    join_likely(sets, means, floor, slice(groups, None))
    merged = merge_within(sets.labels(), lambda places: means[places].astype(np.float64), item_sizes, cut)
    return merged[item]


def _assign_to_sample(faces: Directions, sizes: Sizes, cut: float, floor: float, sample_rows: int) -> Labels:
    """Return the well-known person of a sample nearest to each face, (n,); UNASSIGNED beyond the cut."""
    person = np.full(len(faces), UNASSIGNED, dtype=np.int64)
    sample = np.unique(np.linspace(0, len(faces) - 1, sample_rows).astype(np.intp))
    sets = DisjointSets(len(sample))
    join_near(sets, faces.singles(sample), floor)
    found = merge_within(sets.labels(), lambda places: faces.doubles(sample[places]), sizes[sample], cut)
    known = [sample[places] for places in split_by(found) if len(places) >= WELL_KNOWN]
    if not known:
        return person
    means = np.empty((len(known), faces.d), dtype=np.float32)
    for number, places in enumerate(known):
        checkpoint()
        person[places] = number
        means[number] = np.average(faces.doubles(places), axis=0, weights=sizes[places])
    others = np.flatnonzero(person == UNASSIGNED)
    for block in row_blocks(len(others), len(known), most_rows=1024):
        some = others[block]
        likeness = faces.singles(some) @ means.T
        person[some] = np.where(likeness.max(axis=1) >= np.float32(floor), likeness.argmax(axis=1), UNASSIGNED)
    return person


def _condense(faces: Directions, person: Labels, sizes: Sizes, cut: float) -> tuple[Labels, int]:
    """
    Cluster the faces of each person separately; return the item of each face, (n,), and the number of groups.

    An item is a group (a cluster of several faces) or a single face; groups are numbered first.
    """
    known = np.flatnonzero(person != UNASSIGNED)
    cluster = np.arange(len(person)) + len(known)
    cluster[known] = merge_within(person[known], lambda places: faces.doubles(known[places]), sizes[known], cut)
    counts = np.bincount(cluster)
    is_single = counts == 1
    groups = int(np.count_nonzero(counts > 1))
    number = np.where(is_single, groups + np.cumsum(is_single), np.cumsum(counts > 1)) - 1
    return number[cluster].astype(np.int64), groups


def _means(faces: Directions, item: Labels, sizes: Sizes, groups: int) -> Singles:
    """Return the mean of each item, (items, d)."""
    order = np.argsort(item, kind="stable")
    start_of = np.searchsorted(item[order], np.arange(groups + 1))
    singles = order[start_of[-1] :]
    means = np.empty((groups + len(singles), faces.d), dtype=np.float32)
    for number in range(groups):
        checkpoint()
        places = order[start_of[number] : start_of[number + 1]]
        means[number] = np.average(faces.doubles(places), axis=0, weights=sizes[places])
    faces.singles(singles, out=means[groups:])
    return means
