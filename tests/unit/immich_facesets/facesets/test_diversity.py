"""Diversity: the selection covers more of a person than the best faces do, and obeys every rule."""

import csv
from collections.abc import Collection
from itertools import combinations

import numpy as np
import pytest
from faceset_builders import RULES, candidate, face, unlike_hash, vectors
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from testdata import shared_data

from immich_facesets.exports.face_choice import FOR_AVERAGING, FOR_SHOWING, Weights, picked, terms
from immich_facesets.faces import Box, Face, Landmarks, Measures
from immich_facesets.facesets.coverage import Coverage
from immich_facesets.facesets.curation import build_faceset, choose, curate
from immich_facesets.facesets.diversity import MOST_ORDERED, Aspect, binned, events, order_by_diversity, value
from immich_facesets.facesets.faceset import Candidate, Check, ExportFace, Faceset, FacesetFolder, Verdict
from immich_facesets.quality.pose import estimate_pose
from immich_facesets.quality.score import quality

BOUND = 1 - 1 / np.e


@st.composite
def problems(draw: st.DrawFn) -> tuple[NDArray[np.float64], list[Aspect]]:
    """Worths in descending order as ranks are, and aspects of a few bins, some of them unknown."""
    count = draw(st.integers(1, 9))
    worth = sorted(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)), reverse=True)
    bins = st.lists(st.integers(-1, 3), min_size=count, max_size=count)
    kinds = draw(st.lists(st.tuples(bins, st.floats(0.05, 1)), max_size=3))
    return np.array(worth), [Aspect(np.array(places, dtype=np.int64), weight) for places, weight in kinds]


TOP_ROWS_FIRST = (
    np.array([1.0, 1.0, 1.0, 0.25, 0.25, 0.25, 0.0, 0.0]),
    [Aspect(np.array([0, 0, 0, 0, 0, 1, 0, 1]), 0.5), Aspect(np.array([-1, 0, 0, 1, 1, 0, 0, 1]), 1.0)],
)
"""The greedy order ends below the top rows here, so that these come first; in rank order they violated the bound."""


@settings(max_examples=60)
@example(TOP_ROWS_FIRST)
@given(problems())
def test_every_beginning_is_worth_what_is_promised_and_no_less_than_the_best_alone(
    problem: tuple[NDArray[np.float64], list[Aspect]],
) -> None:
    worth, aspects = problem
    order = order_by_diversity(worth, aspects)
    assert sorted(order) == list(range(len(worth)))
    for size in range(1, len(worth) + 1):
        ours = value(order[:size], worth, aspects)
        assert ours >= value(range(size), worth, aspects) - 1e-9
        best = max(value(rows, worth, aspects) for rows in combinations(range(len(worth)), size))
        assert ours >= BOUND * best - 1e-9


@settings(max_examples=60)
@given(problems())
def test_more_faces_are_worth_more_and_each_adds_less_the_more_there_are(
    problem: tuple[NDArray[np.float64], list[Aspect]],
) -> None:
    worth, aspects = problem
    rows = list(range(len(worth)))
    for row in rows:
        for size in range(row):
            some, more = rows[:size], rows[:row]
            added_to_some = value([*some, row], worth, aspects) - value(some, worth, aspects)
            added_to_more = value([*more, row], worth, aspects) - value(more, worth, aspects)
            assert -1e-9 <= added_to_more <= added_to_some + 1e-9


def test_where_taking_the_most_valuable_next_ends_below_the_best_they_come_first() -> None:
    places = [[0, 1, 0], [0, 1, 1]]  # the third covers a bin of each of the others
    aspects = [Aspect(np.array(bins, dtype=np.int64), 1.0) for bins in places]
    order = order_by_diversity(np.array([0.50, 0.50, 0.51]), aspects)
    assert set(order[:2]) == {0, 1}


def test_thousands_of_faces_are_ordered_whole() -> None:
    count = 4 * MOST_ORDERED
    dice = np.random.default_rng(3)
    aspects = [Aspect(dice.integers(0, 40, count), 0.5), Aspect(dice.integers(0, 5, count), 0.5)]
    order = order_by_diversity(np.sort(dice.random(count))[::-1], aspects)
    assert sorted(order) == list(range(count))
    assert order[MOST_ORDERED:] == sorted(order[MOST_ORDERED:])


