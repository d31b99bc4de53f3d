"""Manifests: documented keys, fixed order, and no rewriting of unchanged files."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from faceset_builders import RULES, candidate, face, faceset, sha256, vectors

from immich_facesets.exports.manifest_entries import entries_of, user_manifest_with, without_identities
from immich_facesets.exports.manifests import (
    bundle_names,
    faceset_entry,
    faceset_manifest,
    marker,
    thin_note,
    top_manifest,
    user_manifest,
)
from immich_facesets.facesets.curation import build_faceset, choose, curate
from immich_facesets.facesets.faceset import Check, EraYears, Faceset, FacesetFolder, Place, Verdict, digest

NOW = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
ERA = EraYears("2011", 2010, 2013)
TWICE = (Place("ben", "b-1", "/ben/1.jpg"), Place("anna", "a-1", "/anna/1.jpg"))


def top(*facesets: Faceset, space: str = "space", now: datetime = NOW, previous: bytes | None = None) -> bytes:
    return top_manifest([faceset_entry(each, 30) for each in facesets], space=space, now=now, previous=previous)


def parsed(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    assert isinstance(value, dict)
    return value


def with_left_out() -> Faceset:
    rows = [candidate(1, places=TWICE), candidate(2), candidate(3, of=face(3, size=50.0), user="ben")]
    checks = {1: Check(Verdict.OK, is_masked=True), 2: Check(Verdict.SECOND)}
    built = build_faceset(choose(curate(rows, vectors(3), RULES), checks), identity=1, label="Anna")
    assert built is not None
    return built


def test_the_top_manifest_has_the_keys_others_rely_on() -> None:
    manifest = parsed(top(faceset(32, label=None), faceset(era=ERA, folder=FacesetFolder.THIN)))
    assert list(manifest) == ["schema", "space", "generated_at", "facesets", "thin_eras", "candidates"]
    assert manifest["schema"] == 1
    assert manifest["generated_at"] == "2026-03-01T12:00:00Z"
    assert manifest["facesets"] == [
        {
            "name": "faceset_001",
            "identity": 1,
            "label": None,
            "era": None,
            "directory": "faceset_001",
            "faces": 32,
            "bundles": {"top": "faceset_001_top30.fsz", "all": "faceset_001_all.fsz"},
        }
    ]
    (thin,) = manifest["thin_eras"]
    assert thin["directory"] == "_thin/faceset_001_era_2011"
    assert thin["era"] == {"from": 2010, "to": 2013}


def test_facesets_stand_in_the_order_of_their_numbers() -> None:
    manifest = parsed(top(faceset(identity=10), faceset(identity=9), faceset(identity=9, era=ERA)))
    assert [entry["name"] for entry in manifest["facesets"]] == ["faceset_009", "faceset_009_era_2011", "faceset_010"]


def test_a_run_that_changes_nothing_changes_no_byte() -> None:
    before = top(faceset())
    assert top(faceset(), now=LATER, previous=before) == before


def test_the_clock_moves_when_facesets_thin_eras_or_the_space_change() -> None:
    before = top(faceset())
    changes = (
        top(faceset(4), now=LATER, previous=before),
        top(faceset(), faceset(era=ERA, folder=FacesetFolder.THIN), now=LATER, previous=before),
        top(faceset(), space="other", now=LATER, previous=before),
    )
    for after in changes:
        assert parsed(after)["generated_at"] == "2026-03-02T12:00:00Z"


def test_a_broken_manifest_on_disk_is_written_anew() -> None:
    for broken in (b"", b"{", b"[]", b'"text"', b"\xff"):
        assert top(faceset(), previous=broken) == top(faceset())


@pytest.mark.parametrize(
    "damaged",
    [{"identity": "two"}, {"identity": [2]}, {"identity": None}, {"name": 2}, {"directory": None}, {"bundles": None}],
)
def test_an_entry_that_was_damaged_by_hand_is_left_out_of_the_next_list(damaged: dict[str, Any]) -> None:
    whole = {"identity": 1, "name": "faceset_001", "directory": "faceset_001", "bundles": {"all": None}}
    found = entries_of({"facesets": [whole, whole | damaged, "text"], "thin_eras": {}})
    assert found == [whole]
    assert json.loads(top_manifest(found, space="s", now=NOW, previous=None))["facesets"] == [whole]
    assert json.loads(user_manifest_with("anna", [], {9}, {"facesets": [whole, whole | damaged]}))["facesets"] == [
        whole
    ]


def test_a_damaged_entry_does_not_keep_anybody_in_the_list() -> None:
    manifest = {"schema": 1, "facesets": [{"identity": [2]}, {"identity": 3}, {"name": "faceset_004"}]}
    kept = without_identities(manifest, frozenset({3}))
    assert kept is not None
    assert json.loads(kept)["facesets"] == [{"identity": [2]}, {"name": "faceset_004"}]


def test_the_manifest_of_a_faceset_has_the_keys_others_rely_on() -> None:
    manifest = parsed(faceset_manifest(with_left_out(), space="space", rules=RULES))
    assert {"schema", "name", "identity", "label", "era", "space", "settings", "faces", "left_out"} <= set(manifest)
    assert (manifest["schema"], manifest["name"], manifest["label"]) == (1, "faceset_001", "Anna")
    assert manifest["settings"]["pad_ratio"] == 0.5
    assert manifest["settings"]["out_size"] == 512
    assert manifest["settings"]["outlier"] == 0.45
    assert manifest["left_out"] == {"second_face_in_crop": 1, "too_small": 1}
    (first,) = manifest["faces"]
    assert first["file"] == "faces/0001.png"
    assert first["rank"] == 1
    assert first["box"] == [100.0, 100.0, 300.0, 340.0]
    assert first["sha256"] == sha256(1)
    assert first["taken"] == "2020-05-01"
    assert first["is_masked"] is True
    assert set(first["quality"]) == {"frontality", "det_score", "symmetry", "size", "sharpness", "inside", "light"}
    assert 0 < first["score"] <= 1
    assert 0 <= first["distance"] <= 0.45


def test_every_place_of_the_same_bytes_is_named_in_a_fixed_order() -> None:
    (first,) = parsed(faceset_manifest(with_left_out(), space="space", rules=RULES))["faces"]
    assert first["assets"] == [
        {"user": "anna", "asset_id": "a-1", "path": "/anna/1.jpg"},
        {"user": "ben", "asset_id": "b-1", "path": "/ben/1.jpg"},
    ]


def test_the_digest_follows_everything_the_files_are_made_of() -> None:
    plain = faceset(2)
    digests = {
        digest(faceset_manifest(each, space=space, rules=RULES))
        for each, space in (
            (plain, "space"),
            (plain, "other space"),
            (faceset(3), "space"),
            (faceset(2, label="Ben"), "space"),
            (faceset(2, identity=2), "space"),
            (faceset(2, era=ERA), "space"),
            (faceset(2, era=ERA, folder=FacesetFolder.THIN), "space"),
            (faceset(candidates=[candidate(1), candidate(2, is_minor=True)]), "space"),
            (faceset(candidates=[candidate(1), candidate(2, places=TWICE)]), "space"),
            (faceset(candidates=[candidate(1), candidate(2, taken=None)]), "space"),
        )
    }
    assert len(digests) == 10
    assert digest(faceset_manifest(faceset(2), space="space", rules=RULES)) in digests


def test_row_numbers_of_the_database_are_in_no_file() -> None:
    renumbered = [candidate(1, of=face(1)), candidate(2, of=face(2))]
    other = [candidate(number, of=type(face())(face_id=500 + number, **_fields(number))) for number in (1, 2)]
    one, two = faceset(candidates=renumbered), faceset(candidates=other)
    assert faceset_manifest(one, space="s", rules=RULES) == faceset_manifest(two, space="s", rules=RULES)


def _fields(number: int) -> dict[str, Any]:
    plain = face(number)
    return {name: getattr(plain, name) for name in ("sha256", "box", "landmarks", "det_score", "measures")}


def test_the_manifest_of_a_user_lists_all_assets_and_the_reason_of_omitted_ones() -> None:
    manifest = parsed(user_manifest("anna", [with_left_out()]))
    assert list(manifest) == ["schema", "user", "facesets"]
    (seen,) = manifest["facesets"]
    assert (seen["name"], seen["identity"], seen["label"]) == ("faceset_001", 1, "Anna")
    box = [100.0, 100.0, 300.0, 340.0]
    assert seen["assets"] == [
        {"asset_id": "a-1", "path": "/anna/1.jpg", "box": box, "file": "faces/0001.png", "left_out": None},
        {"asset_id": "asset-2", "path": "/photos/2.jpg", "box": box, "file": None, "left_out": "second_face_in_crop"},
    ]


def test_one_user_never_sees_anothers_assets() -> None:
    body = user_manifest("ben", [with_left_out(), faceset(identity=2)])
    assert b"anna" not in body
    assert [seen["name"] for seen in parsed(body)["facesets"]] == ["faceset_001"]
    assert parsed(user_manifest("carla", [with_left_out()]))["facesets"] == []


def test_a_faceset_of_minors_has_no_bundles() -> None:
    built = faceset(candidates=[candidate(number, is_minor=True) for number in (1, 2)])
    assert bundle_names(built, 30) == {"top": None, "all": None}
    assert parsed(faceset_manifest(built, space="s", rules=RULES))["left_out"] == {"minor_not_in_swap_bundles": 2}


def test_names_in_any_script_stay_readable_and_paths_that_are_no_text_survive() -> None:
    odd = (Place("anna", "id", "/photos/\udcff.jpg"),)
    body = faceset_manifest(faceset(label="Мария 🎉", candidates=[candidate(1, places=odd)]), space="s", rules=RULES)
    assert "Мария 🎉".encode() in body
    assert parsed(body)["faces"][0]["assets"][0]["path"] == "/photos/\udcff.jpg"


def test_the_marker_tells_who_from_where_and_how_many() -> None:
    text = marker(with_left_out()).decode()
    for line in (
        "Anna",
        "Faces: 1 of 3 known,",
        "Pictures of anna: 1",
        "Pictures of ben: 1",
        "Left out, too small: 1",
        "2020-05-01",
    ):
        assert line in text


def test_a_label_of_several_lines_stays_one_line_in_the_marker() -> None:
    assert marker(faceset(label="Anna\nFaces: 99")).decode().splitlines()[0] == "Anna Faces: 99"


def test_the_note_of_a_thin_era_says_how_few_faces_there_are() -> None:
    assert thin_note(faceset(3, era=ERA, folder=FacesetFolder.THIN)).startswith(b"faceset_001_era_2011 holds 3 faces.")
