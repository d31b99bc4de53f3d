"""The folder of the shared test data: real models, labelled photos, recorded answers. It is not in the repository."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared_data() -> Path:
    """The folder of the shared test data; skips the calling test where it is missing."""
    folder = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared").resolve()
    if not (folder / "data" / "labels.csv").is_file():
        pytest.skip(f"no shared test data at {folder.name!r}: set FACESETS_TEST_DATA to its folder")
    return folder
