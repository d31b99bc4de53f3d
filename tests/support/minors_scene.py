"""A library with a child in it, the ways in which its users and its server change it, and what a bundle may not hold."""

import asyncio
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import SecretStr
from small_library import HEIGHT, WIDTH, known_id

from immich_facesets.errors import SetupError, TransientError
from immich_facesets.exports.registry import PROFILES
from immich_facesets.exports.requests import read_export_requests
from immich_facesets.faces import Box
from immich_facesets.imports.manifests import MANIFEST
from immich_facesets.synthetic import Pose, Sitter, draw_picture
from service.app import open_app
from service.demo.immich import FakeAsset, FakeImmich
from service.files.export_tree import ExportTree
from service.settings import Settings
from service.store.database import Store, open_engine
from service.store.folders import remove_source
from service.sync.outcome import Outcome
from service.sync.runner import Runner
from service.users import User

CHILD, MOTHER, STRANGER = 3100, 700, 1500
BORN = "2012-03-04"
BENS = 4
"""How many pictures of the child Ben may take, the last ones of all."""
ADDED = datetime(2026, 5, 5, tzinfo=UTC)
UPLOADED = ADDED - timedelta(days=1)
SWAPPING = frozenset(profile.name for profile in PROFILES.values() if profile.is_for_swapping)
FIELDS: dict[str, Any] = {
    "min_face_short": 40,
    "export_min_face_short": 40,
    "crop_size": 128,
    "min_faces": 3,
    "breaker_failures": 1,
    "export_profiles": ",".join((*sorted(SWAPPING), "plain")),
}
NOWHERE = "http://127.0.0.1:9"
"""The address of an embedder that is down."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One drawn picture of one person; ``year`` is when it was truly taken."""

    seed: int
    year: int
    data: bytes = field(repr=False)
    box: Box

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def is_of_minor(self) -> bool:
        return self.seed == CHILD


