"""Centroids of identities as decisions make them, and the faces that are near to them."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from immich_facesets.moderation.facts import Facts
from service.store.chunks import chunks
from service.store.tables import vectors

Members = Mapping[int, Sequence[int]]
"""Ids of faces by identity."""


def _vectors(tx: Connection, face_ids: Iterable[int]) -> dict[int, NDArray[np.float32]]:
    found: dict[int, NDArray[np.float32]] = {}
    for some in chunks(sorted(set(face_ids))):
        for row in tx.execute(select(vectors).where(vectors.c.face_id.in_(some))):
            found[row.face_id] = np.frombuffer(row.vector, dtype="<f4")
    return found


def _centroids(tx: Connection, groups: Members) -> dict[int, NDArray[np.float32]]:
    """Return the normalised mean vector of each identity's faces."""
    found: dict[int, NDArray[np.float32]] = {}
    for number, group in groups.items():
        total = np.sum(list(_vectors(tx, group).values()), axis=0)
        found[number] = (total / max(float(np.linalg.norm(total)), 1e-9)).astype(np.float32)
    return found


def nearest_identities(tx: Connection, since: Sequence[int], groups: Members) -> dict[int, int]:
    """Return for each face the identity whose centroid is nearest; the lower number of two."""
    if not since or not groups:
        return {}
    centroids = _centroids(tx, groups)
    return {
        face_id: min(centroids, key=lambda number: (-float(vector @ centroids[number]), number))
        for face_id, vector in _vectors(tx, since).items()
    }


def distances_to_centroids(tx: Connection, owners: Mapping[int, int | None], after: Facts) -> dict[int, float]:
    """Return the cosine distance of each face from the centroid of the identity that it joins."""
    joined = {face_id: number for face_id, number in owners.items() if number is not None}
    groups: dict[int, list[int]] = {number: [] for number in joined.values()}
    for face_id, face in after.faces.items():
        if face.identity in groups:
            groups[face.identity].append(face_id)
    centroids = _centroids(tx, groups)
    return {
        face_id: max(0.0, 1.0 - float(vector @ centroids[joined[face_id]]))
        for face_id, vector in _vectors(tx, joined).items()
    }
