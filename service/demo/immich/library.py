"""The data of the fake server: users, assets, faces and people, and the access rules."""

import base64
import hashlib
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Data = bytes | Callable[[], bytes] | Path
"""Bytes, or the path or callable that provides them on demand."""

ALL_NEEDED = frozenset(
    {"asset.read", "face.read", "asset.download", "asset.view", "person.read", "user.read", "server.about"}
)

THUMBHASH = "1QcSHQRnh493V4dIh4eXh1h4kJUI"
VISIBILITIES = ("archive", "timeline", "hidden", "locked")
ASSET_TYPES = ("IMAGE", "VIDEO", "AUDIO", "OTHER")


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def new_id() -> str:
    return str(uuid.uuid4())


def load(data: Data) -> bytes:
    """Return the bytes: a path is read, a callable called. May block, and may raise `OSError`."""
    if isinstance(data, bytes):
        return data
    return data.read_bytes() if isinstance(data, Path) else data()


@dataclass(slots=True)
class FakeFace:
    """A box (x1, y1, x2, y2) in a picture of image_width x image_height."""

    box: tuple[int, int, int, int]
    image_width: int
    image_height: int
    person_id: str | None = None
    face_id: str = field(default_factory=new_id)
    source_type: str = "machine-learning"


@dataclass(slots=True)
class FakeAsset:
    """
    An asset of one user; ``width`` x ``height`` is upright (and after edits, when ``is_edited``).

    Fields may be changed freely; after a change of ``taken_at``, call `FakeImmich.touch` to sort anew.
    """

    data: Data
    file_name: str
    owner: str
    width: int | None
    height: int | None
    taken_at: datetime
    mime_type: str = "image/jpeg"
    asset_id: str = field(default_factory=new_id)
    checksum: str | None = None
    """Base64 SHA-1 of the data, computed on first use; set another for an external library."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    """`Library.add_asset` sets ``created_at`` and ``updated_at`` when they are None."""
    modified_at: datetime | None = None
    """
    The modification time of the file; ``created_at`` when None, so that the picture has a date of its own.

    A picture without any date in its metadata has the same time here and in ``taken_at``.
    """
    local_taken_at: datetime | None = None
    visibility: str = "timeline"
    type: str = "IMAGE"
    is_trashed: bool = False
    is_offline: bool = False
    """The file is missing; the server also puts such an asset into the trash."""
    is_edited: bool = False
    is_favorite: bool = False
    library_id: str | None = None
    original_path: str | None = None
    faces: list[FakeFace] = field(default_factory=list)
    edited_faces: list[FakeFace] | None = None
    """The faces that `/faces` returns for an edited picture; ``faces`` when None."""
    edited_data: Data | None = None
    fullsize_data: Data | None = None
    preview_data: Data | None = None
    """A JPEG; when None, a JPEG original is its own preview."""
    has_preview: bool = True
    thumbhash: str | None = THUMBHASH
    exif: dict[str, Any] | None = field(default_factory=dict)
    """Fields of `exifInfo` that differ from the defaults; None means no exif row at all."""
    duration_ms: int | None = None
    live_photo_video_id: str | None = None
    size: int | None = None
    """Size of the data in bytes, measured on first use."""

    @property
    def changed_at(self) -> datetime:
        """The modification time of the file."""
        return self.modified_at or self.created_at or self.taken_at

    @property
    def trashed(self) -> bool:
        return self.is_trashed or self.is_offline

    def measure(self) -> None:
        """Fill in checksum and size; block if the data must be loaded, raise `OSError` if it is missing."""
        if self.checksum is not None and self.size is not None:
            return
        content = load(self.data)
        self.size = len(content)
        if self.checksum is None:
            self.checksum = base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()

    def path(self, owner_id: str) -> str:
        if self.original_path is not None:
            return self.original_path
        name = f"{self.asset_id}.{self.file_name.rpartition('.')[2]}"
        return f"/data/upload/{owner_id}/{name[:2]}/{name[2:4]}/{name}"


@dataclass(slots=True)
class FakePerson:
    """A person in the view of one user; from 3.2 on, users may share an id under different names."""

    person_id: str
    name: str
    owner: str
    birth_date: str | None = None
    is_hidden: bool = False
    is_favorite: bool = False
    updated_at: datetime | None = None


@dataclass(slots=True)
class FakeUser:
    """An account; ``shares_with`` names the users whose timelines also show its assets."""

    name: str
    api_key: str
    permissions: frozenset[str]
    shares_with: set[str] = field(default_factory=set)
    is_admin: bool = False
    user_id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def email(self) -> str:
        return f"{self.name.lower().replace(' ', '.')}@example.test"


@dataclass(frozen=True, slots=True)
class Key:
    """An API key with its user and permissions."""

    secret: str
    user: FakeUser
    permissions: frozenset[str]
    key_id: str
    created_at: datetime

    def may(self, permission: str) -> bool:
        return "all" in self.permissions or permission in self.permissions


class Library:
    """All data on the server, and the rules of access to it."""

    def __init__(self, clock: Callable[[], datetime], minimum_faces: int = 3) -> None:
        self.clock = clock
        self.minimum_faces = minimum_faces
        self.users: dict[str, FakeUser] = {}
        self.keys: dict[str, Key] = {}
        self.assets: dict[str, FakeAsset] = {}
        self.people: dict[tuple[str, str], FakePerson] = {}
        """People by (owner, person id)."""
        self.revision = 0
        """The number of changes so far that may alter the order or the membership of a listing."""

    def add_user(self, user: FakeUser) -> FakeUser:
        if user.name in self.users:
            raise ValueError("there is already a user of this name")
        self.users[user.name] = user
        self.add_key(user, user.permissions, user.api_key)
        self.revision += 1
        return user

    def add_key(self, user: FakeUser, permissions: Iterable[str], secret: str | None = None) -> str:
        secret = secret or new_secret()
        self.keys[secret] = Key(secret, user, frozenset(permissions), new_id(), self.clock())
        return secret

    def add_asset(self, asset: FakeAsset) -> FakeAsset:
        if asset.owner not in self.users:
            raise ValueError("add the user before the user's assets")
        if asset.taken_at.tzinfo is None:
            raise ValueError("taken_at must be an aware instant")
        now = self.clock()
        asset.created_at = asset.created_at or now
        asset.updated_at = asset.updated_at or now
        self.assets[asset.asset_id] = asset
        self.revision += 1
        return asset

    def delete_asset(self, asset_id: str) -> None:
        del self.assets[asset_id]
        self.revision += 1

    def add_person(self, person: FakePerson) -> FakePerson:
        person.updated_at = person.updated_at or self.clock()
        self.people[person.owner, person.person_id] = person
        return person

    def visible_owners(self, viewer: FakeUser) -> frozenset[str]:
        """Return the names of the viewer and of all users who share a timeline with the viewer."""
        return frozenset({viewer.name} | {user.name for user in self.users.values() if viewer.name in user.shares_with})

    def readable(self, viewer: FakeUser, asset_id: str) -> FakeAsset | None:
        """Return the asset if readable: an own one unless locked, a partner's unless locked, trashed or archived."""
        asset = self.assets.get(asset_id)
        if asset is None or asset.visibility == "locked":
            return None
        if asset.owner == viewer.name:
            return asset
        shared = asset.owner in self.visible_owners(viewer)
        return asset if shared and not asset.trashed and asset.visibility != "archive" else None

    def face_counts(self, owner: str) -> dict[str, int]:
        """Return the number of faces of each person in the assets of the user's timeline."""
        counts: dict[str, int] = {}
        for asset in self.assets.values():
            if asset.owner == owner and not asset.trashed and asset.visibility == "timeline":
                for face in asset.faces:
                    if face.person_id is not None:
                        counts[face.person_id] = counts.get(face.person_id, 0) + 1
        return counts
