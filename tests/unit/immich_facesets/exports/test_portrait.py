"""One picture of each person: which it is, and that its readers list it. A journey looks for the face in it."""

from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from artifact_builders import form, maybe, put, written
from faceset_builders import candidate, face, faceset

from immich_facesets.exports.face_choice import picked
from immich_facesets.exports.portrait import PORTRAIT
from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import EraYears, Faceset

LISTED = (".png", ".jpg", ".jpeg", ".gif", ".bmp")
"""The pictures that the window of Deep-Live-Cam lists; ComfyUI lists these, too."""


def chosen(built: Faceset) -> int:
    (one,) = picked(built, 1, is_for_swapping=True, weights=PORTRAIT.weights)
    return one.candidate.face.face_id


def test_there_is_one_picture_of_1024_pixels_named_by_the_person(tmp_path: Path) -> None:
    folder = put(tmp_path, form("portrait", faceset(9)))
    (file,) = [path for path in folder.iterdir() if path.suffix in LISTED]
    assert file.name == "Anna.png"
    shown = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    assert shown.shape == (1024, 1024, 3)


def test_an_era_has_its_own_and_several_are_numbered() -> None:
    era = faceset(3, era=EraYears("2011", 2010, 2012))
    assert "Anna 2011.png" in written(form("portrait", era))
    assert {"Anna 0001.jpg", "Anna 0002.jpg"} <= written(form("portrait:2:256:jpg")).keys()


def test_a_large_face_is_taken_before_a_small_one_and_a_sharp_one_before_a_blurred_one() -> None:
    sizes = {1: 120.0, 2: 480.0, 3: 120.0}
    assert chosen(faceset(candidates=[candidate(n, of=face(n, size=size)) for n, size in sizes.items()])) == 2
    blurs = {1: 60.0, 2: 60.0, 3: 900.0}
    assert chosen(faceset(candidates=[candidate(n, of=face(n, blur=blur)) for n, blur in blurs.items()])) == 3


def test_a_frontal_face_is_taken_before_a_turned_one() -> None:
    yaws = {1: 40.0, 2: 0.0, 3: -40.0}
    assert chosen(faceset(candidates=[candidate(n, of=face(n, yaw=yaw)) for n, yaw in yaws.items()])) == 2


@pytest.mark.parametrize("change", [{"frame": Box(0.2, 0.2, 0.9, 0.9)}, {"is_masked": True}])
def test_a_crop_with_one_face_in_its_middle_is_taken_before_any_other(change: dict[str, object]) -> None:
    """A closer frame leaves out a second face, and has the face beside its middle; a painted crop shows the paint."""
    built = faceset(4)
    first = chosen(built)
    moved = [replace(one, **change) if one.candidate.face.face_id == first else one for one in built.faces]  # type: ignore[arg-type]  # two types
    assert chosen(replace(built, faces=tuple(moved))) != first


def test_no_picture_of_a_minor_is_written_though_it_would_be_the_best() -> None:
    best = candidate(1, of=face(1, size=480.0), is_minor=True)
    assert chosen(faceset(candidates=[best, candidate(2), candidate(3)])) != 1
    assert maybe("portrait", faceset(candidates=[best])) is None
