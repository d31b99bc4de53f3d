"""A data folder that had a database and has none any more stops, and says how to restore it."""

from pathlib import Path

import pytest

from immich_facesets.errors import SetupError
from service.settings import Settings
from service.storage import open_own_store, prepare_data_dir


@pytest.mark.parametrize("left", ["crops/ab/cd.png", "exports/facesets/faceset_001/001.png"])
@pytest.mark.parametrize("database", ["missing", "empty"])
def test_a_database_that_is_gone_is_not_begun_anew(tmp_path: Path, left: str, database: str) -> None:
    settings = Settings(data_dir=tmp_path)
    folder = prepare_data_dir(settings)
    with open_own_store(settings, folder):
        pass
    (tmp_path / left).parent.mkdir(parents=True)
    (tmp_path / left).write_bytes(b"a picture")
    with open_own_store(settings, folder):
        pass
    kept = (tmp_path / "facesets.db").read_bytes()
    for path in tmp_path.glob("facesets.db*"):
        path.unlink()
    if database == "empty":
        (tmp_path / "facesets.db").touch()
    for _ in range(2):
        with (
            pytest.raises(SetupError, match=r"facesets\.db.*empty or missing.*restore"),
            open_own_store(settings, folder),
        ):
            pass
    (tmp_path / "facesets.db").write_bytes(kept)
    with open_own_store(settings, folder):
        pass
    assert (tmp_path / left).read_bytes() == b"a picture"


def test_a_new_folder_with_empty_folders_begins(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (tmp_path / "crops").mkdir()
    with open_own_store(settings, prepare_data_dir(settings)):
        pass


def test_exports_elsewhere_say_nothing_of_this_database(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", export_dir=tmp_path / "exports")
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "manifest.json").write_text("{}")
    with open_own_store(settings, prepare_data_dir(settings)):
        pass
