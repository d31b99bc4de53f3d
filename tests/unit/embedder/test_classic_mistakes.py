"""
Classic mistakes in face recognition, and the check that detects each of them.

One check (``face_check.complaint``) compares the embedder's answers over HTTP with the truth. The truth is known by
design for drawn people; for real photos it comes from insightface itself. Each mistake is then made on purpose, in a
pipeline of the embedder's parts, and the same check must detect it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from drawn_detector import draw, overflow_for_the_first_face, write_models
from face_check import Faces, answered, complaint
from photo_pipeline import MISTAKES, PhotoPipeline, flipped_without_renormalising, right_pipeline
from real_embedder import RealEmbedder, pipeline_of, real_embedder
from testdata import shared_data

from embedder.engines.onnx import OnnxEngine, Tuning
from embedder.models.pack import open_pack
from immich_facesets.face_requests import FacesRequest

DRAWN_COSINE = 0.999
REAL_COSINE = 0.9999
Photos = dict[str, tuple[bytes, Faces]]


@dataclass(frozen=True, eq=False)
class People:
    """Photos with their true faces, a running embedder, and the pipeline to the faces."""

    photos: Photos
    embedder: RealEmbedder
    pipeline: PhotoPipeline
    least_cosine: float

    def complaints(self, faces_of: Callable[[bytes], Faces]) -> dict[str, str]:
        """Return the finding of the check for each photo that fails it."""
        return complaints(faces_of, self.photos, self.least_cosine)


def complaints(faces_of: Callable[[bytes], Faces], photos: Photos, least_cosine: float) -> dict[str, str]:
    said = {
        name: complaint(faces_of(photo), truth, least_cosine=least_cosine) for name, (photo, truth) in photos.items()
    }
    return {name: words for name, words in said.items() if words is not None}


@pytest.fixture(scope="session")
def drawn_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("drawn")
    write_models(models, "drawn")
    return models


@pytest.fixture(scope="session")
def drawn_people(drawn_models: Path) -> Iterator[People]:
    drawings = {f"orientation {number}": draw(number) for number in (6, 5, 1, 2, 3, 4, 7, 8)}
    photos = {name: (drawing.photo, drawing.truth) for name, drawing in drawings.items()}
    with real_embedder(drawn_models, "drawn") as running:
        yield People(photos, running, right_pipeline(open_pack(drawn_models, "drawn")), DRAWN_COSINE)


@pytest.fixture(scope="session")
def real_people(embedder_of_bench_s: RealEmbedder) -> People:
    """Photos that are not square, with and without EXIF, of one person and of several."""
    data = shared_data() / "data"
    reference = np.load(data / "reference_bench_s.npz")
    chosen = [f"images/exif_orientation/orient_{number}.jpg" for number in (6, 1)]
    chosen += ["images/groups/2007_007763.jpg", "images/groups/two_people.jpg"]
    chosen += sorted({path for path in reference["path"].tolist() if "/portraits_pd/" in path})[:4]
    photos: Photos = {}
    for path in chosen:
        here = reference["path"] == path
        truth = Faces(*(reference[name][here].astype(np.float64) for name in ("bbox", "kps", "embedding")))
        photos[path] = ((data / path).read_bytes(), truth)
    return People(photos, embedder_of_bench_s, right_pipeline(open_pack(data / "models", "bench_s")), REAL_COSINE)


@pytest.fixture(params=["drawn_people", pytest.param("real_people", marks=pytest.mark.models)])
def people(request: pytest.FixtureRequest) -> People:
    found: People = request.getfixturevalue(request.param)
    return found


def test_the_embedder_makes_none_of_the_mistakes(people: People) -> None:
    assert people.complaints(lambda photo: answered(people.embedder.faces(photo))) == {}


def test_nor_does_the_way_in_which_they_are_made_on_purpose(people: People) -> None:
    assert people.complaints(people.pipeline.faces) == {}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_caught_by_the_same_check(mistake: str, people: People) -> None:
    wrong = MISTAKES[mistake](people.pipeline)
    assert any(
        complaint(wrong.faces(photo), truth, least_cosine=people.least_cosine)
        for photo, truth in people.photos.values()
    )


async def test_flip_averaging_gives_the_unit_vector_between_a_face_and_its_mirror_image(drawn_models: Path) -> None:
    pack = open_pack(drawn_models, "drawn")
    drawing = draw(flip=True)
    photos = {"drawn": (drawing.photo, drawing.truth)}
    right = right_pipeline(pack, flip=True)
    wrong = flipped_without_renormalising(right)
    assert complaints(wrong.faces, photos, DRAWN_COSINE)["drawn"].startswith("a vector of length 0.")
    assert complaints(right.faces, photos, DRAWN_COSINE) == {}
    async with pipeline_of(OnnxEngine(pack, Tuning(flip=True))) as pipeline:
        answer = await pipeline.answer(drawing.photo, FacesRequest())
    assert complaint(answered(answer), drawing.truth, least_cosine=DRAWN_COSINE) is None


async def test_a_face_that_overflows_half_precision_is_lost_and_counted_and_the_others_stay(tmp_path: Path) -> None:
    """float16 ends at 65,504: larger sums in a float16 model are infinite."""
    write_models(tmp_path, "drawn")
    drawing = draw()
    overflow_for_the_first_face(tmp_path, "drawn")
    async with pipeline_of(OnnxEngine(open_pack(tmp_path, "drawn"), Tuning())) as pipeline:
        answer = await pipeline.answer(drawing.photo, FacesRequest())
    assert answer.lost_faces == 1
    found = answered(answer)
    np.testing.assert_allclose(found.boxes, drawing.truth.boxes[1:], atol=1.0)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-3)
