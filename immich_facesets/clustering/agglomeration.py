"""Average linkage within components: by a distance matrix for small components, in rounds for large ones."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.reciprocal_neighbours import EMPTY, Rounds

Labels = NDArray[np.int64]
Places = NDArray[np.intp]
Doubles = NDArray[np.float64]

MATRIX_ROWS = 3072
"""The most clusters for a plain distance matrix (75 MB), the fastest way; larger components merge in rounds."""


def merge_within(component: Labels, means: Callable[[Places], Doubles], sizes: Doubles, cut: float) -> Labels:
    """
    Merge the clusters of each component up to the distance ``cut``; return (n,) labels 0, 1, ... without gaps.

    ``means`` returns the means of the clusters at given places; ``sizes``: (n,).
    """
    labels = np.empty(len(component), dtype=np.int64)
    count = 0
    for places in split_by(component):
        if len(places) == 1:
            labels[places], count = count, count + 1
            continue
        parts = _merge_component(means(places), sizes[places], cut)
        labels[places] = count + parts
        count += int(parts.max()) + 1
    return labels


def split_by(labels: Labels) -> list[Places]:
    """Return the rows of each label, ascending, in the order of the labels; an empty list without rows."""
    if len(labels) == 0:
        return []
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _merge_component(units: Doubles, sizes: Doubles, cut: float) -> Labels:
    """Label one component's rows 0, 1, ... by cluster: in rounds while it is large, then by matrix."""
    if len(units) <= MATRIX_ROWS:
        labels = _merge_matrix(units, sizes, cut)
    else:
        rounds = Rounds(units, sizes, cut)
        rounds.run(enough=MATRIX_ROWS)
        labels = rounds.label_of
        is_open = labels == EMPTY
        labels[is_open] = rounds.finished + _merge_matrix(rounds.means, rounds.sizes, cut)[rounds.place_of[is_open]]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _merge_matrix(means: Doubles, sizes: Doubles, cut: float) -> Labels:
    """
    Merge clusters, given by mean (n, d) and size, by nearest-neighbour chains in a full distance matrix.

    Distances are updated as by Lance and Williams (1967); the chain is that of Murtagh (1983). Each row's label is one
    of the rows of its cluster.
    """
    distances = means @ means.T
    np.subtract(1.0, distances, out=distances)
    np.fill_diagonal(distances, np.inf)
    labels = np.arange(len(means))
    sizes = sizes.copy()
    for seed in range(len(means)):
        checkpoint()
        chain = [seed]
        while chain:
            tip = chain[-1]
            nearest = int(distances[tip].argmin())
            gap = distances[tip, nearest]
            if len(chain) > 1 and distances[tip, chain[-2]] <= gap:  # ties go to the predecessor: no cycles
                nearest = chain[-2]
            elif not gap < cut:  # finished or already merged: nothing gets nearer
                break
            else:
                chain.append(nearest)
                continue
            del chain[-2:]
            total = sizes[tip] + sizes[nearest]
            merged = (sizes[tip] * distances[tip] + sizes[nearest] * distances[nearest]) / total
            distances[tip], distances[:, tip] = merged, merged
            distances[tip, tip] = np.inf
            distances[nearest], distances[:, nearest] = np.inf, np.inf
            sizes[tip] = total
            labels[labels == nearest] = tip
            if not chain:
                chain = [tip]
    return labels
