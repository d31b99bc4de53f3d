"""Pre-flight files of a face set: a report and a contact sheet, both invisible to readers of face sets."""

import hashlib
import json
import zipfile
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
from artifact_builders import small, whole, written
from faceset_builders import candidate, face, faceset

from immich_facesets.exports.contact_sheet import MOST_CHOSEN, MOST_LEFT_OUT, draw_sheet
from immich_facesets.facesets.faceset import Faceset, FacesetFolder, Omission, Reason
from immich_facesets.facesets.preflight import check_faceset


def with_left_out(count: int = 5, left_out: int = 4) -> Faceset:
    built = faceset(count)
    omitted = tuple(
        Omission(candidate(number, of=face(number)), Reason.SECOND_FACE) for number in range(500, 500 + left_out)
    )
    return Faceset(1, "Zoë", None, FacesetFolder.MAIN, built.faces, omitted)


def sheet(built: Faceset) -> bytes:
    return draw_sheet(built, frozenset({1, 2}), check_faceset(built, 30), small)


def shape(body: bytes) -> tuple[int, int]:
    picture = cv2.imdecode(np.frombuffer(body, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.shape[0], picture.shape[1]


def with_small(built: Faceset, count: int) -> Faceset:
    """The face set with further faces that have no crop."""
    tiny = [
        replace(candidate(900 + number, of=face(900 + number, size=50.0)), crop_sha256=None) for number in range(count)
    ]
    return replace(built, omitted=(*built.omitted, *(Omission(one, Reason.SMALL) for one in tiny)))


def test_a_face_set_says_what_it_lacks_and_the_manifest_names_the_report_by_its_digest() -> None:
    files = written(whole(with_small(with_left_out(), 2)))
    manifest = json.loads(files["manifest.json"])
    assert manifest["notes"] == {
        "preflight.json": hashlib.sha256(files["preflight.json"]).hexdigest(),
        "contact_sheet.jpg": None,
    }
    assert list(files)[-1] == "manifest.json"
    report = json.loads(files["preflight.json"])
    assert report["left_out"] == manifest["left_out"] == {"second_face_in_crop": 4, "too_small": 2}
    assert report["known"] == manifest["known"] == report["faces"] + 6
    assert [one["crop_sha256"] for one in report["left_out_faces"] if one["reason"] == "too_small"] == [None] * 2
    assert report["findings"]
    with zipfile.ZipFile(BytesIO(files["faceset_001_all.fsz"])) as bundle:
        assert bundle.namelist() == [f"{number}.png" for number in range(5)]


def test_another_finding_makes_another_artifact_and_the_same_faces_the_same_bytes() -> None:
    one, same, other = whole(with_left_out()), whole(with_left_out()), whole(with_small(with_left_out(), 1))
    assert written(one) == written(same)
    assert one.digest == same.digest != other.digest


def test_candidates_get_no_report() -> None:
    built = Faceset(1, None, None, FacesetFolder.CANDIDATES, faceset(3).faces, ())
    files = written(whole(built))
    assert not {"preflight.json", "contact_sheet.jpg"} & set(files)
    assert not [name for name in files if name.endswith(".fsz")]


def test_each_candidate_says_whom_it_is_nearest_to_and_how_near() -> None:
    built = Faceset(7, None, None, FacesetFolder.CANDIDATES, faceset(3).faces, ())
    faces = json.loads(written(whole(built))["manifest.json"])["faces"]
    assert [one["nearest"] for one in faces] == [{"identity": 7, "distance": one["distance"]} for one in faces]
    assert "nearest" not in json.loads(written(whole(faceset(1)))["manifest.json"])["faces"][0]


def test_the_sheet_shows_every_crop_and_says_how_many_more_there_are() -> None:
    few = shape(sheet(with_left_out(8, 0)))
    assert shape(sheet(with_left_out(9, 0)))[0] > few[0]
    assert shape(sheet(with_left_out(8, 12)))[0] > few[0]
    full = with_left_out(MOST_CHOSEN, MOST_LEFT_OUT)
    fuller = Faceset(1, None, None, FacesetFolder.MAIN, full.faces * 2, full.omitted * 3)
    assert shape(sheet(fuller))[0] - shape(sheet(full))[0] < 60


def test_the_sheet_shows_the_crops_themselves_in_the_order_of_their_ranks() -> None:
    built = with_left_out(8, 0)
    picture = cv2.imdecode(np.frombuffer(sheet(built), dtype=np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    top = 22 * (1 + len(check_faceset(built, 30).findings)) + 2  # below the lines of text
    for place, one in enumerate(built.faces):
        shown = picture[top + 8 : top + 120, place * 132 + 10 : place * 132 + 122].astype(np.float64)
        gaps = [float(np.abs(shown - small(other.candidate, 128)[8:120, 8:120]).mean()) for other in built.faces]
        assert int(np.argmin(gaps)) == place, one
