"""Every export profile made of real photos and read by its consumers: real models, a real XMP reader."""

import json
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from insightface_reader import detected, face_reader
from numpy.typing import NDArray
from orientations import FROM_UPRIGHT
from PIL import Image
from real_library import ENVIRONMENT, Photo, add_photo, group_truth, labelled_photos, upright_size, write_users
from service_process import environment, run, tree
from testdata import shared_data

from immich_facesets.exports.file_names import safe_name
from immich_facesets.faces import Box
from service.demo.immich import FakeImmich

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]

PROFILES = "fsz,facefusion,portrait,frigate,kohya:3:256,imagefolder,xmp,npz,plain"


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of a sync: the export folder, the photo of each asset, and the settings of the service."""

    people: int
    orientations: set[int]
    root: Path
    photos: Mapping[str, str]
    truth: Mapping[str, tuple[list[Box], list[str]]]
    environ: Mapping[str, str]


@pytest.fixture(scope="module")
def reader() -> Any:
    return face_reader()


def found_in(reader: Any, path: Path) -> list[Any]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return detected(reader, picture.astype(np.uint8))


def orientation_of(photo: Path) -> int:
    with Image.open(photo) as image:
        return int(image.getexif().get(0x0112, 1))


async def synced(folder: Path, people: int, orientations: set[int]) -> Exported:
    """People with several portraits, and one group in some orientations, whose people have names in Immich."""
    data = shared_data()
    portraits = labelled_photos(data, folders=("lfw",))
    shots = Counter(photo.identity for photo in portraits)
    chosen = sorted(name for name, count in shots.items() if count >= 5)[:people]
    truth = {
        name: found
        for name, found in group_truth(data).items()
        if "exif_orientation" in name and orientation_of(data / "data" / name) in orientations
    }
    photos = {}
    async with FakeImmich("3.1.0") as immich:
        immich.add_user("anna")
        usual = [photo for photo in portraits if photo.identity in chosen]
        for number, photo in enumerate(usual):
            photos[add_photo(immich, "anna", photo, number).asset_id] = photo.name
        ids = {
            name: immich.add_person(owner="anna", name=name).person_id
            for name in sorted({name for _, names in truth.values() for name in names})
        }
        for number, (name, (boxes, names)) in enumerate(truth.items(), start=len(usual)):
            path = data / "data" / name
            asset = add_photo(immich, "anna", Photo(path, name, "", (), upright_size(path), 2011), number)
            photos[asset.asset_id] = name
            width, height = upright_size(path)
            for box, who in zip(boxes, names, strict=True):
                corners = (round(box.x1), round(box.y1), round(box.x2), round(box.y2))
                immich.add_face(asset, box=corners, image_width=width, image_height=height, person_id=ids[who])
        environ = environment(
            immich.url,
            write_users(immich, folder),
            folder,
            **ENVIRONMENT,
            FACESETS_EMBEDDER_ENGINE="onnx",
            FACESETS_MODELS_DIR=str(data / "data" / "models"),
            FACESETS_EXPORT_PROFILES=PROFILES,
        )
        ended = await run(environ, "sync", seconds=400)
        assert ended.code == 0, ended.stderr[-2000:]
    return Exported(people, orientations, folder / "data" / "exports", photos, truth, environ)


@pytest.mark.slow
@pytest.mark.parametrize(("people", "orientations"), [(2, {1, 6}), (6, set(range(1, 9)))])
async def test_every_form_of_real_photos_is_what_its_reader_wants(
    reader: Any, tmp_path: Path, people: int, orientations: set[int]
) -> None:
    exported = await synced(tmp_path, people, orientations)
    forms = exported.root / "_profiles"
    averages = {
        folder.name: check_pictures(reader, sorted(folder.glob("*.png")))
        for folder in sorted((forms / "facefusion").iterdir())
    }
    assert len(averages) >= people
    check_people_differ(exported, averages)
    check_portraits(reader, forms / "portrait", averages)
    check_face_library(reader, exported, forms / "frigate/clips/faces")
    check_kohya(reader, forms / "kohya")
    check_cache(exported, forms / "npz/anna/cache.npz")
    check_sidecars(exported, forms / "xmp/anna")
    await check_copies(exported, tmp_path / "copy")


def check_pictures(reader: Any, pictures: list[Path]) -> NDArray[np.float32]:
    """
    Return the mean vector by FaceFusion's rule: the largest face of each file counts. Each file must have exactly one
    face.
    """
    assert 0 < len(pictures) <= 12
    vectors = []
    for path in pictures:
        faces = found_in(reader, path)
        assert len(faces) == 1, path.name
        vectors.append(faces[0].normed_embedding)
    mean = np.mean(vectors, axis=0)
    mean /= np.linalg.norm(mean)
    assert all(1.0 - float(vector @ mean) < 0.6 for vector in vectors)  # the size gate of these weights
    return np.asarray(mean, dtype=np.float32)


def check_people_differ(exported: Exported, averages: Mapping[str, NDArray[np.float32]]) -> None:
    """Check that each average is of one person alone, and that no two are similar."""
    names = sorted(averages)
    matrix = np.stack([averages[name] for name in names])
    likeness = matrix @ matrix.T - 2 * np.eye(len(names))
    assert likeness.max() < 0.5
    for name in names:
        manifest = json.loads((exported.root / "_profiles/facefusion" / name / "manifest.json").read_bytes())
        shown = [exported.photos[face["assets"][0]["asset_id"]] for face in manifest["faces"]]
        assert len({photo.split("/")[-2] for photo in shown}) == 1


def check_portraits(reader: Any, root: Path, averages: Mapping[str, NDArray[np.float32]]) -> None:
    """
    Check that readers of a single picture take the person's face: Deep-Live-Cam the leftmost, InstantID and PuLID the
    largest, IP-Adapter FaceID the first found, and PuLID's second detector the one in the middle.
    """
    assert {folder.name for folder in root.iterdir()} == averages.keys()
    for folder in root.iterdir():
        (path,) = folder.glob("*.png")
        with Image.open(path) as image:
            assert image.size == (1024, 1024)
        faces = found_in(reader, path)
        middles = [(face.bbox[:2] + face.bbox[2:]) / 2 for face in faces]
        taken = {
            min(range(len(faces)), key=lambda row: faces[row].bbox[0]),
            max(range(len(faces)), key=lambda row: float(np.prod(faces[row].bbox[2:] - faces[row].bbox[:2]))),
            min(range(len(faces)), key=lambda row: float(np.abs(middles[row] - 512).sum())),
            0,
        }
        assert len(taken) == 1
        assert float(faces[0].normed_embedding @ averages[folder.name]) > 0.5
        assert np.abs(middles[0] - 512).max() < 128


def check_face_library(reader: Any, exported: Exported, root: Path) -> None:
    """
    Check Frigate's rules: a folder for each person with a name, and each picture that OpenCV reads is a face as a whole.
    """
    named = {name for _, names in exported.truth.values() for name in names}
    assert len(list(root.iterdir())) > 1
    for folder in root.iterdir():
        assert folder.name in named - {"train"}
        pictures = [picture for file in folder.iterdir() if (picture := cv2.imread(str(file))) is not None]
        assert 0 < len(pictures) <= 5
        for picture in pictures:
            high, wide = picture.shape[:2]
            assert max(high, wide) == 224
            beside = cv2.copyMakeBorder(picture, high, high, high, high, cv2.BORDER_REPLICATE)
            (face,) = detected(reader, beside.astype(np.uint8))
            assert Box(*face.bbox.tolist()).iou(Box(high, high, high + wide, 2 * high)) > 0.6


def check_kohya(reader: Any, root: Path) -> None:
    for folder in root.iterdir():
        (subset,) = tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))["datasets"][0]["subsets"]
        pictures = sorted((folder / subset["image_dir"]).glob("*.png"))
        assert 0 < len(pictures) <= 3
        for path in pictures:
            assert path.with_suffix(".txt").read_text(encoding="utf-8").startswith(subset["class_tokens"])
            with Image.open(path) as image:
                assert image.size == (256, 256)
            assert len(shown_faces(reader, path)) == 1


def shown_faces(reader: Any, path: Path) -> list[Any]:
    """Return the faces of a picture whose middle is not transparent: trainers learn nothing of the others."""
    with Image.open(path) as image:
        alpha = np.asarray(image.convert("RGBA"))[:, :, 3]
    middles = [(face, (face.bbox[:2] + face.bbox[2:]) / 2) for face in found_in(reader, path)]
    return [face for face, (x, y) in middles if alpha[int(y), int(x)] > 0]


def check_cache(exported: Exported, path: Path) -> None:
    """Check vectors against insightface's own in the reference, on the pictures that it covers."""
    reference = np.load(shared_data() / "data" / "reference_bench_s.npz")
    with np.load(path, allow_pickle=False) as cache:
        assert cache["embedding"].shape == (len(cache["path"]), 512)
        assert len(cache["path"]) >= 5 * exported.people + len(exported.orientations) * 6
        vectors = cache["embedding"]
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
        known = reference["embedding"] / np.linalg.norm(reference["embedding"], axis=1, keepdims=True)
        best = (vectors @ known.T.astype(np.float32)).max(axis=1)
        assert np.median(best) > 0.999
        assert set(cache["identity"].tolist()) >= set(range(1, exported.people))


