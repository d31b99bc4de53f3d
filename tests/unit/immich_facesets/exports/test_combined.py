"""The directory about everybody: what a reader that replaces its list as it loads finds in it."""

import json
from typing import Any

import numpy as np
from artifact_builders import form, written
from faceset_builders import candidate, faceset
from numpy.typing import NDArray

from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.exports.combined import form_of_everybody
from immich_facesets.exports.kohya import KOHYA
from immich_facesets.exports.visomaster import VISOMASTER
from immich_facesets.exports.withdrawal import exposes
from immich_facesets.facesets.faceset import EraYears

RAW = 20.0 * np.asarray(np.eye(512, dtype=np.float32)[:9])


def loaded(body: bytes) -> dict[str, dict[str, NDArray[np.float64]]]:
    """The people of VisoMaster's window after *Load Embeddings*: it forgets those before, and needs a name of each."""
    return {
        person["name"]: {key: np.array(vector) for key, vector in person.get("embedding_store", {}).items()}
        for person in json.loads(body)
    }


def people() -> list[ExportArtifact]:
    return [
        form("visomaster", faceset(3, identity=2, label="ben"), vectors=RAW[:3]),
        form("visomaster", faceset(3, identity=1, label="Anna"), vectors=RAW[3:6]),
        form("visomaster", faceset(3, label="Anna", era=EraYears("2011", 2010, 2012)), vectors=RAW[6:]),
    ]


def everybody(artifacts: list[ExportArtifact]) -> ExportArtifact:
    found = form_of_everybody(VISOMASTER, artifacts, space="space-1")
    assert found is not None
    return found


def test_one_file_has_everybody_with_the_vectors_of_their_own_files() -> None:
    made = everybody(people())
    assert made.path == "_profiles/visomaster/everybody"
    files = written(made)
    assert list(files) == ["Everybody.json", "manifest.json"]
    all_of_them = loaded(files["Everybody.json"])
    assert list(all_of_them) == ["Anna", "Anna 2011", "ben"], "in the order of names, as the window lists them"
    for artifact, name in zip(people(), ("ben", "Anna", "Anna 2011"), strict=True):
        (own,) = (body for file, body in written(artifact).items() if file != "manifest.json")
        for key, vector in loaded(own)[name].items():
            np.testing.assert_array_equal(all_of_them[name][key], vector)
        assert all_of_them[name].keys() == {"Inswapper128ArcFace"}


def test_the_order_of_the_face_sets_changes_no_byte_of_the_file_and_a_changed_person_changes_the_digest() -> None:
    assert written(everybody(people()))["Everybody.json"] == written(everybody(people()[::-1]))["Everybody.json"]
    assert everybody(people()).digest == everybody(people()).digest
    assert everybody(people()).digest != everybody(people()[:2]).digest


def test_a_profile_without_a_file_of_everybody_and_a_library_without_people_have_no_directory() -> None:
    assert form_of_everybody(KOHYA, [form("kohya")], space="space-1") is None
    assert form_of_everybody(VISOMASTER, [], space="space-1") is None


def test_no_minor_has_a_part_in_it_and_it_is_withdrawn_when_a_face_is_held_back_later() -> None:
    mixed = faceset(candidates=[candidate(number, is_minor=number == 1) for number in (1, 2, 3)])
    made = everybody([form("visomaster", mixed, vectors=RAW[:2])])
    manifest: dict[str, Any] = json.loads(made.manifest)
    child, grown = candidate(1).face, candidate(2).face
    assert {face["sha256"] for face in manifest["faces"]} == {grown.sha256, candidate(3).face.sha256}
    assert not exposes(manifest, {child.sha256: [child.box]})
    assert exposes(manifest, {grown.sha256: [grown.box]})
