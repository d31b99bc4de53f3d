"""A small drawn library of two users: quick to sync, and with every case that the service treats differently."""

import hashlib
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from immich_facesets.faces import Box
from immich_facesets.synthetic import Pose, Sitter, draw_picture
from service.demo.immich import FakeAsset, FakeImmich, FakeUser

WIDTH, HEIGHT = 480, 360
ENVIRONMENT = {
    "FACESETS_MIN_FACE_SHORT": "40",
    "FACESETS_EXPORT_MIN_FACE_SHORT": "40",
    "FACESETS_CROP_SIZE": "128",
    "FACESETS_FETCH_CONCURRENCY": "4",
}
"""Settings for small faces, and for few pictures in flight, so that faults can occur in the middle of a sync."""

_LONG_LIFE, _FRIEND, _COUSIN, _NEIGHBOUR, _CHILD, _STRANGER = 11, 700, 1500, 2300, 3100, 3900
_NAMED = (("anna", _LONG_LIFE, "Mira"), ("ben", _LONG_LIFE, "Mira B."), ("ben", _COUSIN, "Theo"), ("anna", _FRIEND, ""))
_ADDED = datetime(2024, 5, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its owner, its year, and the people with their ages, left to right."""

    user: str
    year: int
    sitters: tuple[tuple[int, float], ...]
    size: float = 66.0
    """Size of the faces, in pixels."""


@dataclass(frozen=True, slots=True)
class SmallLibrary:
    """The files of the shots, and one more that cannot be read."""

    shots: tuple[Shot, ...]
    files: tuple[Path, ...]
    boxes: tuple[tuple[Box, ...], ...]
    broken: Path

    @property
    def digests(self) -> list[str]:
        """The SHA-256 of each file."""
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.files]


@dataclass(frozen=True, slots=True)
class Placed:
    """The library in a fake Immich: the assets in the order of the shots, then the copies, and the unreadable one."""

    immich: FakeImmich
    library: SmallLibrary
    users: dict[str, FakeUser]
    assets: list[FakeAsset]
    copies: list[FakeAsset]
    broken: FakeAsset


def _shots() -> tuple[Shot, ...]:
    """Identities of equal size, so that only content can decide their order."""
    life = [Shot("anna", 2001 + i // 3, ((_LONG_LIFE, 8.0 + i // 3),)) for i in range(6)]
    life += [Shot("ben", 2023 + i // 4, ((_LONG_LIFE, 30.0 + i // 4), (_COUSIN, 40.0))) for i in range(5)]
    friends = [Shot("anna", 2015, ((_FRIEND, 44.0), (_NEIGHBOUR, 61.0))) for _ in range(5)]
    children = [Shot("ben", 2018, ((_CHILD, 7.0),)) for _ in range(5)]
    others = [Shot("anna", 2015, ((_STRANGER, 50.0),)), Shot("ben", 2018, ())]
    late = [Shot("ben", 2024, ((_COUSIN, 41.0),)), Shot("anna", 2024, ((_FRIEND, 45.0), (_LONG_LIFE, 31.0)))]
    return (*life, *friends, *children, *others, *late)


COPIED = (1, 12)
LATE = 2
"""The number of last shots that are not in the library at first."""


def long_life() -> tuple[Shot, ...]:
    """One person as a child and as an adult, with enough large faces for two eras."""
    young = [Shot("anna", 2001, ((_LONG_LIFE, 8.0),), 112.0) for _ in range(26)]
    return (*young, *(Shot("anna", 2023, ((_LONG_LIFE, 30.0),), 112.0) for _ in range(26 + LATE)))


def draw_small_library(folder: Path, shots: Sequence[Shot] = ()) -> SmallLibrary:
    """Write the pictures. About 20 ms each; blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    shots, files, boxes = shots or _shots(), [], []
    for number, shot in enumerate(shots):
        pixels, found = draw_picture(
            WIDTH, HEIGHT, [_placed(shot, i, number) for i in range(len(shot.sitters))], number
        )
        path = folder / f"IMG_{number:03}.jpg"
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=92)
        path.write_bytes(stream.getvalue())
        files.append(path)
        boxes.append(found)
    broken = folder / "IMG_broken.jpg"
    broken.write_bytes(files[0].read_bytes()[:900])
    return SmallLibrary(tuple(shots), tuple(files), tuple(boxes), broken)


