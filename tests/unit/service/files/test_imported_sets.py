"""Files of another tool in a folder: manifests by other names, and people of whom no face is known."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from faceset_builders import sha256

from immich_facesets.imports.findings import Findings
from service.files.imported_sets import read_earlier

FACE = {"source": "/photos/a.jpg", "box": [1, 2, 30, 40]}


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def test_the_only_manifest_of_another_name_is_read_and_told(tmp_path: Path) -> None:
    put(tmp_path / "faceset_001/refine_manifest.json", {"faces": [FACE]})
    findings = Findings()
    (found,) = read_earlier(tmp_path, (), findings)
    assert len(found.faces) == 1
    assert findings.found == ["faceset_001/refine_manifest.json, in place of manifest.json"]
    assert findings.problems == []


def test_people_without_a_face_are_told(tmp_path: Path) -> None:
    put(tmp_path / "refine_manifest.json", {"facesets": [{"name": "faceset_001"}, {"name": "faceset_002"}]})
    put(tmp_path / "faceset_002/manifest.json", {"faces": [FACE]})
    findings = Findings()
    found = read_earlier(tmp_path, (), findings)
    assert [len(one.faces) for one in found] == [0, 1]
    assert "faceset_001: no face is known, and the number and the name alone are kept" in findings.missing


def test_what_the_records_of_a_cache_state_is_not_called_missing(tmp_path: Path) -> None:
    put(tmp_path / "faceset_001/manifest.json", {"faces": [FACE]})
    records = [{"path": "/photos/a.jpg", "sha256": sha256(1), "bbox": [1, 2, 30, 40]}]
    np.savez(tmp_path / "cache.npz", meta=np.array(json.dumps(records)), embedding=np.zeros((1, 8), np.float32))
    findings = Findings()
    read_earlier(tmp_path, (tmp_path / "cache.npz",), findings)
    assert findings.problems == []
    assert "1 faces in a cache" in findings.found
    assert not [line for line in findings.missing if line.split(":")[0] in {"path", "sha256", "box"}]


@pytest.mark.parametrize("name", ["school", "2011_2", "1980-1984", "e\u0301cole", "before the war"])
def test_a_period_keeps_its_name(tmp_path: Path, name: str) -> None:
    put(tmp_path / f"faceset_001_era_{name}/manifest.json", {"faces": [FACE]})
    findings = Findings()
    (found,) = read_earlier(tmp_path, (), findings)
    assert findings.problems == []
    assert [period.name for period in found.periods] == [unicodedata.normalize("NFC", name)]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a:b"], "faceset_001_era_a_b"),
        (["what?"], "no folder can be called so everywhere"),
        (["2011 "], "'faceset_001_era_2011'"),
        (["x" * 61], "longer than 60 characters"),
        ([""], "longer than 60 characters, or none"),
        (["School", "school"], "differs only in case"),
    ],
)
def test_a_period_whose_name_cannot_be_one_here_is_refused(tmp_path: Path, names: list[str], told: str) -> None:
    for number, name in enumerate(names):
        face = FACE | {"source": f"/photos/{number}.jpg"}
        put(tmp_path / f"faceset_001_era_{name}/manifest.json", {"faces": [face]})
    findings = Findings()
    read_earlier(tmp_path, (), findings)
    (problem,) = findings.problems
    assert told in problem
