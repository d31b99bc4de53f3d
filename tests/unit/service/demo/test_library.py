"""The drawn library of the demonstration, and a fake Immich that serves it."""

import hashlib
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from immich_facesets.faces import Box
from immich_facesets.synthetic import find_faces
from service.demo.immich import FakeImmich
from service.demo.library import DrawnAsset, Library, draw_library, fill

PICTURES = 18


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return draw_library(tmp_path_factory.mktemp("library"), people=6, pictures=PICTURES, seed=3)


def readable(library: Library) -> list[DrawnAsset]:
    return [asset for asset in library.assets if asset.is_readable]


def test_every_face_of_the_truth_can_be_found_and_no_other(library: Library) -> None:
    for asset in readable(library):
        with Image.open(asset.path) as image:
            rgb = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        assert rgb.shape == (asset.height, asset.width, 3)
        faces, truth = find_faces(rgb), library.truth[asset.user, asset.asset_id]
        assert len(faces) == len(truth)
        for box, seed in truth:
            (face,) = [face for face in faces if face.box.iou(box) > 0.8]
            assert face.seed == seed


def test_pictures_say_when_they_were_taken_over_many_years(library: Library) -> None:
    years = set()
    for asset in readable(library):
        with Image.open(asset.path) as image:
            taken = image.getexif().get_ifd(0x8769)[0x9003]
        assert taken == f"{asset.taken_at:%Y:%m:%d %H:%M:%S}"
        years.add(asset.taken_at.year)
    assert len(years) >= 4
    assert max(years) - min(years) > 10


def test_there_is_some_of_everything_a_library_holds(library: Library) -> None:
    assert {asset.mime_type for asset in library.assets} == {"image/jpeg", "image/png", "image/webp"}
    assert {1, 6, 8} <= {asset.orientation for asset in library.assets}
    assert {asset.user for asset in library.assets} == {"anna", "ben"}
    assert max(len(faces) for faces in library.truth.values()) >= 3
    assert any(asset.preview != (asset.width, asset.height) for asset in library.assets)
    assert any(person.name for person in library.people)
    assert any(not person.name for person in library.people)


def test_some_people_and_some_files_belong_to_both_users(library: Library) -> None:
    known = [{person.seed for person in library.people if person.user == user} for user in library.users]
    assert known[0] & known[1]
    digests = Counter(hashlib.sha256(asset.path.read_bytes()).digest() for asset in library.assets)
    assert 2 in digests.values()


def test_exactly_one_file_cannot_be_read(library: Library) -> None:
    (broken,) = [asset for asset in library.assets if not asset.is_readable]
    assert library.truth[broken.user, broken.asset_id] == []
    with Image.open(broken.path) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def test_boxes_are_told_in_the_space_of_the_preview(library: Library) -> None:
    for asset in readable(library):
        assert min(asset.preview) <= 1440
        factor = asset.width / asset.preview[0]
        for face in asset.faces:
            box = Box(*face.box).scaled(factor, factor)
            assert max(box.iou(true) for true, _ in library.truth[asset.user, asset.asset_id]) > 0.8


def test_most_faces_are_assigned_to_the_right_person(library: Library) -> None:
    seeds = {person.person_id: person.seed for person in library.people}
    right = wrong = 0
    for asset in readable(library):
        factor = asset.width / asset.preview[0]
        for face in asset.faces:
            if face.person_id is not None:
                box = Box(*face.box).scaled(factor, factor)
                _, seed = max(library.truth[asset.user, asset.asset_id], key=lambda true: box.iou(true[0]))
                right, wrong = right + (seed == seeds[face.person_id]), wrong + (seed != seeds[face.person_id])
    assert right > 10 * wrong
    assert right > 0.5 * sum(len(faces) for faces in library.truth.values())


def test_the_same_seed_draws_the_same_library_and_tells_how_far_it_is(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    first, second = (
        draw_library(tmp_path / name, people=4, pictures=5, progress=lambda done, total: seen.append((done, total)))
        for name in ("first", "second")
    )
    assert first.truth == second.truth
    for one, other in zip(first.assets, second.assets, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()
        assert (one.asset_id, one.faces) == (other.asset_id, other.faces)
    assert seen == 2 * [(done, 5) for done in range(1, 6)]


def test_a_fake_immich_holds_the_library_as_described(library: Library) -> None:
    immich = FakeImmich()
    users = fill(immich, library)
    assert set(users) == {"anna", "ben"}
    assert len(immich.library.assets) == len(library.assets)
    assert len(immich.library.people) == len(library.people)
    for asset in library.assets:
        served = immich.asset(asset.asset_id)
        assert (served.owner, served.width, served.height) == (asset.user, asset.width, asset.height)
        assert [face.person_id for face in served.faces] == [face.person_id for face in asset.faces]
        served.measure()


def test_previews_are_upright_and_no_larger_than_immich_makes_them(library: Library) -> None:
    immich = FakeImmich()
    fill(immich, library)
    for asset in readable(library):
        if asset.orientation != 1 or min(asset.width, asset.height) > 1440:
            make = immich.asset(asset.asset_id).preview_data
            assert callable(make)
            assert jpeg_size(make()) == asset.preview


def jpeg_size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def test_a_library_of_one_user_needs_no_second(tmp_path: Path) -> None:
    library = draw_library(tmp_path, people=3, pictures=4, seed=1, users=("clara",))
    assert {asset.user for asset in library.assets} == {"clara"}
    assert len(library.assets) == 5