def check_sidecars(exported: Exported, root: Path) -> None:
    """Check the place of all six people in the stored pixels, in each of the orientations."""
    if shutil.which("exiftool") is None:
        pytest.skip("ExifTool is not installed: on Debian it is libimage-exiftool-perl, which 'make setup' installs")
    orientations = set()
    for path in root.rglob("*.xmp"):
        name = exported.photos[path.name.split(".")[0]]
        photo = shared_data() / "data" / name
        orientation = orientation_of(photo)
        with Image.open(photo) as image:
            size = image.size
        command = ["exiftool", "-json", "-struct", "-XMP:RegionInfo", str(path)]
        told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)[0]["RegionInfo"]
        assert (told["AppliedToDimensions"]["W"], told["AppliedToDimensions"]["H"]) == size
        areas = {region["Name"]: region["Area"] for region in told["RegionList"]}
        boxes, names = exported.truth[name]
        assert areas.keys() == set(names)
        for box, who in zip(boxes, names, strict=True):
            x, y, w, h = (float(areas[who][key]) for key in "XYWH")
            found = Box((x - w / 2) * size[0], (y - h / 2) * size[1], (x + w / 2) * size[0], (y + h / 2) * size[1])
            assert found.iou(stored(box, photo, orientation)) > 0.5, (orientation, who)
        orientations.add(orientation)
    assert orientations == exported.orientations


