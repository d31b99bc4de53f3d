"""Export requests: valid profiles, and the faces of a face set that each profile takes."""

import io
import json

import pytest
from artifact_builders import form, maybe, written
from faceset_builders import candidate, face, faceset
from PIL import Image

from immich_facesets.exports.fsz import FSZ
from immich_facesets.exports.kohya import KOHYA
from immich_facesets.exports.picture_folder import FACEFUSION, PLAIN
from immich_facesets.exports.profile import FacesetProfile, PickedFaces
from immich_facesets.exports.registry import PROFILES
from immich_facesets.exports.requests import ExportRequest, read_export_requests
from immich_facesets.facesets.faceset import EraYears

OF_FACES = [name for name, profile in PROFILES.items() if isinstance(profile, FacesetProfile) and profile.has_pictures]
ANY_SIZE = [name for name in OF_FACES if not PROFILES[name].sizes]


def side_of(profile: str) -> int:
    """A size that the profile takes, and that is not its usual one."""
    return PROFILES[profile].sizes[-1] if PROFILES[profile].sizes else 96


def test_a_profile_may_say_how_many_faces_and_how_large() -> None:
    assert read_export_requests(" fsz, kohya:40:768,plain:0 ,Facefusion,") == (
        ExportRequest(FSZ),
        ExportRequest(KOHYA, 40, 768, 3.0),
        ExportRequest(PLAIN, None),
        ExportRequest(FACEFUSION, 12),
    )
    assert read_export_requests("") == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kohia", "did you mean kohya"),
        ("kohya,plain,kohya:3", "twice"),
        ("kohya:many", "kohya:40:768"),
        ("kohya:1:2:3", "kohya:40:768"),
        ("kohya:x2:x3", "kohya:40:768"),
        ("kohya:x0.5", "1 or more"),
        ("aligned:0:128", "112 or 256"),
        ("kohya:jpg:png", "jpg or webp"),
        ("kohya:gif", "jpg or webp"),
        ("fsz:jpg", "FACESETS_EXPORT_TOP"),
        ("visomaster:jpg", "holds no pictures"),
        ("fsz:x2", "FACESETS_EXPORT_TOP"),
        ("visomaster:x2", "holds no pictures"),
        ("kohya:10:32", "from 64 to 4096"),
        ("fsz:8", "FACESETS_EXPORT_TOP"),
        ("xmp:8", "takes no numbers"),
        ("visomaster:8:512", "holds no pictures"),
    ],
)
def test_what_cannot_be_meant_is_said_so(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_export_requests(text)


@pytest.mark.parametrize(
    ("text", "most"),
    [("kohya", 3.0), ("kohya:x2.5", 2.5), ("kohya:4:x0", None), ("plain", None), ("plain:4:96:x2", 2.0)],
)
def test_a_profile_may_say_how_much_a_picture_may_be_enlarged(text: str, most: float | None) -> None:
    (one,) = read_export_requests(text)
    assert one.most_scale == most


@pytest.mark.parametrize(
    ("label", "title", "first"),
    [
        ("Anna", None, "Anna 0001.png"),
        ("Anna", "Anna-007", "Anna-007 0001.png"),
        (None, None, "faceset_001 0001.png"),
        ("a/b: c", None, "a_b_ c 0001.png"),
        ("con", None, "con_ 0001.png"),
        ("...", None, "faceset_001 0001.png"),
    ],
)
@pytest.mark.parametrize("profile", [FACEFUSION, PLAIN])
def test_readers_that_show_file_names_show_the_person(
    profile: FacesetProfile, label: str | None, title: str | None, first: str
) -> None:
    built = faceset(2, label=label)
    made = profile.lay_out(PickedFaces(built, built.faces, built.name, title or label or built.name, 512))
    assert made.pictures == (first, first.replace("0001", "0002"))


@pytest.mark.parametrize("picture_format", ["png", "jpg", "webp"])
@pytest.mark.parametrize("profile", OF_FACES)
def test_pictures_have_the_format_that_was_asked_for(profile: str, picture_format: str) -> None:
    side = side_of(profile)
    if picture_format not in PROFILES[profile].formats:
        with pytest.raises(ValueError, match="takes pictures as"):
            read_export_requests(f"{profile}:0:{side}:{picture_format}")
        return
    made = form(f"{profile}:0:{side}:{picture_format}:x0")
    shown = [face["file"] for face in json.loads(made.manifest)["faces"]]
    assert {name.rpartition(".")[2] for name in shown} == {picture_format}
    files = written(made)
    for name in shown:
        with Image.open(io.BytesIO(files[name])) as image:
            assert (image.format, image.size) == (
                {"jpg": "JPEG"}.get(picture_format, picture_format.upper()),
                (side, side),
            )


@pytest.mark.parametrize("profile", ANY_SIZE)
def test_faces_that_would_be_enlarged_too_much_are_left_out_and_counted(profile: str) -> None:
    small = [candidate(number, of=face(number, size=101.0 if number < 3 else 200.0)) for number in range(1, 6)]
    built = faceset(candidates=small)
    manifest = json.loads(form(f"{profile}:2:500:x2", built).manifest)
    assert [entry["scale"] for entry in manifest["faces"]] == [1.25, 1.25]
    assert manifest["left_out"] == {"beyond_the_best": 1, "enlarged_too_much": 2}
    assert manifest["known"] == 5
    free = json.loads(form(f"{profile}:0:500:x0", built).manifest)
    assert (len(free["faces"]), free["left_out"]) == (5, {})
    assert maybe(f"{profile}:0:1000:x2", built) is None


@pytest.mark.parametrize("profile", OF_FACES)
def test_the_best_faces_come_first_and_the_manifest_says_what_was_left_out(profile: str) -> None:
    found = form(f"{profile}:2", faceset(5))
    manifest = json.loads(found.manifest)
    assert [face["rank"] for face in manifest["faces"]] == [1, 2]
    assert manifest["left_out"] == {"beyond_the_best": 3}
    files = written(found)
    assert list(files)[-1] == "manifest.json"
    pictures = [(face["file"], *face.get("further", ())) for face in manifest["faces"]]
    assert {name for names in pictures for name in names} == {name for name in files if name.endswith(".png")}
    assert manifest["name"] == found.path.rpartition("/")[2]


@pytest.mark.parametrize("profile", OF_FACES)
def test_a_minors_face_is_in_no_form_that_is_made_for_face_swapping(profile: str) -> None:
    built = faceset(candidates=[candidate(number, is_minor=number < 3) for number in (1, 2, 3)])
    manifest = json.loads(form(profile, built).manifest)
    if PROFILES[profile].is_for_swapping:
        assert [face["is_minor"] for face in manifest["faces"]] == [False]
        assert manifest["left_out"] == {"minor_not_in_swap_bundles": 2}
    else:
        assert len(manifest["faces"]) == 3
    children = faceset(candidates=[candidate(number, is_minor=True) for number in (1, 2)])
    assert (maybe(profile, children) is None) is PROFILES[profile].is_for_swapping


@pytest.mark.parametrize("profile", OF_FACES)
def test_every_picture_carries_where_it_came_from_and_has_the_size_that_was_asked_for(profile: str) -> None:
    side = side_of(profile)
    pictures = [body for name, body in written(form(f"{profile}:0:{side}")).items() if name.endswith(".png")]
    assert len(pictures) == (12 if PROFILES[profile].has_mask_files else 3)  # also for OneTrainer, each with its mask
    for body in pictures:
        assert b"Asset\0asset-" in body
        assert b"Identity\x001" in body
        assert body[16:24] == side.to_bytes(4, "big") * 2
        assert b"eXIf" not in body


@pytest.mark.parametrize("profile", OF_FACES)
def test_a_form_has_another_digest_when_its_faces_its_size_or_its_name_change_and_else_the_same(
    profile: str,
) -> None:
    usual = form(profile)
    assert form(profile).digest == usual.digest
    assert written(form(profile)) == written(usual)
    others = {
        form(profile, faceset(4)).digest,
        form(f"{profile}:2").digest,
        form(f"{profile}:0:{side_of(profile)}").digest,
        form(profile, faceset(3, label="Ben")).digest,
    }
    assert len(others) == 4
    assert usual.digest not in others


def test_an_era_has_a_directory_of_its_own() -> None:
    assert form("plain", faceset(3, era=EraYears("2011", 2010, 2012))).path == "_profiles/plain/faceset_001_era_2011"
