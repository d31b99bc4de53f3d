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
    gate = Gate(90, 40, 0.6, light=0.5)
    least = (90, 40, 0.6, 20)
    passing = [least, (500, 500, 1, 255)]
    failing = [(89.9, 40, 0.6, 20), (90, 39.9, 0.6, 20), (90, 40, 0.59, 20), (90, 40, 0.6, 19.9)]
    for short, blur, score, brightness in passing + failing:
        measures = Measures(blur=blur, blur_size=112, brightness=brightness, contrast=50, yaw=0, pitch=0, roll=0)
        face = Face(1, "", Box(0, 0, short, 999), ((0, 0),) * 5, score, measures)
        table = table_of(np.ones((1, 2)), face_short=short, blur=blur, light=measures.light, det_score=score)
        is_admitted = (short, blur, score, brightness) in passing
        assert (gate.admits(face), table.admitted(gate).tolist()) == (is_admitted, [is_admitted])


def test_the_order_of_content_is_free_of_ids() -> None:
    vectors, _ = people(np.random.default_rng(1), [5], 1.0)
    straight = table_of(vectors).in_order_of_content()
    turned = table_of(vectors[::-1]).in_order_of_content()
    assert (straight.vectors == turned.vectors).all()
    assert (straight.face_ids == 6 - turned.face_ids).all()
