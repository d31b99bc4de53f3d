"""The distances that are decided at, and what they were measured on: one fact of the space in use."""

import msgspec
from sqlalchemy import Connection

from immich_facesets.calibration.thresholds import PointsInUse
from service.store.facts import read_fact, write_fact

_THRESHOLDS = "thresholds"


def read_thresholds(tx: Connection) -> PointsInUse | None:
    """What the last grouping decided at; None before the first one, or when another version wrote it."""
    try:
        return msgspec.convert(read_fact(tx, _THRESHOLDS), PointsInUse | None)
    except msgspec.ValidationError:
        return None


def write_thresholds(tx: Connection, used: PointsInUse) -> None:
    """Remember what is decided at."""
    write_fact(tx, _THRESHOLDS, msgspec.to_builtins(used))
