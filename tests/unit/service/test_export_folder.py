"""The export folder: made at the first run, and never in the place of a disk that is not mounted."""

import json
from pathlib import Path

import pytest

from immich_facesets.errors import SetupError
from immich_facesets.exports.manifests import SCHEMA
from service.settings import Settings
from service.storage import open_own_exports, open_own_store, prepare_data_dir


def settings_of(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", export_dir=tmp_path / "disk" / "exports")


def open_once(settings: Settings) -> None:
    with open_own_store(settings, prepare_data_dir(settings)) as store:
        open_own_exports(settings, store)


def test_it_is_made_with_its_parents_at_the_first_run_alone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    open_once(settings)
    assert settings.export_dir.is_dir()
    settings.export_dir.rmdir()
    for _ in range(2):
        with pytest.raises(SetupError, match="does not exist: create or mount it"):
            open_once(settings)
    assert not settings.export_dir.exists()


def test_one_in_the_data_folder_is_made_at_any_time(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    for _ in range(2):
        open_once(settings)
        settings.export_dir.rmdir()


def test_face_sets_that_an_empty_database_cannot_have_written_stop_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.export_dir.mkdir(parents=True)
    manifest = settings.export_dir / "manifest.json"
    manifest.write_text(json.dumps({"schema": SCHEMA, "facesets": [{"name": "faceset_001"}]}), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(SetupError, match=r"has face sets, but the data folder .* knows no person"):
            open_once(settings)
    manifest.write_text(json.dumps({"schema": SCHEMA, "facesets": []}), encoding="utf-8")
    open_once(settings)


def test_a_place_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / "disk").touch()
    with pytest.raises(SetupError, match=r"FACESETS_EXPORT_DIR is .*, and a file is in the way"):
        open_once(settings)
