"""Embeddings for VisoMaster: the list that it loads."""

import json
from typing import Any

import numpy as np
import pytest
from artifact_builders import form, maybe, written
from faceset_builders import candidate, faceset

from immich_facesets.exports.visomaster import embedding_file
from immich_facesets.facesets.faceset import EraYears

VECTORS = np.asarray(np.eye(512, dtype=np.float32)[:3])


def test_the_list_holds_one_person_with_the_mean_of_the_recognisers_own_vectors() -> None:
    raw = VECTORS * np.array([[18.0], [24.0], [30.0]], dtype=np.float32)
    files = written(form("visomaster", vectors=raw))
    assert list(files) == ["Anna.json", "manifest.json"]
    (person,) = json.loads(files["Anna.json"])
    assert person.keys() == {"name", "embedding_store"}
    assert person["name"] == "Anna"
    assert person["embedding_store"].keys() == {"Inswapper128ArcFace"}
    vector = np.array(person["embedding_store"]["Inswapper128ArcFace"])
    assert vector.shape == (512,)
    np.testing.assert_allclose(vector[:4], [6.0, 8.0, 10.0, 0.0], atol=1e-7)
    assert all(face["file"] is None for face in json.loads(files["manifest.json"])["faces"])


def test_a_vector_of_the_reader_and_ours_weigh_the_same_in_its_mean() -> None:
    """The reader merges people by the mean of their vectors, which it does not scale."""
    ours = np.array(json.loads(embedding_file("Anna", 20 * VECTORS[:1]))[0]["embedding_store"]["Inswapper128ArcFace"])
    theirs = 20 * VECTORS[1]
    merged = (ours + theirs) / 2
    assert float(merged @ ours / np.linalg.norm(merged) / np.linalg.norm(ours)) == pytest.approx(0.5**0.5, abs=1e-6)


def test_an_era_is_called_after_the_person_and_the_time() -> None:
    (person,) = json.loads(
        written(form("visomaster", faceset(3, era=EraYears("2011", 2010, 2012)), vectors=VECTORS))["Anna 2011.json"]
    )
    assert person["name"] == "Anna 2011"


def test_another_vector_is_another_artifact() -> None:
    assert form("visomaster", vectors=VECTORS).digest != form("visomaster", vectors=VECTORS[::-1] * 0.5 + 0.1).digest


def test_no_vector_of_a_minor_is_written() -> None:
    assert maybe("visomaster", faceset(candidates=[candidate(1, is_minor=True)])) is None
    built = faceset(candidates=[candidate(number, is_minor=number == 1) for number in (1, 2, 3)])
    with pytest.raises(ValueError, match="vector of every face"):
        form("visomaster", built, vectors=VECTORS)
    manifest = json.loads(form("visomaster", built, vectors=VECTORS[:2]).manifest)
    assert len(manifest["faces"]) == 2
    assert manifest["left_out"] == {"minor_not_in_swap_bundles": 1}


@pytest.mark.parametrize("vectors", [VECTORS[:0], VECTORS[:, :128]])
def test_vectors_of_another_length_are_not_written(vectors: Any) -> None:
    with pytest.raises(ValueError, match="512 numbers"):
        embedding_file("Anna", vectors)


@pytest.mark.parametrize("label", ["manifest", "Manifest"])
def test_a_person_who_is_called_manifest_does_not_replace_ours(label: str) -> None:
    files = written(form("visomaster", faceset(3, label=label), vectors=VECTORS))
    assert list(files) == [f"_{label}.json", "manifest.json"]
