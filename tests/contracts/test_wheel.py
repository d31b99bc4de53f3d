"""The wheel: it holds the documents that the pages show, besides the packages."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_every_document_and_what_the_pages_need(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if name.startswith("service/web/")}
    for document in (ROOT / "docs").glob("*.md"):
        assert held[f"service/web/docs/{document.name}"] == document.read_bytes()
    for folder in ("templates", "static"):
        for path in (ROOT / "service/web" / folder).iterdir():
            assert f"service/web/{folder}/{path.name}" in held


def test_an_editable_install_copies_nothing(tmp_path: Path) -> None:
    build = f"from hatchling.build import build_editable; build_editable({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        assert {name.partition("/")[0].rpartition(".")[2] for name in archive.namelist()} == {"pth", "dist-info"}
