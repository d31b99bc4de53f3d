"""People who would join and part for ever: a grouping ends, and the next one changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import Library, table_of, told, unit

from immich_facesets.grouping.identities import Known
from immich_facesets.grouping.oscillation import Oscillation
from immich_facesets.grouping.plan import GroupingRules

VECTORS = [
    (0.9894, -0.0386, -0.1403),
    (0.9933, -0.1067, 0.0445),
    (0.9515, -0.2822, -0.1224),
    (0.9735, -0.0785, 0.2146),
    (0.9878, -0.1403, -0.067),
    (0.4655, -0.1812, -0.8663),
    (-0.0528, -0.57, -0.8199),
    (0.2733, -0.115, -0.955),
    (0.2999, -0.1493, -0.9422),
    (0.3311, -0.5092, -0.7944),
    (0.4441, -0.0723, -0.8931),
    (0.4908, 0.1506, -0.8582),
    (-0.6262, 0.4689, -0.6229),
    (-0.0415, 0.8964, -0.4413),
    (-0.2487, 0.5725, -0.7813),
    (-0.2178, 0.431, -0.8757),
]
PICTURES = [0, 2, 3, 9, 1, 2, 7, 9, 1, 4, 4, 8, 8, 8, 6, 7]


@pytest.fixture
def circle() -> Library:
    """Two users' people share faces 3 to 5. Together they attract faces that part them, and apart such that join them."""
    blur = np.array([100.0] * 15 + [20.0], dtype=np.float32)
    table = table_of(unit(np.array(VECTORS)), pictures=PICTURES, blur=blur)
    anna, berta = told({"p0": (3, 4, 5, 14, 15)}), told({"p0": (2, 3, 4, 5, 10, 13)}, "berta")
    return Library(table, assertions=[*anna, *berta], rules=GroupingRules(method="plain", min_faces=3))


def second_plan_is_empty(library: Library) -> bool:
    library.group()
    again = library.plan()
    return (again.new, again.joins, again.leaves, again.links) == ((), (), (), ())


def test_a_second_grouping_changes_nothing(circle: Library) -> None:
    assert second_plan_is_empty(circle)
    assert circle.known[min(circle.known)].people == {("anna", "p0"), ("berta", "p0")}


def test_without_an_end_of_the_circle_it_would(circle: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Oscillation, "begin_turn", lambda *_: None)
    assert not second_plan_is_empty(circle)


def test_the_end_does_not_depend_on_the_order_of_rows(circle: Library) -> None:
    circle.group()
    other = replace(circle, table=circle.table.rows(np.arange(16)[::-1]), memberships={}, known={})
    other.group()
    assert other.parts() == circle.parts()


HELD_VECTORS = [
    (0.91, -0.39, 0.14, 0.01),
    (0.9, -0.34, 0.23, 0.16),
    (-0.1, 0.19, 0.96, -0.17),
    (-0.27, -0.95, 0.1, -0.13),
    (-0.15, 0.4, -0.88, 0.21),
    (-0.11, 0.05, -0.22, -0.97),
    (-0.77, -0.45, -0.19, 0.41),
    (-0.63, 0.28, -0.63, -0.35),
    (-0.84, -0.27, 0.2, 0.43),
    (-0.59, -0.3, -0.42, -0.63),
    (-0.99, -0.04, 0.11, -0.09),
    (-0.57, -0.3, -0.72, -0.27),
]
HELD_PICTURES = [9, 11, 11, 4, 7, 6, 4, 9, 1, 6, 7, 6]


def test_faces_that_a_locked_identity_holds_take_no_part_when_others_are_placed() -> None:
    """Faces 5 and 12 are loose when the first turn places others, and held for the locked identity from then on."""
    blur = np.array([100.0] * 9 + [36.0] + [100.0] * 2, dtype=np.float32)
    table = table_of(unit(np.array(HELD_VECTORS)), pictures=HELD_PICTURES, blur=blur)
    anna = told({"p0": (1, 2, 3, 8)})
    berta = told({"p0": (1, 2, 3, 4, 6), "p1": (5, 7, 9, 12), "p2": (1, 3, 4)}, "berta")
    library = Library(table, assertions=[*anna, *berta], rules=GroupingRules(method="plain", min_faces=2))
    for number in (1, 2):
        library.known[number] = Known(number, "discovered", is_locked=number == 1, people=frozenset())
    library.memberships = {5: 2, 7: 1, 9: 1, 11: 1, 12: 2}
    assert second_plan_is_empty(library)
    assert library.faces_of(1) == {7, 9, 11}
