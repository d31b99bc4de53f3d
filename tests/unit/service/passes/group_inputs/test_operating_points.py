"""Distances measured by the service: stored, applied according to the settings, and shown."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from mixtures import table_of, unit

from immich_facesets.calibration.thresholds import BOUND, PRIOR_PAIRS, STEP, shifted
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints, operating_points
from immich_facesets.wire import Info, Limits
from service.passes.context import PassContext
from service.passes.group_inputs.operating_points import SpaceFacts, measure_points, points_in_use, remember_points
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.database import Store
from service.store.named_values import read_thresholds, write_thresholds, write_value
from service.web.histogram import chart_of, rate

DEFAULTS = operating_points("w600k_mbf")
DIMENSION = 170
INFO = Info(
    space="s",
    family="w600k_mbf",
    dimension=DIMENSION,
    engine="onnx",
    pack="p",
    licence="",
    models=(),
    provider="cpu",
    limits=Limits(max_pixels=1, max_bytes=1, max_in_flight=1),
    version="1",
)


def conditions(store: Store, folder: Path, **settings: object) -> PassContext:
    given = Settings(data_dir=folder, **settings)  # type: ignore[arg-type]  # what a test varies
    return PassContext(store=store, settings=given, board=ProgressBoard(), stop=asyncio.Event())


def company() -> FaceTable:
    """Pictures of three people each, who are more similar than the model's defaults assume."""
    rng = np.random.default_rng(0)
    who = np.concatenate([rng.choice(120, size=3, replace=False) for _ in range(250)])
    centres = unit(rng.normal(size=(120, DIMENSION)))
    vectors = unit(centres[who] + 0.7 / np.sqrt(DIMENSION) * rng.normal(size=(len(who), DIMENSION)))
    return table_of(vectors, pictures=np.repeat(np.arange(250), 3))


async def measured(
    found: PassContext, table: FaceTable, info: Info = INFO, constraints: Constraints | None = None
) -> OperatingPoints:
    used = await measure_points(found, SpaceFacts.of(info), table, (), constraints or Constraints())
    await remember_points(found.store, used)
    return used.points


async def test_what_is_measured_is_used_remembered_and_stays_at_the_next_sync(store: Store, tmp_path: Path) -> None:
    found = conditions(store, tmp_path)
    points = await measured(found, company())
    assert points.cluster < DEFAULTS.cluster
    known = await store.read(read_thresholds)
    assert known is not None
    assert known.points == points
    assert await measured(found, company()) == points
    assert await store.read(read_thresholds) == known
    assert await points_in_use(found, INFO) == points


async def test_a_sync_leaves_the_cut_in_use_where_it_is_for_less_than_a_step(store: Store, tmp_path: Path) -> None:
    found = conditions(store, tmp_path)
    await measured(found, company())
    known = await store.read(read_thresholds)
    assert known is not None
    told = known.measured
    assert told.estimate is not None
    trust = told.impostor.effective / (told.impostor.effective + PRIOR_PAIRS)
    side = STEP if trust * (told.estimate - DEFAULTS.cluster) > told.shift else -STEP
    assert abs(told.shift) < BOUND, "the bound must not determine the value"
    near = shifted(DEFAULTS, round(told.shift + side, 6))
    await store.write(write_thresholds, replace(known, points=near, measured=replace(told, chosen=near)))
    assert await measured(found, company()) == near


async def test_distances_that_are_set_are_obeyed_as_they_are(store: Store, tmp_path: Path) -> None:
    table = company()
    moved = await measured(conditions(store, tmp_path), table)
    partly = await measured(conditions(store, tmp_path, match_distance=0.52), table)
    assert partly == replace(moved, match=0.52)
    pinned = await measured(conditions(store, tmp_path, cluster_distance=0.66), table)
    assert pinned == replace(DEFAULTS, cluster=0.66)
    known = await store.read(read_thresholds)
    assert known is not None
    assert (known.is_applied, known.fixed) == (False, ("cluster",))


async def test_who_wants_the_models_distances_keeps_them_and_sees_what_was_measured(
    store: Store, tmp_path: Path
) -> None:
    found = conditions(store, tmp_path, thresholds="fixed")
    assert await measured(found, company()) == DEFAULTS
    known = await store.read(read_thresholds)
    assert known is not None
    assert known.measured.shift < 0
    assert await points_in_use(found, INFO) == DEFAULTS
    assert (await points_in_use(conditions(store, tmp_path), INFO)).cluster < DEFAULTS.cluster


async def test_another_space_or_other_defaults_start_anew(store: Store, tmp_path: Path) -> None:
    found = conditions(store, tmp_path)
    await measured(found, company())
    other = msgspec.structs.replace(INFO, space="other")
    assert await points_in_use(found, other) == DEFAULTS
    changed = conditions(store, tmp_path, merge_distance=0.45)
    assert await points_in_use(changed, INFO) == replace(DEFAULTS, merge=0.45)


async def test_a_model_without_reference_is_loosened_only_for_a_rate_that_was_named(
    store: Store, tmp_path: Path
) -> None:
    own = msgspec.structs.replace(INFO, family="mine", distances=OperatingPoints(0.3, 0.35, 0.25, 0.35, 0.3))
    assert (await measured(conditions(store, tmp_path), company(), own)).cluster == 0.35
    assert (await measured(conditions(store, tmp_path, target_fmr=1e-3), company(), own)).cluster > 0.35


async def test_a_picture_that_may_hold_a_person_twice_is_no_evidence(store: Store, tmp_path: Path) -> None:
    table = company()
    found = conditions(store, tmp_path)
    allowed = Constraints(together=frozenset(table.face_ids[table.pictures > 2].tolist()))
    assert await measured(found, table, constraints=allowed) == DEFAULTS


async def test_what_another_version_remembered_is_forgotten(store: Store, tmp_path: Path) -> None:
    await store.write(write_value, "thresholds", {"cut": 1})
    assert await store.read(read_thresholds) is None
    assert (await measured(conditions(store, tmp_path), company())).cluster < DEFAULTS.cluster


async def test_what_is_drawn_begins_and_ends_with_the_pairs(store: Store, tmp_path: Path) -> None:
    await measured(conditions(store, tmp_path), company())
    known = await store.read(read_thresholds)
    assert known is not None
    chart = chart_of(known)
    assert chart is not None
    assert chart.genuine == ""
    assert chart.impostor.startswith("M")
    assert chart.impostor.endswith("V120Z")
    assert chart.cut < chart.default
    assert "Faces of one person: no pairs." in chart.words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "not known"),
        (0.3, "1 in 10 or more"),
        (0.01, "1 in 100"),
        (2.2e-5, "1 in 45,000"),
        (1e-7, "1 in 10,000,000 or fewer"),
    ],
)
def test_rare_shares_are_said_as_one_in_so_many(share: float | None, words: str) -> None:
    assert rate(share) == words
