"""XMP sidecars, read by ExifTool and compared with pixels stored in all eight orientations."""

import io
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faceset_builders import face, sha256
from numpy.typing import NDArray
from orientations import FROM_UPRIGHT
from PIL import Image, ImageOps

from immich_facesets.exports.artifacts import form_of_library
from immich_facesets.exports.library import LibraryFace, PlacedPicture, UserLibrary
from immich_facesets.exports.xmp import (
    XMP,
    Frame,
    PictureRegions,
    lay_out,
    of_regions,
    regions_in,
    sidecar,
)
from immich_facesets.faces import Box

WIDTH, HEIGHT = 400, 300
PATCHES = {"Anna": Box(40, 60, 120, 160), 'Ben "B" <& Söhne>': Box(300, 200, 380, 280)}
COLOURS = {"Anna": (255, 0, 0), 'Ben "B" <& Söhne>': (0, 0, 255)}


def upright() -> Image.Image:
    pixels = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for name, box in PATCHES.items():
        pixels[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = COLOURS[name]
    return Image.fromarray(pixels)


def stored(orientation: int) -> bytes:
    """The picture as a file with this EXIF orientation."""
    image = upright() if orientation == 1 else upright().transpose(FROM_UPRIGHT[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    with Image.open(stream) as opened:
        assert ImageOps.exif_transpose(opened).tobytes() == upright().tobytes()
    return stream.getvalue()


def regions(orientation: int = 1) -> PictureRegions:
    frame = Frame(WIDTH, HEIGHT, orientation)
    return PictureRegions(frame, regions_in(PATCHES.items(), frame))


def told_by_exiftool(folder: Path, body: bytes) -> dict[str, Any]:
    if shutil.which("exiftool") is None:
        pytest.skip("ExifTool is not installed: on Debian it is libimage-exiftool-perl, which 'make setup' installs")
    path = folder / "a.jpg.xmp"
    path.write_bytes(body)
    run = subprocess.run(
        ["exiftool", "-config", "", "-json", "-struct", "-validate", "-warning", "-XMP:all", str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (found,) = json.loads(run.stdout)
    assert "Warning" not in found
    assert isinstance(found, dict)
    return found


def is_filled(pixels: NDArray[np.uint8], area: tuple[float, float, float, float], colour: tuple[int, ...]) -> bool:
    """Return whether exactly the area (x1, y1, x2, y2 in shares) is of one colour."""
    height, width = pixels.shape[:2]
    x1, x2 = (round(edge * width) for edge in area[::2])
    y1, y2 = (round(edge * height) for edge in area[1::2])
    shown = (pixels == colour).all(axis=2)
    return bool(shown[y1:y2, x1:x2].all()) and int(shown.sum()) == (y2 - y1) * (x2 - x1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_kinds_of_regions_lie_on_the_faces_in_the_stored_picture(tmp_path: Path, orientation: int) -> None:
    with Image.open(io.BytesIO(stored(orientation))) as image:
        pixels = np.asarray(image)
    found = told_by_exiftool(tmp_path, sidecar(regions(orientation)))
    group = found["RegionInfo"]
    assert group["AppliedToDimensions"] == {"W": pixels.shape[1], "H": pixels.shape[0], "Unit": "pixel"}
    assert {region["Name"] for region in group["RegionList"]} == set(PATCHES)
    for region in group["RegionList"]:
        assert region["Type"] == "Face"
        area = region["Area"]
        assert area["Unit"] == "normalized"
        x, y, w, h = (float(area[key]) for key in "XYWH")
        assert is_filled(pixels, (x - w / 2, y - h / 2, x + w / 2, y + h / 2), COLOURS[region["Name"]])
    people = found["RegionInfoMP"]["Regions"]
    assert {region["PersonDisplayName"] for region in people} == set(PATCHES)
    for region in people:
        x, y, w, h = (float(number) for number in region["Rectangle"].split(","))
        assert is_filled(pixels, (x, y, x + w, y + h), COLOURS[region["PersonDisplayName"]])


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_box_that_lies_partly_outside_is_cut_at_the_edge(orientation: int) -> None:
    frame = Frame(WIDTH, HEIGHT, orientation)
    found = regions_in([("Anna", Box(-50, -20, 200, 150)), ("Ben", Box(500, 0, 600, 90))], frame)
    assert [name for name, _ in found] == ["Anna"]
    ((_, area),) = found
    assert (area.width, area.height) == (0.5, 0.5)
    assert min(area.x1, area.y1) >= 0
    assert max(area.x2, area.y2) <= 1


def test_people_without_a_name_or_a_place_are_not_in_it() -> None:
    frame = Frame(WIDTH, HEIGHT, 1)
    assert regions_in([], frame) == ()
    assert regions_in([(" \x00\n", Box(0, 0, 50, 50))], frame) == ()
    assert regions_in([("Ben", Box(500, 0, 600, 90))], frame) == ()


def test_any_name_gives_well_formed_xml() -> None:
    names = ["a\x0bb\x00", "tab\tand\nline", "\ud800lone", "]]>&amp;", "'\"", "\ufffe", "🙂"]
    frame = Frame(WIDTH, HEIGHT, 1)
    found = regions_in([(name, PATCHES["Anna"]) for name in names], frame)
    root = ET.fromstring(sidecar(PictureRegions(frame, found)))  # noqa: S314 - our own bytes
    told = [item.text for item in root.iter("{http://www.metadataworkinggroup.com/schemas/regions/}Name")]
    assert sorted(filter(None, told)) == sorted(["a b", "tab and line", "lone", "]]>&amp;", "'\"", "🙂"])


def library(*orientations: int | None, path: str = "/a.jpg", label: str | None = "Anna") -> UserLibrary:
    """Pictures of one person, with these orientations."""
    pictures = [
        PlacedPicture("anna", "", f"/{number}{path}", sha256(number), WIDTH, HEIGHT, orientation, has_faces=True)
        for number, orientation in enumerate(orientations)
    ]
    faces = [replace(face(number), sha256=sha256(number), box=PATCHES["Anna"]) for number in range(len(orientations))]
    return UserLibrary("anna", "s", tuple(pictures), tuple(LibraryFace(item, 1, label) for item in faces))


def test_the_sidecars_of_a_user_are_written_anew_only_when_one_says_something_else() -> None:
    usual = form_of_library(XMP, library(1), "anna")
    again = form_of_library(XMP, library(1), "anna")
    other = form_of_library(XMP, library(6), "anna")
    assert usual is not None
    assert again is not None
    assert other is not None
    assert usual.digest == again.digest != other.digest
    assert [name for name, _ in usual.files()] == ["0/a.jpg.xmp", "manifest.json"]
    assert (usual.path, usual.entry["faces"]) == ("_profiles/xmp/anna", 1)
    assert lay_out(library(None, None, None)) is None
    named = {"a.jpg.xmp": regions()}
    assert of_regions(named, {"orientation_unknown": 0}).manifest == of_regions(named, {}).manifest


def test_pictures_without_a_sidecar_are_counted_by_reason_and_those_without_a_named_person_are_not() -> None:
    mixed = lay_out(library(1, None, 3, None))
    assert mixed is not None
    assert mixed.manifest["left_out"] == {"orientation_unknown": 2}
    assert lay_out(library(1, path="/a\\b.jpg")) is None
    assert lay_out(library(1, label=None)) is None
