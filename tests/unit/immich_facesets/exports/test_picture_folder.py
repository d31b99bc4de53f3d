"""Folders of pictures: FaceFusion reads them in the order of their names, and of some only the first."""

import json
from pathlib import Path

import numpy as np
import pytest
from artifact_builders import form, put
from faceset_builders import faceset
from PIL import Image

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tiff", ".webp")


def sources(folder: Path) -> list[Path]:
    """The files that FaceFusion takes as sources: the shell sorts them, and what is no picture is left out."""
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGES]


@pytest.mark.parametrize("profile", ["facefusion", "plain"])
def test_the_order_of_names_is_that_of_ranks_so_that_the_first_file_is_the_best(profile: str, tmp_path: Path) -> None:
    folder = put(tmp_path, form(f"{profile}:0", faceset(12)))
    faces = json.loads((folder / "manifest.json").read_bytes())["faces"]
    assert [path.name for path in sources(folder)] == [face["file"] for face in faces]
    assert [face["rank"] for face in faces] == list(range(1, 13))
    assert faces[0]["score"] == max(face["score"] for face in faces)


@pytest.mark.parametrize("name", ["png", "jpg", "webp"])
def test_every_source_is_a_plain_picture_of_three_channels(name: str, tmp_path: Path) -> None:
    folder = put(tmp_path, form(f"facefusion:4:128:{name}", faceset(4)))
    shown = [np.asarray(Image.open(path)) for path in sources(folder)]
    assert [picture.shape for picture in shown] == [(128, 128, 3)] * 4
