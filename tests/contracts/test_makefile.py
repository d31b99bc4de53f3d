"""``make run`` passes the folder to the program as it was written, whatever is in its name."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from testdata import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")

ECHO = '#!/bin/sh\nfor one in "$@"; do printf \'%s\\n\' "$one"; done\n'


def run(tmp_path: Path, *arguments: str, **environ: str) -> list[str]:
    """Run ``make run`` with a program that prints its arguments, one a line."""
    program = tmp_path / "bin" / "immich-facesets"
    program.parent.mkdir(exist_ok=True)
    program.write_text(ECHO, encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / ".installed").touch()
    found = subprocess.run(
        ["make", "--silent", "run", f"VENV={tmp_path}", *arguments],
        cwd=ROOT,
        env={**{name: value for name, value in os.environ.items() if name != "PHOTOS"}, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.splitlines()


def test_without_photos_nothing_is_said_about_them(tmp_path: Path) -> None:
    assert run(tmp_path) == ["run"]


@pytest.mark.parametrize("folder", ["~/Pictures", "/srv/two words", "/srv/$HOME and 'more' \"quotes\"", "-x", "/a#b"])
def test_a_folder_is_passed_as_it_is_written(tmp_path: Path, folder: str) -> None:
    assert run(tmp_path, f"PHOTOS={folder}") == ["run", f"--photos={folder}"]
    assert run(tmp_path, PHOTOS=folder) == ["run", f"--photos={folder}"]
