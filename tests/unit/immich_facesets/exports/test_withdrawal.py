"""Directories exported for swapping before a face in them was held back."""

import json
from typing import Any

import pytest
from faceset_builders import RULES, candidate, faceset

from immich_facesets.exports.manifests import faceset_manifest
from immich_facesets.exports.withdrawal import bundle_files, exposes
from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import FacesetFolder

FACE = candidate(1).face
HELD = {FACE.sha256: [FACE.box]}
MOVED = {FACE.sha256: [Box(FACE.box.x1 + 5, FACE.box.y1, FACE.box.x2 + 5, FACE.box.y2)]}
OTHER = {FACE.sha256: [Box(900, 900, 999, 999)], "f" * 64: [FACE.box]}


def told(**changes: Any) -> dict[str, Any]:
    built = faceset(candidates=[candidate(1), candidate(2)])
    manifest: dict[str, Any] = json.loads(faceset_manifest(built, space="s", rules=RULES))
    return manifest | changes


def test_a_face_set_exposes_a_face_that_is_held_back_now_and_names_its_bundles() -> None:
    assert exposes(told(), HELD)
    assert exposes(told(), MOVED), "found again a little to the side"
    assert not exposes(told(), OTHER)
    assert bundle_files(told()) == ("faceset_001_all.fsz",), "both are one file"
    many = faceset(RULES.top + 1)
    manifest = json.loads(faceset_manifest(many, space="s", rules=RULES))
    assert bundle_files(manifest) == ("faceset_001_top30.fsz", "faceset_001_all.fsz")


def test_faces_that_were_held_back_already_and_sets_without_bundles_expose_nobody() -> None:
    held = faceset(candidates=[candidate(1, is_minor=True), candidate(2)])
    assert not exposes(json.loads(faceset_manifest(held, space="s", rules=RULES)), HELD)
    stray = faceset(candidates=[candidate(1)], folder=FacesetFolder.CANDIDATES)
    assert not exposes(json.loads(faceset_manifest(stray, space="s", rules=RULES)), HELD)


@pytest.mark.parametrize(("profile", "expected"), [("facefusion", True), ("visomaster", True), ("kohya", False)])
def test_only_forms_for_swapping_expose(profile: str, expected: bool) -> None:
    assert exposes(told(profile=profile), HELD) is expected


def test_an_entry_that_cannot_be_read_counts_as_exposing_and_a_library_does_not() -> None:
    assert exposes(told(faces=[{"sha256": "a"}]), HELD)
    assert not exposes({"profile": "xmp", "faces": 3}, HELD)
    assert not exposes({}, HELD)
