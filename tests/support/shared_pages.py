"""The pages over a library that two users share, with drawn crops, and what belongs to each of the two."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from browsed_library import BrowsedLibrary
from PIL import Image
from shared_library import fill_shared
from sqlalchemy import Connection, select, update
from web_scene import Scene

from service.passes.context import CROPS_FOLDER
from service.reports.library import library_reads
from service.reports.library.users import UserLibraries
from service.settings import Settings
from service.store.database import Store
from service.store.tables import assets, crops, faces, memberships
from service.store.user_database import UserDatabase

LIBRARY = BrowsedLibrary(sizes=(9, 8, 8, 5, 3), strangers=6)


@dataclass(frozen=True, slots=True)
class Belongings:
    """Numbers, ids of faces, digests of pictures and names of crops: all that is in the pictures of some sources."""

    numbers: frozenset[int]
    faces: frozenset[int]
    pictures: frozenset[str]
    crops: frozenset[str]

    def without(self, other: "Belongings") -> "Belongings":
        return Belongings(
            self.numbers - other.numbers,
            self.faces - other.faces,
            self.pictures - other.pictures,
            self.crops - other.crops,
        )


def belongings_of(store: Store, *users: str) -> Belongings:
    return store.read_now(_belongings, users)


def _belongings(tx: Connection, users: tuple[str, ...]) -> Belongings:
    pictures = set(tx.scalars(select(assets.c.content).where(assets.c.source.in_(users), assets.c.is_gone.is_(False))))
    own = set(tx.scalars(select(faces.c.face_id).where(faces.c.sha256.in_(pictures))))
    numbers = tx.scalars(select(memberships.c.identity).where(memberships.c.face_id.in_(own)))
    files = tx.scalars(select(crops.c.file).where(crops.c.face_id.in_(own)))
    return Belongings(
        frozenset(numbers), frozenset(own), frozenset(pictures), frozenset(file.rpartition("/")[2] for file in files)
    )


def shared_scene(store: Store, user_database: UserDatabase, folder: Path) -> Scene:
    """Fill the store, and return the scene that the running service would have."""
    fill_shared(store, LIBRARY)
    store.write_now(_draw_crops, folder / CROPS_FOLDER)
    scene, own = Scene(), Settings(data_dir=folder, export_dir=folder / "exports")
    own.export_dir.mkdir()
    scene.board.end("")
    scene.library = library_reads(store, own, scene.board)
    scene.library_for = UserLibraries(user_database, own, scene.board).of

    async def whole(_: str) -> bytes:
        return _square(0)

    scene.picture = whole
    return scene


def members_of(store: Store, some: Belongings) -> set[int]:
    """Return those of the faces that belong to a person."""
    found = select(memberships.c.face_id).where(memberships.c.face_id.in_(some.faces))
    return store.read_now(lambda tx: set(tx.scalars(found)))


def take_away(tx: Connection, user: str) -> None:
    """Record that a user's source no longer has any picture."""
    tx.execute(update(assets).where(assets.c.source == user).values(is_gone=True))


def _draw_crops(tx: Connection, folder: Path) -> None:
    """Write a small square for each crop, and give the crop the digest of its bytes."""
    for face, file in tx.execute(select(crops.c.face_id, crops.c.file)).all():
        image = _square(face)
        sha256 = file.rpartition("/")[2].partition(".")[0]
        name = f"{sha256[:2]}/{sha256}.{hashlib.sha256(image).hexdigest()}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(image)
        tx.execute(update(crops).where(crops.c.face_id == face).values(file=name))


def _square(face: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (8 * (face % 32), 8 * (face // 32 % 32), 120)).save(buffer, "JPEG")
    return buffer.getvalue()
