"""
Manifests of fake libraries: a file that lists users, people, assets and faces.

A manifest is TOML or JSON, with paths relative to the file::

    version = "3.1.0"
    [[users]]
    name = "anna"
    api_key = "..."                     # generated when absent
    permissions = ["asset.read"]        # every needed one when absent
    shares_with = ["ben"]
    [[people]]
    person_id = "..."                   # derived from the name when absent
    owner = "anna"
    name = "Anna"
    [[assets]]
    file = "a.jpg"
    owner = "anna"
    taken_at = 2020-01-31T12:00:00Z
    width = 1600                        # read from the picture when absent
    height = 1200
    [[assets.faces]]
    box = [600, 300, 900, 700]
    image_width = 1600                  # the size of the picture when absent
    image_height = 1200
    person_id = "..."

All other arguments of `FakeImmich.add_user` and fields of `FakePerson`, `FakeAsset` and `FakeFace` are allowed
under their own names. Absent ids are derived from the names, so that every start serves the same library.
"""

import hashlib
import json
import mimetypes
import tomllib
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from service.demo.immich.library import FakeAsset, FakeFace
from service.demo.immich.server import FakeImmich

MANIFESTS = ("library.toml", "library.json")
INSTANTS = ("taken_at", "created_at", "updated_at", "modified_at", "local_taken_at")
BYTES = ("edited_data", "fullsize_data", "preview_data")
SIDEWAYS = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""
ORIENTATION_TAG = 0x0112


def load_library(path: Path, version: str | None = None, **options: Any) -> FakeImmich:
    """
    Build a server from a manifest, or from the folder that holds one.

    ``version`` overrides that of the manifest; ``options`` are passed to `FakeImmich`. Raises `OSError` for a missing
    file and `ValueError` for an error in the manifest. Blocks: pictures without a size are opened.
    """
    manifest = path
    if path.is_dir():
        manifest = next((path / name for name in MANIFESTS if (path / name).is_file()), path / MANIFESTS[0])
    text = manifest.read_text("utf-8")
    described = json.loads(text) if manifest.suffix == ".json" else tomllib.loads(text)
    immich = FakeImmich(version or described.get("version", "3.1.0"), **options)
    try:
        for user in described.get("users", ()):
            immich.add_user(**{"user_id": settled_id("user", user["name"])} | user)
        for person in described.get("people", ()):
            immich.add_person(**{"person_id": settled_id("person", person["owner"], person["name"])} | person)
        for asset in described.get("assets", ()):
            immich.add_asset(read_asset(asset, manifest.parent))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{manifest.name}: {error}") from error
    return immich


def read_asset(described: Mapping[str, Any], folder: Path) -> FakeAsset:
    fields = dict(described)
    file = folder / fields.pop("file")
    faces = fields.pop("faces", ())
    for name in INSTANTS:
        if name in fields:
            fields[name] = aware(fields[name])
    for name in BYTES:
        if name in fields:
            fields[name] = folder / fields[name]
    if "width" not in fields or "height" not in fields:
        fields["width"], fields["height"] = upright_size(file)
    fields.setdefault("file_name", file.name)
    fields.setdefault("mime_type", mimetypes.guess_type(file.name)[0] or "application/octet-stream")
    fields.setdefault("asset_id", settled_id("asset", fields["owner"], str(described["file"])))
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    for name in ("taken_at", "created_at", "updated_at"):
        fields.setdefault(name, written)
    size = {"image_width": fields["width"], "image_height": fields["height"]}
    boxes = [
        read_face(size | {"face_id": settled_id("face", fields["asset_id"], str(place))} | face)
        for place, face in enumerate(faces)
    ]
    return FakeAsset(data=file, faces=boxes, **fields)


def settled_id(*names: str) -> str:
    """Return a version 4 UUID that is always the same for the same names."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def read_face(described: Mapping[str, Any]) -> FakeFace:
    x1, y1, x2, y2 = described["box"]
    return FakeFace(**dict(described) | {"box": (x1, y1, x2, y2)})


def aware(moment: str | date) -> datetime:
    """Return an aware datetime from JSON text or a TOML date or date-time; UTC if it has no offset."""
    read: Callable[[str], datetime] = datetime.fromisoformat
    instant = read(moment) if isinstance(moment, str) else read(moment.isoformat())
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def upright_size(file: Path) -> tuple[int, int]:
    """Return width and height after the EXIF orientation is applied."""
    with Image.open(file) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ORIENTATION_TAG) in SIDEWAYS
    return (height, width) if turned else (width, height)
