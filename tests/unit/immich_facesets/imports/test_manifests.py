"""Manifests of other tools: recognised by their common keys, with every error reported."""

import json
from typing import Any

import pytest
from faceset_builders import RULES, faceset, sha256
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.exports.manifests import faceset_entry, faceset_manifest
from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import EraYears
from immich_facesets.imports.findings import Findings
from immich_facesets.imports.manifests import SetFolder, read_sets
from immich_facesets.imports.sorted_faces import Period, SortedSet

FACE = {"file": "0001.png", "source": "/photos/a.jpg", "box": [1, 2, 30, 40]}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def read(*folders: SetFolder, top: Any = None) -> tuple[tuple[SortedSet, ...], Findings]:
    findings = Findings()
    return read_sets(None if top is None else body(top), folders, findings), findings


def test_our_own_export_is_read_with_its_eras() -> None:
    one, era = faceset(3, identity=7), faceset(2, identity=7, era=EraYears("2011", 2010, 2013))
    folders = [SetFolder(each.directory, faceset_manifest(each, space="s", rules=RULES)) for each in (one, era)]
    (found,), findings = read(*folders, top={"facesets": [faceset_entry(each, 30) for each in (one, era)]})
    assert findings.problems == []
    assert (found.number, found.name, found.label) == (7, "faceset_007", "Anna")
    assert [face.sha256 for face in found.faces] == [sha256(1), sha256(2), sha256(3)]
    assert found.faces[0].places == ("/photos/1.jpg",)
    assert found.faces[0].box == Box(100, 100, 300, 340)
    assert found.periods == (Period("2011", 2010, 2013),)
    assert [face.period is None for face in found.faces] == [False, False, True]


@pytest.mark.parametrize(
    "entry",
    [
        {"path": "/photos/a.jpg", "bbox": [1, 2, 30, 40]},
        {"source_path": "/photos/a.jpg", "box": {"x1": 1, "y1": 2, "x2": 30, "y2": 40}},
        {"src": "/photos/a.jpg", "face_box": [1.0, 2.0, 30.0, 40.0], "aliases": []},
        {"assets": [{"user": "anna", "asset_id": "x", "path": "/photos/a.jpg"}], "box": [1, 2, 30, 40]},
    ],
)
def test_a_face_is_read_however_its_keys_are_called(entry: dict[str, Any]) -> None:
    (found,), findings = read(SetFolder("faceset_001", body({"faces": [entry]})))
    assert findings.problems == []
    (face,) = found.faces
    assert (face.places, face.box) == (("/photos/a.jpg",), Box(1, 2, 30, 40))


def test_the_name_comes_from_the_manifest_or_else_from_the_marker() -> None:
    one = SetFolder("faceset_001", body({"label": "Ida", "faces": []}), ("Anna",))
    two = SetFolder("faceset_002", body({"faces": []}), ("THIN", "Ben"))
    three = SetFolder("faceset_003", body({"faces": []}), ("faceset_003",))
    four = SetFolder("faceset_004", body({"faces": []}), ("Cleo", "Dora"))
    found, _ = read(one, two, three, four, top={"facesets": {"faceset_003": {"label": None}, "faceset_004": {}}})
    assert [each.label for each in found] == ["Ida", "Ben", None, None]


def test_thin_eras_belong_to_their_person_and_years_may_stand_in_the_name() -> None:
    folders = (
        SetFolder("faceset_012", body({"faces": [FACE]})),
        SetFolder("_thin/faceset_012_era_2001-2004", body({"faces": [{**FACE, "source": "/photos/b.jpg"}]})),
    )
    (found,), _ = read(*folders, top={"facesets": [{"name": "faceset_012"}], "thin_eras": []})
    assert found.periods == (Period("2001-2004", 2001, 2004),)
    assert len(found.faces) == 2


