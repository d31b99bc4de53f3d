"""The distances to decide at: those of the space, moved to where the library's own pairs of faces say."""

import asyncio
from collections.abc import Sequence

import numpy as np
import structlog

from immich_facesets.constraints import Constraints
from immich_facesets.identities import Assertion, FaceTable
from immich_facesets.spaces import OperatingPoints
from immich_facesets.thresholds import REFERENCED, TARGET, PointsInUse, Thresholds, in_use, measure_thresholds
from immich_facesets.wire import Info
from service.passes.conditions import Conditions
from service.settings import Settings
from service.store.thresholds import read_thresholds, write_thresholds

log = structlog.get_logger(__name__)


async def measured_points(
    conditions: Conditions, info: Info, table: FaceTable, assertions: Sequence[Assertion], constraints: Constraints
) -> OperatingPoints:
    """Measure, remember what was found and what is decided at, and return the latter."""
    store, settings = conditions.store, conditions.settings
    before = await store.read(read_thresholds)
    measured = await asyncio.to_thread(_measure, settings, info, before, table, assertions, constraints)
    used = _applied(settings, info, measured)
    if used != before:
        await store.write(write_thresholds, used)
        if before is None or used.points != before.points:
            log.info("thresholds", cluster=used.points.cluster, shift=measured.shift, reason=measured.reason)
    return used.points


async def points_in_use(conditions: Conditions, info: Info) -> OperatingPoints:
    """What was measured last, as far as the settings of today want it."""
    defaults = conditions.settings.points(info.family, info.distances)
    known = await conditions.store.read(read_thresholds)
    if known is None or known.space != info.space or known.measured.defaults != defaults:
        return defaults
    return _applied(conditions.settings, info, known.measured).points


def _applied(settings: Settings, info: Info, measured: Thresholds) -> PointsInUse:
    is_wanted = settings.thresholds == "measured"
    return in_use(info.space, info.family, measured, fixed=settings.fixed_distances, is_wanted=is_wanted)


def _measure(
    settings: Settings,
    info: Info,
    before: PointsInUse | None,
    table: FaceTable,
    assertions: Sequence[Assertion],
    constraints: Constraints,
) -> Thresholds:
    defaults = settings.points(info.family, info.distances)
    is_same = before is not None and before.space == info.space and before.measured.defaults == defaults
    is_referenced = info.family in REFERENCED and info.distances is None
    may_repeat = frozenset(table.pictures[np.isin(table.face_ids, list(constraints.together))].tolist())
    return measure_thresholds(
        table,
        defaults=defaults,
        gate=settings.gate,
        assertions=assertions,
        may_repeat=may_repeat,
        target=settings.target_fmr or TARGET,
        may_loosen=is_referenced or settings.target_fmr is not None,
        cut_in_use=before.measured.chosen.cluster if before is not None and is_same else None,
    )
