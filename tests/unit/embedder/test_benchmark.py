"""The ``bench`` command of the embedder: it measures the settings and recommends one of the measured ones."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from embedder_scene import picture

from embedder.benchmark import Speed, read_pictures
from immich_facesets.errors import SetupError


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "embedder", "bench", "--seconds", "0.05", *arguments]
    environ = {"FACESETS_EMBEDDER_ENGINE": "synthetic", "FACESETS_EMBEDDER_THREADS": "2", "PATH": ""}
    root = Path(__file__).resolve().parents[3]
    return subprocess.run(command, env=environ, cwd=root, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_the_recommended_settings_are_those_of_the_fastest_row(tmp_path: Path) -> None:
    for shade in (60, 120):
        (tmp_path / f"{shade}.png").write_bytes(picture(shade=shade))
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    ended = bench("--pictures", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines() if re.fullmatch(r"[\d. ]+", line)]
    assert {(row[0], row[1]) for row in rows} == {("1", "1"), ("1", "16"), ("2", "1"), ("2", "16")}
    assert all(float(number) > 0 for row in rows for number in row[2:4])
    threads, batch, *_ = max(rows, key=lambda row: float(row[4]))
    fastest = max(float(row[4]) for row in rows)
    ties = [(row[0], row[1]) for row in rows if float(row[4]) == fastest]
    said = re.search(r"THREADS=(\d+)\n.*BATCH=(\d+)", ended.stdout)
    assert said is not None
    assert said.groups() in ties or said.groups() == (threads, batch)


def test_a_folder_without_pictures_says_what_to_do(tmp_path: Path) -> None:
    empty = bench("--pictures", str(tmp_path))
    assert empty.returncode == 3
    assert "name a folder with photos" in empty.stderr
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    texts = bench("--pictures", str(tmp_path))
    assert texts.returncode == 3
    assert "none of the files could be read" in texts.stderr
    with pytest.raises(SetupError, match="no folder"):
        read_pictures(tmp_path / "missing")


def test_a_librarys_speed_counts_finding_and_recognising() -> None:
    assert Speed(1, 1, pictures=10, faces=20).library == pytest.approx(5)