def stored(box: Box, photo: Path, orientation: int) -> Box:
    """Return the place of a box of the upright picture in the stored one, found by rotating its pixels."""
    width, height = upright_size(photo)
    mask = np.zeros((height, width), np.uint8)
    mask[round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)] = 255
    image = Image.fromarray(mask)
    left, top, right, bottom = (
        image if orientation == 1 else image.transpose(FROM_UPRIGHT[orientation])
    ).getbbox() or [0] * 4
    return Box(left, top, right, bottom)


async def check_copies(exported: Exported, target: Path) -> None:
    """
    Check a single export by command: an invalid one is refused with a message, and the export folder stays the same.
    """
    before = tree(exported.root)
    facesets = json.loads((exported.root / "manifest.json").read_bytes())["facesets"]
    number, label = next((one["identity"], one["label"]) for one in facesets if one["faces"] > 2)
    by_hand = ("export", "--person", str(number), "--to", str(target), "--profile")
    done = await run(exported.environ, *by_hand, "plain:2")
    assert done.code == 0, done.stderr
    name = f"faceset_{number:03d}"
    pictures = {f"{safe_name(label) if label else name} {number:04d}.png" for number in (1, 2)}
    assert tree(target).keys() == {f"{name}/{file}" for file in (*pictures, "manifest.json", "SHA256SUMS")}
    wrong = {
        "visomaster needs vectors of w600k_r50": (*by_hand, "visomaster"),
        "did you mean kohya": (*by_hand, "kohia"),
        "FACESETS_EXPORT_PROFILES": ("export", "--profile", "plain"),
        "outside the export folder": ("export", "--profile", "plain", "--to", str(exported.root / "mine")),
    }
    for words, command in wrong.items():
        ended = await run(exported.environ, *command)
        assert ended.code != 0
        assert words in " ".join(ended.stderr.split()), command
    assert tree(exported.root) == before
