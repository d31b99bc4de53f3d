"""Directions of crops that show nobody: clusters of strangers lie there, and no person does."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from real_library import labelled_photos
from testdata import shared_data

from embedder.engines.onnx import OnnxEngine, Tuning
from embedder.faces.blank import blank_directions
from embedder.images.decoder import Decoder
from embedder.models.pack import open_pack
from immich_facesets.grouping.recognisability import SHOWS_NOBODY, shows_nobody

pytestmark = pytest.mark.models


@pytest.mark.slow
@pytest.mark.parametrize("pack", ["bench_s", "bench_edge"])
def test_strangers_in_the_dark_lie_there_and_people_do_not(pack: str) -> None:
    data = shared_data()
    engine = OnnxEngine(open_pack(data / "data" / "models", pack), Tuning(threads=1))
    blank = blank_directions(engine)
    assert np.linalg.norm(blank, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(blank, blank_directions(engine)), "the same at every start"
    dice = np.random.default_rng(1)
    seen, dark = [], []
    people_of = {photo.identity: photo for photo in labelled_photos(data, folders=("lfw",)) if photo.identity}
    for photo in list(people_of.values())[:25]:
        pixels = Decoder(150_000_000).decode(photo.path.read_bytes()).pixels
        large = np.asarray(cv2.resize(pixels, None, fx=3, fy=3), np.uint8)
        if faces := engine.detect([engine.view(large)])[0]:
            night = np.clip(large * 0.08 + dice.normal(0, 20, large.shape), 0, 255).astype(np.uint8)
            seen.append(engine.align(large, faces[0]))
            dark.append(engine.align(night, faces[0]))
    assert len(seen) > 10
    people, strangers = (engine.recognise(faces) for faces in (seen, dark))
    assert not any(shows_nobody(one, blank) for one in _unit(people))
    assert shows_nobody(_unit(_unit(strangers).mean(axis=0, keepdims=True))[0], blank)
    assert float((blank @ _unit(people).T).max()) < SHOWS_NOBODY - 0.05


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