def test_a_set_that_is_gone_keeps_its_number_and_its_name() -> None:
    (found,), findings = read(top={"facesets": [{"directory": "faceset_005", "label": "Eve"}]})
    assert (found.number, found.label, found.faces) == (5, "Eve", ())
    assert "faceset_005: named in manifest.json and not there" in findings.missing[0]
    assert findings.problems == []


def test_a_face_that_names_no_picture_is_left_out_and_told() -> None:
    (found,), findings = read(SetFolder("faceset_001", body({"faces": [FACE, {"file": "0002.png"}]})))
    assert len(found.faces) == 1
    assert any("1 face without a path or a digest" in line for line in findings.missing)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no JSON": ({"folders": [SetFolder("faceset_001", b'{"faces": [')]}, "faceset_001/manifest.json is no JSON"),
    "a list": ({"folders": [SetFolder("faceset_001", b"[]")]}, "holds no JSON object"),
    "faces of text": ({"folders": [SetFolder("faceset_001", body({"faces": ["a"]}))]}, "'faces' is no list of objects"),
    "entries of text": ({"top": {"facesets": ["a"]}}, "'facesets' is no list of objects"),
    "number nought": ({"folders": [SetFolder("faceset_000", body({"faces": []}))]}, "are from 1 to"),
    "a huge number": ({"folders": [SetFolder("faceset_" + "9" * 30, body({"faces": []}))]}, "are from 1 to"),
    "nothing": ({}, "there are no face sets"),
}


@pytest.mark.parametrize("name", WRONG)
def test_whatever_is_wrong_with_manifests_is_told(name: str) -> None:
    case, told = WRONG[name]
    _, findings = read(*case.get("folders", ()), top=case.get("top"))
    assert told in " ".join(findings.problems)


@pytest.mark.parametrize("name", ["person_1", "faceset_" + "9" * 10, "faceset_001_era_20\\11"])
def test_an_entry_with_a_foreign_name_is_left_out_and_stops_no_other(name: str) -> None:
    own = SetFolder("faceset_002", body({"faces": [FACE]}))
    (found,), findings = read(own, top={"facesets": [{"name": name}, {"name": "faceset_002"}]})
    assert (found.number, len(found.faces)) == (2, 1)
    assert findings.problems == []
    assert any("is not called faceset_NNN" in line and line.endswith("left out") for line in findings.missing)


def test_a_text_file_that_several_people_have_is_nobodys_name() -> None:
    folders = (
        SetFolder("faceset_001", body({"faces": []}), ("origin", "Anna")),
        SetFolder("faceset_001_era_2011", body({"faces": []}), ("origin", "Anna")),
        SetFolder("faceset_002", body({"faces": []}), ("Origin",)),
        SetFolder("faceset_003", body({"faces": []}), ("osrc",)),
    )
    found, findings = read(*folders)
    assert [each.label for each in found] == ["Anna", None, None]
    assert "'origin.txt' lies in the folders of 2 people, so that it is nobody's name" in findings.missing


def test_every_wrong_face_is_counted_and_the_first_is_named() -> None:
    faces = [FACE, {**FACE, "box": [9, 9, 1, 1]}, {**FACE, "box": [1, 2]}, {**FACE, "sha256": "abc"}]
    _, findings = read(SetFolder("faceset_001", body({"faces": faces})), SetFolder("faceset_002", b"{"))
    told = " ".join(findings.problems)
    assert "2 faces (first: faces[1]): its box" in told
    assert "1 face (first: faces[3]): its digest" in told
    assert "faceset_002/manifest.json is no JSON" in told


KEYS = ("faces", "facesets", "thin_eras", "name", "label", "era", "box", "sha256", "path", "assets", "from")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("faceset_001")
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(top=ANYTHING, inner=ANYTHING, raw=st.binary(max_size=20))
def test_no_manifest_is_an_accident(top: Any, inner: Any, raw: bytes) -> None:
    folders = (
        SetFolder("faceset_001", body({"faces": [inner], "era": inner})),
        SetFolder("faceset_002_era_2011", body(inner)),
        SetFolder("faceset_003", raw),
    )
    read(*folders, top=top)