def test_what_is_not_known_is_in_no_bin() -> None:
    assert binned([None, float("nan"), -50.0, 0.0, 50.0], (-15.0, 15.0)).tolist() == [-1, -1, 0, 1, 2]


def test_one_day_is_one_event_and_so_is_one_night() -> None:
    taken = [
        "2020-05-01T10:00:00",
        "2020-05-01T23:30:00",
        "2020-05-02T02:00:00Z",
        "2020-05-03",
        None,
        "never",
        "2020-05-03",
    ]
    assert events(taken).tolist() == [0, 0, 0, 1, -1, -1, 1]


def person(*seen: tuple[float, str | None, float]) -> Faceset:
    """A faceset of faces given by yaw, day and sharpness."""
    rows = [
        candidate(number, of=face(number, yaw=yaw, blur=blur), taken=day)
        for number, (yaw, day, blur) in enumerate(seen, start=1)
    ]
    return built(rows)


def built(rows: list[Candidate], *, painted: Collection[int] = ()) -> Faceset:
    """A face set of all these faces, whose vectors differ as those of one person do; ``painted``: by number."""
    looks = {row.face.face_id: look for row, look in zip(by_number(rows), vectors(len(rows), spread=0.5), strict=True)}
    checks = {row.face.face_id: Check(Verdict.OK, is_masked=row.face.face_id in painted) for row in rows}
    shortlist = curate(rows, np.stack([looks[row.face.face_id] for row in rows]), RULES)
    found = build_faceset(choose(shortlist, checks), identity=1, label=None, folder=FacesetFolder.MAIN)
    assert found is not None
    assert len(found.faces) == len(rows), "none is left out before anything is chosen"
    return found


def by_number(rows: list[Candidate]) -> list[Candidate]:
    return sorted(rows, key=lambda row: row.face.face_id)


def days(faces: tuple[ExportFace, ...]) -> list[str]:
    return [str(item.candidate.taken) for item in faces]


@pytest.mark.parametrize("is_for_swapping", [True, False])
def test_no_event_fills_a_set_while_there_are_others(is_for_swapping: bool) -> None:
    wedding = [(0.0, "2020-05-01", 900.0 + number) for number in range(20)]
    others = [(0.0, f"2020-06-{number:02d}", 400.0) for number in range(1, 6)]
    chosen = picked(person(*wedding, *others), 6, is_for_swapping=is_for_swapping)
    assert days(chosen).count("2020-05-01") == 1
    scores = [item.quality.score for item in chosen]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("is_for_swapping", [True, False])
def test_the_best_face_is_taken_also_when_it_has_no_date_but_undated_ones_fill_no_set(is_for_swapping: bool) -> None:
    undated = [(0.0, None, 900.0 + number) for number in range(20)]
    dated = [(0.0, f"2020-06-{number:02d}", 400.0) for number in range(1, 11)]
    faceset = person(*undated, *dated)
    chosen = picked(faceset, 6, is_for_swapping=is_for_swapping)
    if not is_for_swapping:  # what is averaged is also weighed by its distance from the centre
        assert chosen[0] == faceset.faces[0]
    assert [item.candidate.taken for item in chosen].count(None) == 1


def test_a_set_to_learn_from_shows_both_sides_and_a_set_to_average_none() -> None:
    faces = [(float(yaw), f"2020-{month:02d}-01", 500.0) for month, yaw in enumerate([0, 2, -3, 4, 1, -60, 60, 30], 1)]
    learnt = picked(person(*faces), 5, is_for_swapping=False)
    assert {item.candidate.face.measures.yaw for item in learnt} >= {-60.0, 60.0, 30.0}
    averaged = picked(person(*faces), 5, is_for_swapping=True)
    assert {abs(item.candidate.face.measures.yaw) for item in averaged} <= {0.0, 1.0, 2.0, 3.0, 4.0}


