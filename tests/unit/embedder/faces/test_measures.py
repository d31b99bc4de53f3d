"""Measures of aligned faces: sharpness, light and the like."""

import csv

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from testdata import shared_data

from embedder.engine import Aligned, Detection, Pixels
from embedder.faces.measures import measure
from embedder.images import alignment
from embedder.images.decoder import Decoder
from immich_facesets.face_template import TEMPLATE
from immich_facesets.faces import Box

A, B, C, D, E = ((float(x), float(y)) for x, y in TEMPLATE)
FACE = Detection(Box(0, 0, 1, 1), (A, B, C, D, E), 1)


def drawn(*, sigma: float = 0.7, light: float = 1.0) -> NDArray[np.float64]:
    """A face-like drawing in (112, 112, 3): smooth skin with edges; ``sigma`` of its blur in pixels."""
    y, x = np.mgrid[:112, :112]
    grey = 110 + 0.4 * x + 0.2 * y
    for left, top in TEMPLATE:
        grey = np.where((x - left) ** 2 + 3 * (y - top) ** 2 < 80, 40.0, grey)
    grey = np.where((x - 56) ** 2 + (y - 60) ** 2 > 50**2, 200.0, grey)
    soft = np.asarray(cv2.GaussianBlur(np.dstack([grey] * 3), (0, 0), sigma), np.float64)
    return soft * light


def noisy(picture: NDArray[np.float64], sigma: float, *, seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255).round(), np.uint8)


def variance(crop: Pixels) -> float:
    """The former measure: noise counts as sharpness."""
    return float(np.asarray(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F)).var(dtype=np.float64))


def blur(crop: Pixels, span: float = 250.0) -> float:
    return measure(Aligned(crop, span, FACE)).blur


def test_a_sharp_face_measures_sharper_than_a_blurred_one() -> None:
    sharp = measure(Aligned(noisy(drawn(), 0), 112.0, FACE))
    soft = measure(Aligned(noisy(drawn(sigma=3), 0), 250.4, FACE))
    assert sharp.blur > 20 * soft.blur > 0
    assert (sharp.blur_size, soft.blur_size) == (112, 250)
    assert sharp.brightness == pytest.approx(drawn().mean(), abs=1)
    assert sharp.contrast > soft.contrast
    assert (sharp.yaw, sharp.pitch, sharp.roll) == pytest.approx((0, 0, 0), abs=1e-6)
    black = measure(Aligned(np.zeros((112, 112, 3), np.uint8), 50.0, FACE))
    assert (black.blur, black.brightness, black.contrast) == (0, 0, 0)


def test_each_step_of_blur_lowers_the_sharpness() -> None:
    values = [blur(noisy(drawn(sigma=sigma), 0)) for sigma in (0.7, 1, 1.5, 2, 3)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 20 * values[-1]


@pytest.mark.parametrize("sigma", [4, 8, 16, 32])
@pytest.mark.parametrize("light", [1.0, 0.1])
def test_noise_does_not_raise_the_sharpness(sigma: float, light: float) -> None:
    clean, soft = noisy(drawn(light=light), 0), noisy(drawn(sigma=4, light=light), 0)
    for seed in range(5):
        assert blur(noisy(drawn(light=light), sigma, seed=seed)) <= blur(clean) * 1.05 + 5
        on_nothing = noisy(drawn(sigma=4, light=light), sigma, seed=seed)
        assert variance(on_nothing) > 10 * variance(soft)
        assert blur(on_nothing) < 20


@pytest.mark.parametrize("side", [70, 90, 112, 140, 200, 400])
@pytest.mark.parametrize("light", [15, 128])
def test_noise_of_a_picture_is_known_at_any_size_of_the_face(side: int, light: int) -> None:
    for seed in range(5):
        picture = noisy(np.full((side + 40, side + 40, 3), float(light)), 14, seed=seed)
        turn = np.deg2rad(seed * 7)
        cosine, sine = np.cos(turn) * 112 / side, np.sin(turn) * 112 / side
        matrix = np.array([[cosine, -sine, 2.3 + seed * 5], [sine, cosine, -seed * 3.1]])
        crop = alignment.warp(picture, matrix, 112)[28:84, 28:84]
        assert variance(crop) > 80
        assert blur(np.ascontiguousarray(crop), span=side / 2) < 0.12 * variance(crop)


@pytest.mark.parametrize("light", [0.25, 0.5, 0.75])
def test_the_share_that_is_sharpness_does_not_depend_on_the_light(light: float) -> None:
    bright, dim = noisy(drawn(), 0), noisy(drawn(light=light), 0)
    assert blur(bright) > 0.95 * variance(bright)
    assert blur(dim) / variance(dim) == pytest.approx(blur(bright) / variance(bright), abs=0.05)


def test_black_area_beside_a_picture_hides_no_noise() -> None:
    crop = noisy(np.full((112, 112, 3), 128.0), 15)
    crop[:, :70] = 0
    beside = np.full((112, 112, 3), 128.0)
    beside[:, :70] = 0
    assert blur(crop) <= variance(noisy(beside, 0)) * 1.05


@pytest.mark.models
def test_clean_photos_keep_their_sharpness_and_dark_noise_has_none() -> None:
    data = shared_data() / "data"
    found, decoder = np.load(data / "reference_bench_s.npz"), Decoder(150_000_000)
    with (data / "labels.csv").open(newline="") as rows:
        single = {row["file"] for row in csv.DictReader(rows) if row["kind"] == "single"}
    kept, dark, former = [], [], []
    for path in sorted(single & set(found["path"].tolist()))[::4]:
        row = int(np.flatnonzero(found["path"] == path)[0])
        if (found["bbox"][row, 2:] - found["bbox"][row, :2]).min() < 60:
            continue
        a, b, c, d, e = ((float(x), float(y)) for x, y in found["kps"][row])
        face = Detection(Box(*found["bbox"][row].tolist()), (a, b, c, d, e), 1.0)
        pixels = decoder.decode((data / path).read_bytes()).pixels
        clean = alignment.align(pixels, face, 112)
        kept.append(measure(clean).blur / variance(clean.crop))
        night = alignment.align(noisy(pixels.astype(np.float64) * 0.12, 18), face, 112)
        dark.append(measure(night).blur)
        former.append(variance(night.crop))
    assert len(kept) >= 40
    assert np.median(kept) > 0.98
    assert np.quantile(kept, 0.1) > 0.93
    assert np.median(former) > 400
    assert min(former) > 200
    assert np.quantile(dark, 0.9) < 40