def draw_photos() -> tuple[Photo, ...]:
    """
    Eight pictures of the child, the last two for later, some of grown people, and further ones of the child for Ben.

    About 20 ms each; blocks.
    """
    shots = [(CHILD, 2019 + number // 3, 7.0 + number // 3) for number in range(8)]
    shots += [(seed, 2020, age) for seed, age in ((MOTHER, 40.0), (STRANGER, 50.0)) for _ in range(4)]
    shots += [(CHILD, 2020, 8.0)] * BENS
    return tuple(_drawn(number, *shot) for number, shot in enumerate(shots))


def _drawn(number: int, seed: int, year: int, age: float) -> Photo:
    wave = (number * 7) % 11 - 5
    pose = Pose(x=WIDTH / 2, y=130.0 + wave, size=80.0 + wave, roll=1.5 * wave, yaw=3.0 * (number % 7 - 3), age=age)
    pixels, (box,) = draw_picture(WIDTH, HEIGHT, [(Sitter(seed), pose)], number)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return Photo(seed, year, stream.getvalue(), box)


@dataclass
class Family:
    """Anna and Ben on one server, the child's pictures among Anna's, and a service that syncs both."""

    immich: FakeImmich
    photos: tuple[Photo, ...]
    folder: Path
    embedders: tuple[str, str]
    embedder: int = 0
    days: int = 0
    is_swapped: bool = False
    is_reversed: bool = False
    is_without_embedder: bool = False
    is_without_anna: bool = False
    late: int = 0
    assets: dict[int, FakeAsset] = field(default_factory=dict)
    copies: dict[int, FakeAsset] = field(default_factory=dict)

    def fill(self, **child: Any) -> None:
        """The first six pictures of the child, and all of the others; ``child``: fields of Immich's person."""
        for user in ("anna", "ben"):
            self.immich.add_user(user, api_key=f"key-of-{user}", user_id=known_id("user", user))
        fields: dict[str, Any] = {"name": "Mia", "birth_date": BORN} | child
        self.immich.add_person(owner="anna", person_id=self.person(CHILD), **fields)
        self.immich.add_person(owner="anna", name="Eva", person_id=self.person(MOTHER), birth_date="1980-01-02")
        for number, photo in enumerate(self.photos):
            if photo.seed != CHILD or number < 6:
                self.add(number)

    def person(self, seed: int) -> str:
        return known_id("person", "anna", seed)

    def add(self, number: int, *, is_known: bool = True, **fields: Any) -> FakeAsset:
        """One picture; ``is_known``: Immich gives its face to the person."""
        photo = self.photos[number]
        owner = "ben" if photo.seed == STRANGER else "anna"
        usual: dict[str, Any] = {
            "asset_id": known_id("asset", owner, number),
            "data": photo.data,
            "file_name": f"{number}.jpg",
            "owner": owner,
            "width": WIDTH,
            "height": HEIGHT,
            "taken_at": datetime(photo.year, 6, 1, tzinfo=UTC) + timedelta(days=number),
            "created_at": ADDED,
            "updated_at": ADDED + timedelta(seconds=number, days=self.days),
        }
        asset = self.immich.add_asset(**(usual | fields))
        box = photo.box
        self.immich.add_face(
            asset,
            box=(round(box.x1), round(box.y1), round(box.x2), round(box.y2)),
            image_width=WIDTH,
            image_height=HEIGHT,
            person_id=self.person(photo.seed) if is_known and photo.seed != STRANGER else None,
            face_id=known_id("face", owner, number),
        )
        self.assets[number] = asset
        return asset

    @property
    def childs(self) -> list[FakeAsset]:
        """Anna's pictures of the child."""
        found = (asset for number, asset in self.assets.items() if self.photos[number].is_of_minor)
        return [asset for asset in found if asset.owner == "anna"]

    def share_all(self) -> None:
        """Ben has a copy of every picture that there is of the child, byte by byte, and Immich knows nobody in it."""
        for number, photo in enumerate(self.photos):
            if photo.is_of_minor and number in self.assets and number not in self.copies:
                first = self.assets[number]
                self.copies[number] = self.immich.add_asset(
                    asset_id=known_id("asset", "ben", number),
                    data=photo.data,
                    file_name=f"copy {number}.jpg",
                    owner="ben",
                    width=WIDTH,
                    height=HEIGHT,
                    taken_at=UPLOADED,
                    modified_at=UPLOADED,
                    created_at=ADDED,
                )
                self.immich.add_face(
                    self.copies[number], box=first.faces[0].box, image_width=WIDTH, image_height=HEIGHT
                )

    @property
    def is_forgotten(self) -> bool:
        """Whether no picture is left that says how the child looks: then nothing can be known of another one."""
        kept = [asset for asset in self.childs if not asset.is_trashed and not asset.is_offline]
        return self.is_without_anna or not kept

    def let_ben_take_some(self) -> None:
        """Ben takes pictures of the child too, and Immich knows nobody in them."""
        for number in range(len(self.photos) - BENS, len(self.photos)):
            if number not in self.assets:
                self.add(number, is_known=False, owner="ben")

    def remove_anna(self) -> None:
        """Take Anna out of the settings, and remove the source."""
        self.is_without_anna, self.is_swapped = True, False
        store = Store(open_engine(f"sqlite:///{self.folder / 'data' / 'facesets.db'}"))
        try:
            store.write_now(remove_source, "anna")
        finally:
            store.close()

    def changed(self, asset: FakeAsset) -> None:
        """Move the date of change, as the server does when it writes the row."""
        asset.updated_at = ADDED + timedelta(days=self.days, hours=1)
        self.immich.touch(asset)

    async def sync(self, kind: str = "full") -> Outcome:
        """Sync with what the settings are now; a day has gone by since the last one."""
        self.days += 20  # faces are read again after growing pauses
        settings = Settings(
            immich_url=self.immich.url,
            data_dir=self.folder / "data",
            embedder_urls=NOWHERE if self.is_without_embedder else self.embedders[self.embedder],
            **FIELDS,
        )
        names = ["ben"] if self.is_without_anna else ["anna", "ben"]
        owners = {"anna": "ben", "ben": "anna"} if self.is_swapped else {"anna": "anna", "ben": "ben"}
        users = [User(name=name, api_key=SecretStr(f"key-of-{owners[name]}")) for name in names]
        if self.is_reversed:
            users.reverse()
        async with open_app(settings, tuple(users), asyncio.Event()) as app:
            later = ADDED + timedelta(days=self.days)
            context = replace(app.context, clock=lambda: later)
            runner = Runner(context, app.sources, app.pool, app.tree, app.metrics, "1")
            result = await runner.run("full" if kind == "full" else "incremental")
            shutil.rmtree(self.folder / "copy", ignore_errors=True)
            await self._export(runner)
            return result.outcome

    async def _export(self, runner: Runner) -> None:
        """
        The same on the ways of ``export`` and ``export --to``, however the sync ended.

        Both are refused while there is no embedder, and while another space is being filled.
        """
        with suppress(SetupError, TransientError):
            for request in read_export_requests(",".join(sorted(SWAPPING))):
                folder = self.folder / "copy" / request.profile.name
                folder.mkdir(parents=True)
                tree = ExportTree(folder)
                tree.check()
                await runner.copy_now(request, None, tree)
            await runner.publish_now()

    def forms(self) -> dict[str, set[str]]:
        """The profiles for swapping that are there, by the folder in which they are."""
        found: dict[str, set[str]] = {"data": set(), "copy": set()}
        for name, profiles in found.items():
            for manifest in (self.folder / name).rglob(MANIFEST):
                told = json.loads(manifest.read_bytes())
                profiles.update({told.get("profile", "fsz")} & SWAPPING if told.get("faces") else ())
        return found

    def bundled(self) -> set[str]:
        """The pictures (SHA-256) of all faces in what programs for face swapping load, on every path."""
        found: set[str] = set()
        for root in (self.folder / "data" / "exports", self.folder / "copy"):
            for manifest in root.rglob(MANIFEST):
                found.update(_swapped(manifest))
        return found


def _swapped(manifest: Path) -> Iterator[str]:
    """Yield the pictures of the faces that a directory has for swapping: of the bundles' very bytes in a face set."""
    told: Mapping[str, object] = json.loads(manifest.read_bytes())
    faces = told.get("faces")
    if not isinstance(faces, list):
        return
    if told.get("profile") in SWAPPING:
        yield from (face["sha256"] for face in faces)
    pictures = {
        (manifest.parent / face["file"]).read_bytes(): face["sha256"] for face in faces if face["file"] is not None
    }
    for bundle in manifest.parent.glob("*.fsz"):
        with zipfile.ZipFile(bundle) as archive:
            yield from (pictures[archive.read(name)] for name in archive.namelist())
