"""Head pose estimated from five points."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immich_facesets.faces import Landmarks
from immich_facesets.quality.pose import HEAD, estimate_pose


def seen(yaw: float, pitch: float, roll: float, *, scale: float = 1.0, x: float = 0.0, y: float = 0.0) -> Landmarks:
    """The five points of the generic head turned by these angles (degrees)."""
    a, b, c = (math.radians(angle) for angle in (yaw, pitch, roll))
    turn = np.array([[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]])
    nod = np.array([[1, 0, 0], [0, math.cos(b), math.sin(b)], [0, -math.sin(b), math.cos(b)]])
    tilt = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    points = (HEAD - HEAD.mean(axis=0)) @ (tilt @ turn @ nod).T * scale + np.array([x, y, 0])
    p, q, r, s, t = ((float(u), float(v)) for u, v, _depth in points)
    return p, q, r, s, t


def test_the_template_looks_straight_ahead() -> None:
    pose = estimate_pose(seen(0, 0, 0))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((0, 0, 0), abs=1e-6)


def test_the_signs_are_those_that_are_documented() -> None:
    right = seen(30, 0, 0)
    assert right[2][0] > (right[0][0] + right[1][0]) / 2  # the nose moves to the right of the picture
    assert estimate_pose(right).yaw > 0
    up = seen(0, 20, 0)
    assert up[2][1] < seen(0, 0, 0)[2][1] + 1e-9  # the nose moves up
    assert estimate_pose(up).pitch > 0
    clockwise = seen(0, 0, 15)
    assert clockwise[1][1] > clockwise[0][1]  # the eye on the right is lower
    assert estimate_pose(clockwise).roll > 0


@settings(max_examples=60)
@given(
    yaw=st.floats(-75, 75), pitch=st.floats(-50, 50), roll=st.floats(-170, 170),
    scale=st.floats(0.1, 30), x=st.floats(-5000, 5000),
)  # fmt: skip
def test_a_turned_head_is_measured_wherever_and_however_large_it_is(
    yaw: float, pitch: float, roll: float, scale: float, x: float
) -> None:
    pose = estimate_pose(seen(yaw, pitch, roll, scale=scale, x=x, y=-x / 3))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=0.1)


def test_points_on_one_spot_or_line_have_no_pose() -> None:
    spot: Landmarks = ((1, 1), (1, 1), (1, 1), (1, 1), (1, 1))
    line: Landmarks = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 4))
    for points in (spot, line):
        pose = estimate_pose(points)
        assert (pose.yaw, pose.pitch, pose.roll) == (0, 0, 0)
