"""Thresholds measured on a library's own pairs: sensitivity, robustness and bounds."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import people, table_of, told, unit

from immich_facesets.calibration.labelled_pairs import SAMPLED_OF_PERSON
from immich_facesets.calibration.thresholds import (
    BOUND,
    PRIOR_PAIRS,
    STEP,
    Thresholds,
    fit_impostors,
    in_use,
    measure_thresholds,
    shifted,
)
from immich_facesets.faces import Gate
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.spaces import OperatingPoints, operating_points

DEFAULTS = operating_points("w600k_mbf")
GATE = Gate()
D = 256
"""Two people are then 1 apart with a deviation of 0.0625: the target lies at 0.69."""


def gathering(count: int = 120, pictures: int = 260, *, seed: int = 0, d: int = D) -> tuple[FaceTable, np.ndarray]:
    """Pictures of three different people each, and the person of each face."""
    rng = np.random.default_rng(seed)
    who = np.concatenate([rng.choice(count, size=3, replace=False) for _ in range(pictures)])
    centres = unit(rng.normal(size=(count, d)))
    vectors = unit(centres[who] + 0.7 / np.sqrt(d) * rng.normal(size=(len(who), d)))
    return table_of(vectors, pictures=np.repeat(np.arange(pictures), 3)), who


def measure(table: FaceTable, defaults: OperatingPoints = DEFAULTS, **more: object) -> Thresholds:
    return measure_thresholds(table, defaults=defaults, gate=GATE, **more)  # type: ignore[arg-type]  # what a test varies


def chosen_rows(table: FaceTable, rows: np.ndarray) -> FaceTable:
    return replace(table, **{column.name: getattr(table, column.name)[rows] for column in fields(table)})


def joined(one: FaceTable, two: FaceTable) -> FaceTable:
    """Both tables in one; ``two`` keeps its pictures, and its ids come after those of ``one``."""
    columns = {
        column.name: np.concatenate([getattr(one, column.name), getattr(two, column.name)]) for column in fields(one)
    }
    return replace(one, **(columns | {"face_ids": np.arange(1, len(one) + len(two) + 1)}))


def test_a_library_whose_strangers_are_far_apart_gets_looser_distances() -> None:
    measured = measure(gathering()[0], DEFAULTS)
    assert measured.estimate is not None
    assert measured.estimate == pytest.approx(0.69, abs=0.02)
    assert DEFAULTS.cluster + STEP <= measured.chosen.cluster <= DEFAULTS.cluster + BOUND
    assert measured.reason.startswith("Moved by +0.0")


def test_a_library_whose_strangers_resemble_each_other_gets_tighter_ones() -> None:
    measured = measure(gathering(d=128)[0])
    assert measured.chosen.cluster < DEFAULTS.cluster
    assert measured.impostor.chosen is not None
    assert measured.impostor.default is not None
    assert measured.impostor.chosen < measured.impostor.default


def test_all_distances_move_together_but_that_of_one_moment() -> None:
    measured = measure(gathering(d=128)[0])
    moved = {
        item.name: round(getattr(measured.chosen, item.name) - getattr(DEFAULTS, item.name), 6)
        for item in fields(DEFAULTS)
    }
    assert moved.pop("near") == 0
    assert set(moved.values()) == {measured.shift}
    assert measured.shift != 0


def test_measured_distances_are_used_unless_a_person_fixed_the_cut_or_wants_none() -> None:
    measured = measure(gathering(d=128)[0])
    used = in_use("s", "f", measured, fixed=frozenset({"match"}), is_wanted=True)
    assert used.is_applied
    assert used.points == replace(measured.chosen, match=DEFAULTS.match)
    for fixed, is_wanted in ((frozenset({"cluster"}), True), (frozenset[str](), False)):
        kept = in_use("s", "f", measured, fixed=fixed, is_wanted=is_wanted)
        assert (kept.is_applied, kept.points) == (False, DEFAULTS)


def test_what_a_person_fixed_does_not_move() -> None:
    moved = shifted(DEFAULTS, 0.02, fixed={"match", "drop"})
    assert (moved.match, moved.drop) == (DEFAULTS.match, DEFAULTS.drop)
    assert (moved.cluster, moved.merge, moved.outlier) == (0.67, 0.52, 0.62)


@settings(max_examples=8)
@given(seed=st.integers(0, 2**20))
def test_neither_the_order_of_faces_nor_their_ids_decide(seed: int) -> None:
    table, _ = gathering(40, 60)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(table))
    ids = rng.permutation(10 * len(table))[: len(table)] + 1
    codes = rng.permutation(1000)
    other = replace(chosen_rows(table, rows), face_ids=ids, pictures=codes[table.pictures[rows]])
    assert measure(other) == measure(table)


@settings(max_examples=8)
@given(d=st.integers(8, 600), seed=st.integers(0, 2**20), in_use=st.none() | st.floats(0.3, 1.2))
def test_no_library_moves_them_beyond_the_bounds_or_out_of_order(d: int, seed: int, in_use: float | None) -> None:
    measured = measure(gathering(60, 80, seed=seed, d=d)[0], cut_in_use=in_use)
    assert abs(measured.shift) <= BOUND
    points = measured.chosen
    assert points.near < points.merge < points.match < points.outlier < points.cluster == points.drop


@settings(max_examples=8)
@given(d=st.integers(60, 400), in_use=st.sampled_from([None, 0.6, 0.63, 0.65, 0.68, 0.7]))
def test_asking_again_with_the_answer_in_use_answers_the_same(d: int, in_use: float | None) -> None:
    table, _ = gathering(60, 80, d=d)
    once = measure(table, cut_in_use=in_use)
    assert measure(table, cut_in_use=once.chosen.cluster).chosen == once.chosen


@settings(max_examples=5)
@given(seed=st.integers(0, 2**20))
def test_a_few_more_faces_hardly_move_the_estimate_and_never_the_cut(seed: int) -> None:
    table, _ = gathering(120, 300, seed=seed)
    fewer = chosen_rows(table, np.arange(len(table) - 9))
    before = measure(fewer)
    after = measure(table, cut_in_use=before.chosen.cluster)
    assert before.estimate is not None
    assert after.estimate is not None
    assert abs(after.estimate - before.estimate) < STEP
    assert after.chosen == before.chosen


@pytest.mark.parametrize("pictures", [0, 1, 5])
def test_few_pictures_of_several_people_keep_the_defaults(pictures: int) -> None:
    table, _ = gathering(20, pictures) if pictures else (table_of(np.zeros((0, D))), None)
    measured = measure(table)
    assert measured.chosen == DEFAULTS
    assert measured.estimate is None
    assert "too few" in measured.reason


def test_faces_alone_in_their_pictures_say_nothing() -> None:
    vectors, _ = people(np.random.default_rng(0), [1] * 300, 0.7, D)
    assert measure(table_of(vectors)).impostor.pairs == 0


def test_poor_faces_say_nothing() -> None:
    table, _ = gathering()
    assert measure(replace(table, blur=np.zeros_like(table.blur))).impostor.pairs == 0


@settings(max_examples=5)
@given(seed=st.integers(0, 2**20), share=st.floats(0, 0.3))
def test_mirrors_and_photos_of_photos_do_not_move_them(seed: int, share: float) -> None:
    table, _ = gathering()
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(len(table)) < share)
    again = unit(table.vectors[rows] + 0.4 / np.sqrt(D) * rng.normal(size=(len(rows), D)))
    mirrored = joined(table, table_of(again, pictures=table.pictures[rows]))
    before, after = measure(table), measure(mirrored)
    assert before.estimate is not None
    assert after.estimate == pytest.approx(before.estimate, abs=0.01)
    assert abs(after.shift - before.shift) <= STEP + 1e-9
    assert after.impostor.set_aside >= before.impostor.set_aside + len(rows) * 0.9


def test_pictures_that_may_hold_a_person_twice_are_left_out() -> None:
    table, _ = gathering(40, 60)
    some = frozenset(range(30))
    assert measure(table, may_repeat=some) == measure(chosen_rows(table, np.flatnonzero(table.pictures >= 30)))


def test_a_couple_in_five_hundred_pictures_is_one_pair_of_people() -> None:
    table, _ = gathering()
    rng = np.random.default_rng(1)
    far = unit(rng.normal(size=(2, D)))
    alike = unit(np.stack([far[0], 0.35 * far[0] + far[1]]))
    couple = unit(np.tile(alike, (500, 1)) + 0.3 / np.sqrt(D) * rng.normal(size=(1000, D)))
    before = measure(table)
    after = measure(joined(table, table_of(couple, pictures=np.repeat(np.arange(1000, 1500), 2))))
    assert after.impostor.pairs == before.impostor.pairs + 1
    assert before.estimate is not None
    assert after.estimate == pytest.approx(before.estimate, abs=0.01)


def test_people_seen_often_weigh_no_more_than_people_seen_once() -> None:
    rng = np.random.default_rng(3)
    strangers = table_of(unit(rng.normal(size=(180, D))), pictures=np.repeat(np.arange(60), 3))
    far = unit(rng.normal(size=(2, D)))
    alike = unit(np.stack([far[0], 0.25 * far[0] + far[1]]))
    couple = unit(np.tile(alike, (30, 1)) + 0.2 / np.sqrt(D) * rng.normal(size=(60, D)))
    before = measure(strangers)
    after = measure(joined(strangers, table_of(couple, pictures=np.repeat(np.arange(100, 130), 2))))
    assert before.estimate is not None
    assert after.estimate == pytest.approx(before.estimate, abs=0.03)


def test_the_cut_in_use_stays_until_the_estimate_is_a_whole_step_away() -> None:
    table, _ = gathering(d=170)
    measured = measure(table)
    assert measured.estimate is not None
    trust = measured.impostor.effective / (measured.impostor.effective + PRIOR_PAIRS)
    wanted = trust * (measured.estimate - DEFAULTS.cluster)
    assert abs(wanted) < BOUND - STEP
    side = STEP if wanted > measured.shift else -STEP
    near, far = measured.chosen.cluster + side, measured.chosen.cluster + 2 * side
    assert measure(table, cut_in_use=near).chosen.cluster == pytest.approx(near)
    assert measure(table, cut_in_use=far).chosen == measured.chosen


def test_pairs_nearer_than_any_two_people_are_left_out_of_the_fit() -> None:
    apart = np.random.default_rng(0).normal(0.98, 0.067, 2000)
    wrong = np.concatenate([apart, np.full(10, 0.2)])
    fit = fit_impostors(wrong, np.ones(len(wrong)))
    assert fit is not None
    assert fit.set_aside == 10
    assert fit.mean == pytest.approx(0.98, abs=0.005)
    assert fit.deviation == pytest.approx(0.067, abs=0.003)
    assert fit.rate_at(fit.distance_at(3e-5)) == pytest.approx(3e-5)


def test_equal_distances_have_no_spread_to_go_by() -> None:
    assert fit_impostors(np.ones(50), np.ones(50)) is None


def test_distances_of_a_model_without_known_defaults_are_only_tightened() -> None:
    far, near = gathering()[0], gathering(d=128)[0]
    kept = measure(far, may_loosen=False)
    assert kept.chosen == DEFAULTS
    assert "FACESETS_TARGET_FMR" in kept.reason
    assert measure(near, may_loosen=False).shift < 0
    assert measure(far, may_loosen=False, cut_in_use=DEFAULTS.cluster + BOUND).chosen == DEFAULTS


def test_a_cut_in_use_that_no_longer_may_be_is_forgotten() -> None:
    table, _ = gathering(d=240)
    assert measure(table, cut_in_use=0.9).chosen == measure(table).chosen


def test_a_stricter_target_leads_to_tighter_distances() -> None:
    table, _ = gathering(400, 600, d=200)
    cuts = [measure(table, target=target).chosen.cluster for target in (1e-3, 1e-4, 1e-5, 1e-6)]
    assert cuts == sorted(cuts, reverse=True)
    assert cuts[0] > cuts[-1]


def test_named_people_tell_how_many_of_their_own_faces_a_cut_misses() -> None:
    rng = np.random.default_rng(0)
    vectors, who = people(rng, [30] * 8, 1.0, D)
    table = table_of(vectors)
    said = {f"p{person}": (np.flatnonzero(who == person) + 1).tolist() for person in range(8)}
    measured = measure(table, assertions=told(said))
    assert measured.genuine.people == 8
    assert measured.genuine.default is not None
    assert 0 <= measured.genuine.default < 0.1
    assert sum(measured.genuine.shares) == pytest.approx(1, abs=1e-3)
    assert measured.genuine.shares.index(max(measured.genuine.shares)) in range(23, 28)  # about 0.5


def test_what_is_wrongly_assigned_and_what_is_of_one_moment_is_no_genuine_pair() -> None:
    rng = np.random.default_rng(0)
    vectors, _ = people(rng, [14, 3], 0.7, D)
    burst = unit(vectors[:1] + 0.01 / np.sqrt(D) * rng.normal(size=(6, D)))
    table = table_of(np.concatenate([vectors, burst]))
    assert len(table) <= SAMPLED_OF_PERSON, "all faces are compared, the wrong ones and the burst among them"
    measured = measure(table, assertions=told({"p": range(1, len(table) + 1)}))
    assert sum(measured.genuine.shares[int(0.8 / 0.02) :]) == 0
    assert measured.genuine.set_aside == 7 * 6 // 2, "the pairs of the first face and its burst, and no others"


@settings(max_examples=8)
@given(seed=st.integers(0, 2**20))
def test_neither_the_order_of_a_named_persons_faces_nor_their_ids_decide_which_are_compared(seed: int) -> None:
    count = SAMPLED_OF_PERSON + 6
    vectors, who = people(np.random.default_rng(0), [count] * 3, 1.0, D)
    table = table_of(vectors)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(table))
    other = replace(chosen_rows(table, rows), face_ids=rng.permutation(10 * len(table))[: len(table)] + 1)
    said, said_again = (
        told({f"p{person}": faces.face_ids[persons == person].tolist() for person in range(3)})
        for faces, persons in ((table, who), (other, who[rows]))
    )
    assert measure(table, assertions=said).genuine.people == 3
    assert measure(other, assertions=said_again) == measure(table, assertions=said)


def test_shares_of_impostors_add_up() -> None:
    measured = measure(gathering()[0])
    assert len(measured.impostor.shares) == 70
    assert sum(measured.impostor.shares) == pytest.approx(1, abs=1e-3)
    assert measured.impostor.shares.index(max(measured.impostor.shares)) in range(47, 53)  # about 1.0