def _placed(shot: Shot, place: int, number: int) -> tuple[Sitter, Pose]:
    seed, age = shot.sitters[place]
    room = WIDTH / len(shot.sitters)
    wave = (number * 7 + place * 3) % 11 - 5
    pose = Pose(
        x=room * (place + 0.5),
        y=130.0 + wave,
        size=shot.size + wave,
        roll=1.5 * wave,
        yaw=3.0 * ((number * 5 + place) % 7 - 3),
        light=0.1 * wave,
        age=age,
    )
    return Sitter(seed), pose


def known_id(*of: object) -> str:
    """Return the same version 4 UUID for the same text, so that two fakes have the same ids."""
    made = uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, of)))
    return str(uuid.UUID(bytes=made.bytes, version=4))


def place(immich: FakeImmich, library: SmallLibrary) -> Placed:
    """
    Add the library to a fake Immich: every asset id, key and date is the same each time.

    Two pictures of Anna's are in Ben's library too, byte for byte.
    """
    users = {
        name: immich.add_user(name, api_key=f"key-of-{name}", user_id=known_id("user", name))
        for name in ("anna", "ben")
    }
    for owner, seed, name in _NAMED:
        immich.add_person(owner=owner, name=name, person_id=known_id("person", owner, seed), updated_at=_ADDED)
    assets = [add_shot(immich, library, number) for number in range(len(library.shots) - LATE)]
    copies = [add_shot(immich, library, number, user="ben", name="copy") for number in COPIED]
    broken = _add(immich, "broken", library.broken, "anna", 2015)
    immich.add_face(broken, box=(100, 80, 180, 170), image_width=WIDTH, image_height=HEIGHT, face_id=known_id("x"))
    return Placed(immich, library, users, assets, copies, broken)


def change(placed: Placed) -> None:
    """
    Change the library: add and delete pictures, rename a person, delete another, and put one picture into an external
    library as well.

    All pictures of the child are gone, and so is its face set.
    """
    immich, shots = placed.immich, placed.library.shots
    for asset, shot in zip(placed.assets, shots, strict=False):
        if any(seed == _CHILD for seed, _ in shot.sitters):
            immich.delete_asset(asset)
    immich.delete_asset(placed.assets[0])
    placed.assets[12].is_trashed = True
    immich.library.people["anna", known_id("person", "anna", _LONG_LIFE)].name = "Mira Q."
    del immich.library.people["anna", known_id("person", "anna", _FRIEND)]
    late = [add_shot(immich, placed.library, number) for number in range(len(shots) - LATE, len(shots))]
    outside = add_shot(immich, placed.library, 2, name="external")
    outside.library_id, outside.checksum = known_id("library"), "bm90IHRoZSBjaGVja3N1bSE="  # not that of the bytes
    for number, asset in enumerate([placed.assets[12], *late, outside]):
        asset.created_at = asset.updated_at = _ADDED + timedelta(days=30, seconds=number)


def add_shot(
    immich: FakeImmich, library: SmallLibrary, number: int, *, user: str = "", name: str = "shot"
) -> FakeAsset:
    """One picture with the faces that Immich knows."""
    shot = library.shots[number]
    user = user or shot.user
    asset = _add(immich, f"{name}-{number}", library.files[number], user, shot.year)
    named = {(owner, seed) for owner, seed, _ in _NAMED}
    for (seed, _), box in zip(shot.sitters, library.boxes[number], strict=True):
        immich.add_face(
            asset,
            box=(round(box.x1), round(box.y1), round(box.x2), round(box.y2)),
            image_width=WIDTH,
            image_height=HEIGHT,
            person_id=known_id("person", user, seed) if (user, seed) in named else None,
            face_id=known_id("face", user, name, number, seed),
        )
    return asset


def _add(immich: FakeImmich, name: str, path: Path, user: str, year: int) -> FakeAsset:
    number = len(immich.library.assets)
    return immich.add_asset(
        asset_id=known_id("asset", user, name),
        data=path,
        file_name=f"{name}.jpg",
        owner=user,
        width=WIDTH,
        height=HEIGHT,
        taken_at=datetime(year, 6, 1, tzinfo=UTC) + timedelta(minutes=number),
        created_at=_ADDED + timedelta(seconds=number),
        updated_at=_ADDED + timedelta(seconds=number),
    )
