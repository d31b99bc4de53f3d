"""Files of a face set's directory, and what readers find in them."""

import io
import zipfile

from faceset_builders import candidate, face, faceset, gathered

from immich_facesets.exports.face_choice import picked
from immich_facesets.exports.fsz import faceset_files
from immich_facesets.exports.manifests import bundle_names
from immich_facesets.facesets.faceset import EraYears, ExportFace, Faceset, FacesetFolder


def drawn(face: ExportFace) -> bytes:
    return f"picture of {face.candidate.face.face_id}".encode()


def written(built: Faceset, top: int = 2) -> dict[str, bytes]:
    return gathered(faceset_files(built, manifest=b"{}", top=top, picture=drawn))


def bundled(body: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return [archive.read(entry) for entry in archive.infolist()]


def test_a_faceset_holds_its_faces_two_bundles_a_marker_and_the_manifest_last() -> None:
    assert list(written(faceset(3))) == [
        "faces/0001.png",
        "faces/0002.png",
        "faces/0003.png",
        "faceset_001_top2.fsz",
        "faceset_001_all.fsz",
        "Anna.txt",
        "manifest.json",
    ]


def test_the_small_bundle_holds_those_that_are_picked_for_it_and_the_other_all_both_by_rank() -> None:
    built = faceset(5)
    files = written(built)
    small = [drawn(face) for face in picked(built, 2, is_for_swapping=True)]
    ranked = [drawn(face) for face in built.faces]
    assert bundled(files["faceset_001_top2.fsz"]) == small
    assert len(small) == 2
    assert bundled(files["faceset_001_all.fsz"]) == ranked


def test_no_bundle_holds_a_face_of_a_minor_and_the_next_best_moves_up() -> None:
    built = faceset(candidates=[candidate(number, is_minor=number == 1) for number in (1, 2, 3)])
    files = written(built)
    adults = [drawn(face) for face in built.faces if face.candidate.held is None]
    assert bundled(files["faceset_001_all.fsz"]) == adults
    assert "faceset_001_top2.fsz" not in files
    assert len(adults) == 2
    assert b"picture of 1" in files.values()


def test_one_bundle_is_written_where_both_would_hold_the_same_faces() -> None:
    built = faceset(3)
    assert [name for name in written(built, top=3) if name.endswith(".fsz")] == ["faceset_001_all.fsz"]
    assert bundle_names(built, 3) == {"top": "faceset_001_all.fsz", "all": "faceset_001_all.fsz"}
    assert bundle_names(built, 2) == {"top": "faceset_001_top2.fsz", "all": "faceset_001_all.fsz"}


def test_two_bundles_are_written_where_the_small_one_leaves_out_blurred_faces() -> None:
    blurred = candidate(9, of=face(9, blur=1.0))
    built = faceset(candidates=[*(candidate(number) for number in range(1, 9)), blurred])
    files = written(built, top=30)
    assert len(bundled(files["faceset_001_top30.fsz"])) == 8
    assert len(bundled(files["faceset_001_all.fsz"])) == 9


def test_a_faceset_of_minors_has_faces_but_nothing_to_swap() -> None:
    files = written(faceset(candidates=[candidate(number, is_minor=True) for number in (1, 2)]))
    assert list(files) == ["faces/0001.png", "faces/0002.png", "Anna.txt", "manifest.json"]


def test_a_thin_era_says_that_it_is_one() -> None:
    files = written(faceset(era=EraYears("2007", 2006, 2008), folder=FacesetFolder.THIN, label="Thin"))
    assert "THIN.txt" in files
    assert "_Thin.txt" in files
    assert "faceset_001_era_2007_top2.fsz" in files
