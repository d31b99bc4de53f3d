"""Perceptual hashes: copies differ in few bits, and other pictures in many."""

import cv2
import numpy as np
import pytest
from faceset_builders import picture
from hamming import hamming_distance
from numpy.typing import NDArray

from immich_facesets.near_duplicates.faces import DEFAULT_COPY_LIMITS
from immich_facesets.near_duplicates.perceptual_hash import hash_text, perceptual_hash, picture_hash
from immich_facesets.near_duplicates.pictures import MOST_BITS


def grey(seed: int, side: int = 200) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture(side, seed=seed), cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def resaved(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    body = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(body, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_a_resaved_shrunk_or_brightened_copy_keeps_its_hash_nearly(seed: int) -> None:
    original = grey(seed)
    copies = (
        resaved(original, 40),
        np.asarray(cv2.resize(original, (70, 70), interpolation=cv2.INTER_AREA), dtype=np.uint8),
        np.asarray(cv2.convertScaleAbs(original, alpha=0.9, beta=12), dtype=np.uint8),
    )
    for copy in copies:
        assert hamming_distance(perceptual_hash(original), perceptual_hash(copy)) <= DEFAULT_COPY_LIMITS.bits


def test_different_pictures_have_different_hashes() -> None:
    hashes = [perceptual_hash(grey(seed)) for seed in range(12)]
    apart = [hamming_distance(one, other) for place, one in enumerate(hashes) for other in hashes[:place]]
    assert min(apart) > DEFAULT_COPY_LIMITS.bits


def test_a_flat_picture_has_a_hash_and_always_the_same() -> None:
    flat = [perceptual_hash(np.full((side, side), value, dtype=np.uint8)) for side, value in ((50, 7), (90, 200))]
    assert flat[0] == flat[1]


def test_a_hash_is_stored_as_16_digits() -> None:
    assert hash_text(255) == "00000000000000ff"
    assert int(hash_text(2**64 - 1), 16) == 2**64 - 1


def test_copies_of_a_large_picture_have_its_hash_and_others_do_not() -> None:
    dice = np.random.default_rng(2)
    scenes = [cv2.resize(dice.integers(0, 256, (9, 12, 3), np.uint8), (1600, 1200)) for _ in range(2)]
    large, other = (np.asarray(scene, np.uint8) for scene in scenes)
    noisy = np.clip(large.astype(np.int16) + dice.integers(-20, 21, large.shape), 0, 255).astype(np.uint8)
    small = np.asarray(cv2.resize(large, (300, 225), interpolation=cv2.INTER_AREA), np.uint8)

    def apart(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> int:
        return hamming_distance(int(picture_hash(one), 16), int(picture_hash(two), 16))

    assert apart(large, noisy) <= 2
    assert apart(large, small) <= 2
    assert apart(large, other) > MOST_BITS
