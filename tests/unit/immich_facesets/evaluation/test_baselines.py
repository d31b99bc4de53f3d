"""Baseline methods of other projects, on faces where the right answer is known."""

import numpy as np
import pytest
from mixtures import people, unit

from immich_facesets.clustering import blocked_products, neighbour_graph
from immich_facesets.clustering.linkage import average_linkage
from immich_facesets.clustering.neighbour_graph import NearPairs
from immich_facesets.evaluation import baselines
from immich_facesets.evaluation.baselines import (
    BASELINES,
    Baseline,
    Material,
    immich_labels,
    run_baseline,
    with_singletons,
)
from immich_facesets.evaluation.metrics import bcubed
from immich_facesets.spaces import OperatingPoints

POINTS = OperatingPoints()


def material(sizes: list[int], spread: float = 0.6, seed: int = 0) -> tuple[Material, np.ndarray]:
    vectors, who = people(np.random.default_rng(seed), sizes, spread, d=128)
    return Material(vectors, POINTS, lambda labels: bcubed(who, labels).f), who


def on_a_line(*degrees: float) -> NearPairs:
    """Faces in a plane; 60 degrees are a distance of 0.5."""
    angles = np.radians(degrees)
    vectors = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    return NearPairs.within(vectors, 0.5)


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda one: one.name)
def test_every_method_finds_people_who_are_easily_told_apart(baseline: Baseline) -> None:
    if baseline.package is not None:
        pytest.importorskip(baseline.package, reason=f"{baseline.package} is not installed: see the extra baselines")
    given, who = material([12, 8, 6, 5])
    outcome = run_baseline(baseline, given)
    assert outcome.labels is not None
    assert bcubed(who, outcome.labels).f == 1, outcome.setting


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda one: one.name)
@pytest.mark.parametrize("sizes", [[], [1], [1, 1]], ids=["no faces", "one face", "two strangers"])
def test_every_method_stands_very_few_faces(baseline: Baseline, sizes: list[int]) -> None:
    if baseline.package is not None:
        pytest.importorskip(baseline.package, reason=f"{baseline.package} is not installed: see the extra baselines")
    given, who = material(sizes)
    outcome = run_baseline(baseline, given)
    assert outcome.labels is not None
    assert outcome.labels.shape == who.shape
    assert len(set(outcome.labels.tolist())) == len(who)


def test_the_best_threshold_is_the_one_the_labels_like_best() -> None:
    given, who = material([30, 30, 20], spread=1.1)  # two faces of one person are 0.55 apart
    outcome = baselines.linkage_at_best(given)
    assert outcome.labels is not None
    tried = [bcubed(who, average_linkage(given.vectors, cut)).f for cut in given.cuts(baselines.CUTS)]
    assert bcubed(who, outcome.labels).f == max(tried) > min(tried)


def test_scikit_learn_and_our_linkage_agree_at_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: see the extra baselines")
    given, _ = material([20, 20, 10, *[1] * 30], spread=1.0)
    theirs = baselines.linkage_at_default(given)
    monkeypatch.setattr(baselines, "MATRIX_FACES", {"scikit-learn": 0})
    ours = baselines.linkage_at_default(given)
    assert theirs.labels is not None
    assert ours.labels is not None
    assert bcubed(theirs.labels, ours.labels).f == 1
    assert ("by scikit-learn" in theirs.setting, "by our linkage" in ours.setting) == (True, True)


def test_a_method_that_would_need_too_much_memory_is_left_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    given, _ = material([5, 5])
    monkeypatch.setattr(neighbour_graph, "MOST_PAIRS", 10)
    monkeypatch.setattr(baselines, "MATRIX_FACES", {"HDBSCAN": 3})
    by_name = {baseline.name: baseline for baseline in BASELINES}
    for name in ("Chinese whispers", "HDBSCAN"):
        outcome = run_baseline(by_name[name], given)
        assert outcome.labels is None
        assert outcome.setting.startswith("left out: ")


def test_a_method_whose_package_is_missing_is_left_out_and_names_it() -> None:
    given, _ = material([2])
    outcome = run_baseline(Baseline("x", baselines.hdbscan, "a_package_nobody_has"), given)
    assert (outcome.labels, "a_package_nobody_has" in outcome.setting) == (None, True)


def test_neighbours_come_nearest_first_and_a_face_is_not_its_own() -> None:
    pairs = on_a_line(0, 50, 20)
    assert [row.tolist() for row in pairs.rows()] == [[2, 1], [2, 0], [0, 1]]
    assert [row.tolist() for row in pairs.nearer(0.1).rows()] == [[2], [], [0]]
    assert pairs.nearer(0.1).distances == pytest.approx([1 - np.cos(np.radians(20))] * 2, abs=1e-6)


def test_blocks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    given, _ = material([9, 7, 3])
    whole = NearPairs.within(given.vectors, 0.6)
    monkeypatch.setattr(blocked_products, "BLOCK_CELLS", 40)
    parts = NearPairs.within(given.vectors, 0.6)
    assert (whole.starts.tolist(), whole.others.tolist()) == (parts.starts.tolist(), parts.others.tolist())


# Immich's rule


def test_immich_founds_a_person_on_a_face_with_two_neighbours() -> None:
    assert len(set(immich_labels(on_a_line(0, 10, 20)).tolist())) == 1
    assert len(set(immich_labels(on_a_line(0, 10)).tolist())) == 2, "two faces are too few for a person"


def test_immich_lets_faces_on_the_edge_wait_until_all_core_faces_are_done() -> None:
    labels = immich_labels(on_a_line(75, 0, 10, 20))  # the first face has one neighbour, the last
    assert len(set(labels.tolist())) == 1


def test_immich_gives_a_face_to_the_person_of_the_nearest_face() -> None:
    labels = immich_labels(on_a_line(0, 1, 2, 100, 101, 102, 55))
    assert labels[0] == labels[1] == labels[2]
    assert labels[3] == labels[4] == labels[5] == labels[6]
    assert labels[0] != labels[3]


def test_immich_never_joins_two_people_again() -> None:
    apart = immich_labels(on_a_line(0, 1, 2, 100, 101, 102, 50))
    assert len(set(apart.tolist())) == 2, "a face between two people does not make them one"


def test_unassigned_faces_are_each_alone_under_labels_of_their_own() -> None:
    assert with_singletons(np.array([4, -1, 4, -1])).tolist() == [4, 5, 4, 6]
