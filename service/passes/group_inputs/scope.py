"""Scope of a grouping: all faces at intervals, otherwise only those added since the last one."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.assets import PersonKey
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import OperatingPoints
from service.store.named_values import Scope

MOST_FRESH = 0.2
"""Above this share of new faces, examining all of them costs hardly more and gives a better result."""


def basis_of(
    space: str,
    points: OperatingPoints,
    rules: GroupingRules,
    decided: int,
    born: Mapping[PersonKey, tuple[str, ...]],
    references: Mapping[int, int] = {},
) -> str:
    """
    Return a digest of all inputs of a grouping except the faces.

    ``decided`` is the id of the last decision, ``born`` are the birth dates of the sources' people. ``references``: the
    identity of each reference picture that counts.
    """
    placed = [sorted(references.items())] if references else []  # none: the digest is that of earlier versions
    inputs = msgspec.json.encode((space, asdict(points), asdict(rules), decided, sorted(born.items()), *placed))
    return hashlib.sha256(inputs).hexdigest()[:16]


def fresh_faces(
    face_ids: NDArray[np.int64], before: Scope | None, basis: str, now: datetime, interval: timedelta
) -> frozenset[int] | None:
    """
    Return the faces added since ``before``.

    None when all are to be examined: changed rules, many new faces, an elapsed interval, or a clock that was set back.
    """
    if before is None or before.basis != basis or not timedelta() <= now - before.whole_at < interval:
        return None
    fresh = face_ids[face_ids > before.upto]
    return None if len(fresh) > MOST_FRESH * len(face_ids) else frozenset(fresh.tolist())
