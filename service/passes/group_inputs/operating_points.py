"""Distances in use: those of the space, adjusted by pairs of faces measured in the library itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import structlog

from immich_facesets.calibration.thresholds import (
    REFERENCED,
    TARGET,
    PointsInUse,
    Thresholds,
    in_use,
    measure_thresholds,
)
from immich_facesets.grouping.face_table import Assertion, FaceTable
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints
from immich_facesets.wire import Info
from service.computation import compute
from service.passes.context import PassContext
from service.settings import Settings
from service.store.database import Store
from service.store.named_values import read_thresholds, write_thresholds

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SpaceFacts:
    """
    Facts about a space that a grouping needs.

    ``distances``: those supplied with a custom model. ``blank``: the directions of crops that show nobody.
    """

    space: str
    family: str
    dimension: int
    distances: OperatingPoints | None
    blank: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(cls, info: Info) -> Self:
        return cls(info.space, info.family, info.dimension, info.distances, info.blank)


async def measure_points(
    context: PassContext,
    space: SpaceFacts,
    table: FaceTable,
    assertions: Sequence[Assertion],
    constraints: Constraints,
) -> PointsInUse:
    """Measure anew and return the distances to use; nothing is stored."""
    before = await context.store.read(read_thresholds)
    measured = await compute(_measure, context.settings, space, before, table, assertions, constraints)
    return _applied(context.settings, space, measured)


async def remember_points(store: Store, used: PointsInUse) -> None:
    """Store the measured thresholds and the distances in use."""
    before = await store.read(read_thresholds)
    if used != before:
        await store.write(write_thresholds, used)
        if before is None or used.points != before.points:
            measured = used.measured
            log.info("thresholds", cluster=used.points.cluster, shift=measured.shift, reason=measured.reason)


async def points_in_use(context: PassContext, info: Info | SpaceFacts) -> OperatingPoints:
    """Return the distances in use: the last measured ones, as far as the current settings apply them."""
    defaults = context.settings.points(info.family, info.distances)
    known = await context.store.read(read_thresholds)
    if known is None or known.space != info.space or known.measured.defaults != defaults:
        return defaults
    return _applied(context.settings, info, known.measured).points


def points_today(settings: Settings, known: PointsInUse) -> OperatingPoints:
    """Return the distances in use without an embedder to describe its model."""
    is_wanted = settings.thresholds == "measured"
    points = in_use(
        known.space, known.family, known.measured, fixed=settings.fixed_distances, is_wanted=is_wanted
    ).points
    return replace(points, **{name: getattr(settings, f"{name}_distance") for name in settings.fixed_distances})


def _applied(settings: Settings, info: Info | SpaceFacts, measured: Thresholds) -> PointsInUse:
    is_wanted = settings.thresholds == "measured"
    fixed = settings.fixed_distances
    used = in_use(info.space, info.family, measured, fixed=fixed, is_wanted=is_wanted, stated=info.distances)
    return replace(used, blank=info.blank)


def _measure(
    settings: Settings,
    info: SpaceFacts,
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
