"""Default distances of the small model, against real labelled faces."""

from dataclasses import replace

import numpy as np
import pytest
from labelled_photos import LabelledPhotos, labelled_photos
from mixtures import Library, told
from testdata import shared_data

from immich_facesets.evaluation.metrics import bcubed, pair_distances, tar_at_far
from immich_facesets.faces import Gate
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import operating_points

pytestmark = pytest.mark.models

RULES = GroupingRules(min_faces=2, gate=Gate(face_short=60, blur=0, det_score=0.5))
POINTS = operating_points("w600k_mbf")


@pytest.fixture(scope="module")
def photos() -> LabelledPhotos:
    return labelled_photos(shared_data() / "data")


def named(photos: LabelledPhotos, library: Library, rows: np.ndarray) -> tuple[list[str], list[int]]:
    """The true and the found identity of the labelled faces among ``rows``."""
    labels = library.labels()
    marked = [int(row) for row in rows if photos.names[row] is not None]
    return [str(photos.names[row]) for row in marked], [labels[row] for row in marked]


def test_people_of_the_labelled_photos_are_found_and_none_is_mixed(photos: LabelledPhotos) -> None:
    library = Library(photos.table, rules=RULES, points=POINTS)
    library.group()
    singles = bcubed(*named(photos, library, np.flatnonzero(photos.is_single)))
    assert singles.f >= 0.97
    assert singles.precision == 1.0
    assert library.plan().is_empty
    library = Library(photos.table, rules=replace(RULES, min_faces=1), points=POINTS)
    library.group()
    everybody = bcubed(*named(photos, library, np.arange(len(photos.table))))
    assert everybody.f >= 0.97, "some people are in near-identical pictures alone"
    assert everybody.precision == 1.0


def test_photos_that_arrive_by_and_by_lead_to_the_same_people(photos: LabelledPhotos) -> None:
    library = Library(photos.table, rules=RULES, points=POINTS)
    table = photos.table
    for arrived in (100, 250, len(table)):
        library.table = table.rows(np.arange(arrived))
        library.group()
    score = bcubed(*named(photos, library, np.flatnonzero(photos.is_single)))
    assert score.precision == 1.0
    assert score.f >= 0.97


def test_strangers_among_a_named_persons_faces_are_thrown_out(photos: LabelledPhotos) -> None:
    singles = [(int(row), photos.names[row]) for row in np.flatnonzero(photos.is_single)]
    everybody = [name for _, name in singles]
    most = max(sorted({name for name in everybody if name}), key=everybody.count)
    hers = [row + 1 for row, name in singles if name == most]
    others = [row + 1 for row, name in singles if name != most][::60]
    library = Library(photos.table, rules=RULES, points=POINTS, assertions=told({"p": hers + others}))
    plan = library.group()
    (dropped,) = plan.report.dropped
    assert dropped.face_ids == tuple(others)
    assert library.faces_of(plan.links[0].identity) >= set(hers)


def test_two_people_are_rarely_within_the_match_distance(photos: LabelledPhotos) -> None:
    singles = np.flatnonzero(photos.is_single)
    same, different = pair_distances(photos.table.vectors[singles], [str(photos.names[row]) for row in singles])
    at = tar_at_far(same, different, 0.0)
    assert at.distance > POINTS.cluster
    assert at.tar > 0.95
    assert different.min() > POINTS.match


def test_the_same_picture_turned_or_encoded_anew_counts_once(photos: LabelledPhotos) -> None:
    table, paths = photos.table, np.load(shared_data() / "data" / "reference_bench_s.npz")["path"]
    turned = np.flatnonzero(np.char.find(paths, "/orient_") >= 0)
    for row in turned:
        others = turned[table.pictures[turned] != table.pictures[row]]
        gaps = 1 - table.vectors[others] @ table.vectors[row]
        nearest = [gaps[table.pictures[others] == picture].min() for picture in np.unique(table.pictures[others])]
        assert max(nearest) <= POINTS.near