@settings(max_examples=60)
@given(st.permutations(range(12)), st.integers(1, 11), st.booleans())
def test_a_choice_is_of_the_faces_there_are_and_their_order_does_not_matter(
    order: list[int], count: int, is_for_swapping: bool
) -> None:
    dice = np.random.default_rng(5)
    rows = [
        candidate(
            number,
            of=face(number, yaw=float(dice.uniform(-60, 60)), blur=float(dice.uniform(50, 900))),
            taken=f"2020-05-{1 + number % 4:02d}",
            is_minor=number % 5 == 0,
        )
        for number in range(12)
    ]
    straight = built(rows, painted={2, 3, 7, 9})
    mixed = built([rows[number] for number in order], painted={2, 3, 7, 9})
    chosen = picked(straight, count, is_for_swapping=is_for_swapping)
    assert picked(mixed, count, is_for_swapping=is_for_swapping) == chosen
    allowed = straight.swappable if is_for_swapping else straight.faces
    assert len(chosen) == min(count, len(allowed))
    assert set(days(chosen)) <= set(days(allowed))
    assert all(item in allowed for item in chosen)
    more = picked(straight, count + 1, is_for_swapping=is_for_swapping)
    assert all(item in more for item in chosen)
    clean = sum(not item.is_masked for item in allowed)
    assert sum(item.is_masked for item in chosen) == max(0, len(chosen) - clean), "painted ones only where others lack"


def shown(faces: list[ExportFace], rows: list[int]) -> tuple[int, int, float]:
    """The numbers of angle bins and events of the rows, and their mean quality."""
    some = [faces[row] for row in rows]
    coverage = Coverage.of([item.candidate for item in some])
    angles = set(zip(coverage.yaw.tolist(), coverage.pitch.tolist(), strict=True))
    return len(angles), len(set(coverage.event.tolist())), float(np.mean([item.quality.score for item in some]))


@pytest.fixture(scope="module")
def photos() -> list[ExportFace]:
    """
    The labelled portraits, ranked as if they were of one person, because no person has hundreds; a year is an event.
    """
    data = shared_data() / "data"
    labels = csv.DictReader((data / "labels.csv").read_text(encoding="utf-8").splitlines())
    years = {row["file"]: row["year"][:4] for row in labels}
    found = []
    with np.load(data / "reference_bench_s.npz", allow_pickle=False) as cache:
        columns = {name: cache[name].tolist() for name in ("path", "kind", "bbox", "kps", "det_score")}
    for number, path in enumerate(columns["path"]):
        if columns["kind"][number] != "single":
            continue
        points: Landmarks = tuple(map(tuple, columns["kps"][number]))  # type: ignore[assignment]  # five of them
        pose = estimate_pose(points)
        seen = Face(
            number,
            f"{number:064x}",
            Box(*columns["bbox"][number]),
            points,
            columns["det_score"][number],
            Measures(300.0, 112, 120.0, 50.0, pose.yaw, pose.pitch, pose.roll),
        )
        day = f"{years[path]}-01-01" if years.get(path, "").isdecimal() else None
        who = Candidate(seen, unlike_hash(number), f"{number:064x}", (), day)
        found.append(ExportFace(who, quality(seen), 0.0))
    return sorted(found, key=lambda one: (-one.quality.score, one.candidate.face.face_id))


@pytest.mark.parametrize("count", [12, 30])
@pytest.mark.parametrize(("weights", "angles_more", "lost"), [(FOR_SHOWING, 4, 0.13), (FOR_AVERAGING, 0, 0.05)])
def test_of_real_photos_a_choice_shows_more_than_the_best_do_at_nearly_their_quality(
    photos: list[ExportFace], weights: Weights, angles_more: int, lost: float, count: int
) -> None:
    angles, dates, score = shown(photos, order_by_diversity(*terms(photos, weights))[:count])
    angles_of_best, dates_of_best, score_of_best = shown(photos, list(range(count)))
    told = (
        f"{angles} angles, {dates} dates at {score:.3f}; best: {angles_of_best}, {dates_of_best}, {score_of_best:.3f}"
    )
    assert angles >= angles_of_best + angles_more, told
    assert dates > dates_of_best, told
    assert score >= score_of_best - lost, told
