"""How much a grouping looks at: all faces now and then, else only what came since the last one."""

import hashlib
from dataclasses import asdict
from datetime import date, datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import OperatingPoints
from service.store.facts import Scope

MOST_FRESH = 0.2
"""With a larger share of fresh faces a look at all of them costs hardly more, and is the better one."""


def basis_of(space: str, points: OperatingPoints, rules: GroupingRules, decided: int) -> str:
    """A digest of all that a grouping goes by beside the faces; ``decided`` is the id of the last decision."""
    said = msgspec.json.encode((space, asdict(points), asdict(rules), decided))
    return hashlib.sha256(said).hexdigest()[:16]


def fresh_faces(
    face_ids: NDArray[np.int64], before: Scope | None, basis: str, now: datetime, interval: timedelta
) -> frozenset[int] | None:
    """The faces that came since ``before``; None when all are to be looked at: other rules, many faces, or it is time."""
    if before is None or before.basis != basis or now - before.whole_at >= interval:
        return None
    fresh = face_ids[face_ids > before.upto]
    return None if len(fresh) > MOST_FRESH * len(face_ids) else frozenset(fresh.tolist())


def days_of(day: str | None) -> float | None:
    """An ISO date as days since 1970; None without one, and for one that is no date."""
    try:
        return None if day is None else float((date.fromisoformat(day) - date(1970, 1, 1)).days)
    except ValueError:
        return None
