"""Identity codes of drawn faces: vectors as of a real recogniser, and bands that are read despite noise."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_facesets.spaces import BUFFALO_L
from immich_facesets.synthetic import SITTERS, Pose, Sitter, draw_picture, find_faces
from immich_facesets.synthetic.identity_code import PALETTE, WHITE, gem_age, gem_colour, read_band, words

Vectors = NDArray[np.float32]


def vectors(sitters: list[tuple[Sitter, Pose]], per_picture: int = 24) -> Vectors:
    """The vectors of people drawn side by side, in order; all must be found."""
    rows: list[NDArray[np.float32]] = []
    for start in range(0, len(sitters), per_picture):
        group = [
            (sitter, replace(pose, x=130 + 220 * (i % 6), y=130 + 230 * (i // 6)))
            for i, (sitter, pose) in enumerate(sitters[start : start + per_picture])
        ]
        picture, boxes = draw_picture(1360, 960, group, start)
        faces = find_faces(picture)
        for box in boxes:
            (face,) = [face for face in faces if face.box.iou(box) > 0.7]
            rows.append(face.embedding)
    return np.array(rows)


def any_pose(dice: np.random.Generator, *, age: float) -> Pose:
    return Pose(
        0,
        0,
        size=float(dice.uniform(60, 120)),
        roll=float(dice.uniform(-20, 20)),
        yaw=float(dice.uniform(-28, 28)),
        expression=float(dice.uniform(-0.5, 1)),
        light=float(dice.uniform(-1, 1)),
        age=age,
    )


def pair_distances(rows: Vectors) -> Vectors:
    return np.asarray((1 - rows @ rows.T)[np.triu_indices(len(rows), 1)], dtype=np.float32)


def test_one_sitter_at_one_age_stays_near() -> None:
    dice = np.random.default_rng(2)
    distances = pair_distances(vectors([(Sitter(9), any_pose(dice, age=30)) for _ in range(48)]))
    assert 0.12 < np.median(distances) < 0.25
    assert distances.max() < 0.35


def test_decades_part_a_sitter_into_eras_but_not_into_two_people() -> None:
    dice = np.random.default_rng(3)
    young = vectors([(Sitter(9), any_pose(dice, age=12)) for _ in range(24)])
    old = vectors([(Sitter(9), any_pose(dice, age=40)) for _ in range(24)])
    apart = 1 - young @ old.T
    assert np.median(pair_distances(young)) < 0.35 < apart.mean() < BUFFALO_L.match
    assert apart.max() < 0.5


@pytest.mark.parametrize("sitters", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_many_sitters_are_nearly_orthogonal(sitters: int) -> None:
    dice = np.random.default_rng(4)
    rows = vectors([(Sitter(seed), any_pose(dice, age=30)) for seed in range(sitters)])
    assert rows.shape == (sitters, 512)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert pair_distances(rows).min() > 0.75


def test_kin_are_alike_and_less_so_than_one_person() -> None:
    dice = np.random.default_rng(6)
    elder, younger, other = (
        vectors([(sitter, any_pose(dice, age=30)) for _ in range(24)])
        for sitter in (Sitter(9, is_kin=True), Sitter(40, is_kin=True), Sitter(41))
    )
    assert np.median(pair_distances(elder)) < 0.25
    assert BUFFALO_L.near < 0.3 < (1 - elder @ younger.T).mean() < BUFFALO_L.match
    assert (1 - elder @ other.T).min() > 0.75


def test_a_muffler_moves_a_face_but_not_to_another_person() -> None:
    dice = np.random.default_rng(7)
    poses = [any_pose(dice, age=30) for _ in range(24)]
    plain = vectors([(Sitter(9), pose) for pose in poses])
    muffled = vectors([(Sitter(9), replace(pose, has_muffler=True)) for pose in poses])
    assert np.median(pair_distances(muffled)) < 0.25
    assert 0.25 < (1 - plain @ muffled.T).mean() < BUFFALO_L.match


def test_a_burst_counts_as_one_moment() -> None:
    poses = [Pose(0, 0, size=110, yaw=5 + 0.2 * i, roll=0.2 * i) for i in range(4)]
    assert pair_distances(vectors([(Sitter(31), pose) for pose in poses])).max() < BUFFALO_L.near


def test_no_two_bands_are_alike_in_more_than_six_cells() -> None:
    assert words().shape == (SITTERS, 12)
    for seed in range(0, SITTERS, 64):
        differing = (words() != words()[seed]).sum(axis=1)
        assert np.delete(differing, seed).min() >= 6


@pytest.mark.parametrize("wrong_cells", [1, 2])
def test_a_band_with_stained_cells_is_still_read(wrong_cells: int) -> None:
    dice = np.random.default_rng(5)
    palette = np.array(PALETTE) / np.array(WHITE)
    for seed in range(0, SITTERS, 41):
        word = words()[seed].copy()
        places = dice.permutation(12)[:wrong_cells]
        word[places] = (word[places] + dice.integers(1, 4, wrong_cells)) % 4
        assert read_band(palette[word]).seed == seed


def test_dim_washed_out_colours_are_still_read() -> None:
    palette = np.array(PALETTE) / np.array(WHITE)
    for seed in range(0, SITTERS, 97):
        reading = read_band(0.75 * palette[words()[seed]] + 0.08)
        assert reading.seed == seed
        assert reading.error < 0.1


@pytest.mark.parametrize("age", [0, 7, 35, 62, 90])
def test_the_gem_tells_the_age(age: int) -> None:
    assert gem_age((np.array(gem_colour(age)) / np.array(WHITE)).tolist()) == pytest.approx(age, abs=1)
