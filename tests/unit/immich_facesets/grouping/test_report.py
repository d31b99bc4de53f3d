"""The grouping report: counts of the faces that each gate drops."""

import numpy as np
import pytest
from mixtures import Library, people, table_of

from immich_facesets.grouping.plan import GroupingRules, Method
from immich_facesets.grouping.report import Survivors
from immich_facesets.grouping.rules import GateCounts


def library_of(method: Method) -> Library:
    """One person on seven pictures, one of them small, one blurred, one dark, one doubtful; and two pictures of another person."""
    vectors, _ = people(np.random.default_rng(3), [7, 2], 0.5)
    face_short = np.array([50, *[200] * 8], np.float32)
    blur = np.array([90, 5, *[90] * 7], np.float32)
    light = np.array([1, 1, 0.1, *[1] * 6], np.float32)
    det_score = np.array([0.9, 0.9, 0.9, 0.3, *[0.9] * 5], np.float32)
    table = table_of(vectors, face_short=face_short, blur=blur, light=light, det_score=det_score)
    return Library(table, rules=GroupingRules(method=method, min_faces=3))


@pytest.mark.parametrize(("method", "faces"), [("plain", 7), ("careful", 3)])
def test_survivors_of_each_gate_are_those_that_found_an_identity(method: Method, faces: int) -> None:
    library = library_of(method)
    plan = library.group()
    assert plan.report.survivors == Survivors(faces=9, large=8, sharp=7, lit=6, sure=5, clear=5)
    assert plan.report.gate_counts == {1: GateCounts(faces=faces, clear=3, near=3, pictures=3)}
    assert plan.report.rejected == (GateCounts(faces=2, clear=2, near=2, pictures=2),)
    assert sum(join.how == "discovered" for join in plan.joins) == 3
    again = library.plan().report
    assert again.gate_counts == plan.report.gate_counts, "the identity is found again"
    assert again.survivors.faces == 9 - len(library.memberships)


def test_pictures_count_once_however_many_faces_they_hold() -> None:
    library = library_of("plain")
    library.table.pictures[4:7] = 4
    report = library.group().report
    assert report.gate_counts == {}
    assert all(one.pictures < 3 for one in report.rejected)
