"""``export`` with wrong arguments: each error names the remedy, before any file is opened."""

from pathlib import Path

import pytest
from service_process import tree
from synced_library import SyncedLibrary

from immich_facesets.errors import RequestError, SetupError
from service.cli.app import run


@pytest.fixture(autouse=True)
def _data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACESETS_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "x"], "--profile fsz"),
        (["--profile", "plain"], "FACESETS_EXPORT_PROFILES"),
        (["--profile", "kohia", "--to", "x"], "did you mean kohya"),
        (["--profile", "plain,kohya", "--to", "x"], "one profile at a time"),
        (["--profile", "", "--to", "x"], "one profile at a time"),
        (["--profile", "plain", "--person", "1", "--all", "--to", "x"], "exclude each other"),
        (["--profile", "plain", "--person", "1", "--person", "2", "--to", "x"], "give --person once"),
        (["--person", "1", "--all"], "exclude each other"),
        (["--profile", "xmp", "--person", "1", "--to", "x"], "about whole libraries"),
        (["--merge-into", "x"], "needs --profile xmp"),
        (["--profile", "plain", "--merge-into", "x"], "needs --profile xmp"),
        (["--profile", "xmp", "--to", "x", "--merge-into", "x"], "exclude each other"),
        (["--profile", "xmp", "--person", "1", "--merge-into", "x"], "about whole libraries"),
        (["--dry-run"], "needs --merge-into"),
    ],
)
def test_a_contradictory_request_is_refused(arguments: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=told):
        run(["export", *(str(tmp_path / item) if item == "x" else item for item in arguments)])
    assert list(tmp_path.iterdir()) == []


def test_a_copy_never_lands_in_the_export_folder(tmp_path: Path) -> None:
    (tmp_path / "data/exports").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data/exports")
    for way in ("data/exports", "data/exports/mine", "link", "link/mine"):
        with pytest.raises(RequestError, match="outside the export folder"):
            run(["export", "--profile", "plain", "--to", str(tmp_path / way)])


@pytest.mark.parametrize("place", ["album/mine", "data/mine", "."])
async def test_a_copy_never_lands_where_pictures_are_looked_for(synced_library: SyncedLibrary, place: str) -> None:
    root = synced_library.album.parent
    before = tree(synced_library.album)
    refused = await synced_library.run("export", "--profile", "plain", "--to", root / place, code=3)
    assert "a source or a folder of this program" in refused.stderr
    assert tree(synced_library.album) == before
    assert not (root / "data/mine").exists()


def test_an_unknown_profile_is_a_setup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESETS_EXPORT_PROFILES", "fsz,imagefold")
    with pytest.raises(SetupError, match=r"FACESETS_EXPORT_PROFILES: knows no such profile .did you mean imagefolder"):
        run(["export"])


async def test_a_copy_of_another_framing_names_the_source_whose_originals_it_needs(
    synced_library: SyncedLibrary, tmp_path: Path
) -> None:
    """No setting names an Immich; the pictures of its users cannot be had, and nothing is written."""
    wanted = ("--profile", "plain:1:64:original", "--to", tmp_path / "copy")
    refused = await synced_library.copy(tmp_path).run("export", *wanted, code=2)
    assert "originals of " in refused.stderr
    assert "run 'immich-facesets sync'" in refused.stderr
    assert not list((tmp_path / "copy").rglob("*.png"))
