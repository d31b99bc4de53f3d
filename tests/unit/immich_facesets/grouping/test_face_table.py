"""The face table: columns of equal length, the quality gate, and an order without ids."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import people, table_of

from immich_facesets.faces import Box, Face, Gate, Measures


def test_columns_of_different_length_are_refused() -> None:
    table = table_of(np.eye(2))
    with pytest.raises(ValueError, match="equal length"):
        replace(table, vectors=table.vectors[:1])


def test_the_gate_of_a_table_is_the_gate_of_a_face() -> None:
    gate = Gate(90, 40, 0.6)
    for short, blur, score in [(90, 40, 0.6), (89.9, 40, 0.6), (90, 39.9, 0.6), (90, 40, 0.59), (500, 500, 1)]:
        measures = Measures(blur=blur, blur_size=112, brightness=0, contrast=0, yaw=0, pitch=0, roll=0)
        face = Face(1, "", Box(0, 0, short, 999), ((0, 0),) * 5, score, measures)
        table = table_of(np.ones((1, 2)), face_short=short, blur=blur, det_score=score)
        assert table.admitted(gate).tolist() == [gate.admits(face)]


def test_the_order_of_content_is_free_of_ids() -> None:
    vectors, _ = people(np.random.default_rng(1), [5], 1.0)
    straight = table_of(vectors).in_order_of_content()
    turned = table_of(vectors[::-1]).in_order_of_content()
    assert (straight.vectors == turned.vectors).all()
    assert (straight.face_ids == 6 - turned.face_ids).all()
