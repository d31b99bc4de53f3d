"""``preflight``: its report on the export folder, and its message where the folder is empty."""

import json
from pathlib import Path

import pytest
from artifact_builders import whole
from faceset_builders import faceset

from immich_facesets.errors import RequestError
from service.cli.app import run
from service.files.export_tree import ExportTree


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FACESETS_EXPORT_DIR", str(tmp_path))
    tree = ExportTree(tmp_path)
    for number in (1, 2):
        made = whole(faceset(3, identity=number, label=f"Anna {number}"))
        tree.write_directory(made.path, made.files())
    return tmp_path


def test_what_face_sets_lack_is_printed(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preflight"]) == 0
    told = capsys.readouterr().out
    assert "faceset_001: faces 3, days 3, undated 0" in told
    assert "- no face is seen from the side" in told
    assert "faceset_002" in told
    (exports / "faceset_001/preflight.json").write_bytes(b"[]")
    assert run(["preflight"]) == 0
    assert "faceset_001" not in capsys.readouterr().out


def test_one_person_is_printed_as_json(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preflight", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["faceset_002"]
    assert report["faceset_002"] == json.loads((exports / "faceset_002/preflight.json").read_bytes())


@pytest.mark.usefixtures("exports")
def test_who_has_no_face_set_is_said_to_have_none() -> None:
    with pytest.raises(RequestError, match="no face set of identity 3"):
        run(["preflight", "3"])


def test_a_lost_report_makes_the_face_set_one_to_be_written_again(exports: Path) -> None:
    (exports / "faceset_001/contact_sheet.jpg").unlink()
    assert ExportTree(exports).digest_of("faceset_001") == ""
    assert ExportTree(exports).digest_of("faceset_002")
