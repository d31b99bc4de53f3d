"""People who would join and part for ever: a grouping ends, and the next one changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import Library, table_of, told, unit

from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.grouping.settling import Settling

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
    monkeypatch.setattr(Settling, "begin_turn", lambda *_: None)
    assert not second_plan_is_empty(circle)


def test_the_end_does_not_depend_on_the_order_of_rows(circle: Library) -> None:
    circle.group()
    other = replace(circle, table=circle.table.rows(np.arange(16)[::-1]), memberships={}, known={})
    other.group()
    assert other.parts() == circle.parts()
