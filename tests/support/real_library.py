"""The labelled photos of the shared data as the libraries of two users, with all labels."""

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from immich_facesets.faces import Box
from service.demo.immich import FakeAsset, FakeFace, FakeImmich

ENVIRONMENT = {
    "FACESETS_MIN_FACES": "2",
    "FACESETS_MIN_FACE_SHORT": "60",
    "FACESETS_EXPORT_MIN_FACE_SHORT": "60",
    "FACESETS_MODEL_PACK": "bench_s",
}
"""Settings for small photos, which the product's defaults would leave out."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One labelled photo. ``identity`` is empty unless it shows exactly one person."""

    path: Path
    name: str
    identity: str
    boxes: tuple[Box, ...]
    size: tuple[int, int]
    year: int


def upright_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).size


def labelled_photos(data: Path, *, folders: tuple[str, ...] = ("lfw", "multi_age", "portraits_pd")) -> list[Photo]:
    """The photos in these folders, with the faces that the reference detector found in them."""
    reference = np.load(data / "data" / "reference_bench_s.npz")
    boxes: dict[str, list[Box]] = {}
    for path, box in zip(reference["path"], reference["bbox"], strict=True):
        boxes.setdefault(str(path), []).append(Box(*(float(edge) for edge in box)))
    photos = []
    with (data / "data" / "labels.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            folder = row["file"].split("/")[1]
            if folder not in folders:
                continue
            path = data / "data" / row["file"]
            identity = row["identity"] if row["kind"] == "single" else ""
            year = int(row["year"][:4]) if row["year"][:4].isdigit() else 2005
            photos.append(
                Photo(path, row["file"], identity, tuple(boxes.get(row["file"], ())), upright_size(path), year)
            )
    return photos


def group_truth(data: Path) -> dict[str, tuple[list[Box], list[str]]]:
    """Boxes and names of the group photos whose people are known, by file."""
    groups = json.loads((data / "data" / "groups.json").read_text(encoding="utf-8"))
    return {
        name: ([Box(*box) for box in group["boxes"]], list(group["identities"]))
        for name, group in groups.items()
        if group.get("boxes") and group.get("identities")
    }


def add_photo(immich: FakeImmich, user: str, photo: Photo, number: int) -> FakeAsset:
    """Add a photo to a user's library, with the faces that Immich would have found."""
    width, height = photo.size
    asset = immich.add_asset(
        data=photo.path,
        file_name=photo.path.name,
        owner=user,
        width=width,
        height=height,
        taken_at=datetime(photo.year, 6, 1, tzinfo=UTC) + timedelta(minutes=number // 3),
        created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        updated_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
    )
    for box in photo.boxes:
        corners = (round(box.x1), round(box.y1), round(box.x2), round(box.y2))
        immich.add_face(asset, FakeFace(corners, width, height))
    return asset


def two_users(immich: FakeImmich, photos: list[Photo]) -> dict[tuple[str, str], Photo]:
    """
    Anna and Ben share people, and every seventh file byte for byte.

    Returns the photo behind every asset: (user, asset id) -> photo.
    """
    for user in ("anna", "ben"):
        immich.add_user(user)
    placed = {}
    for number, photo in enumerate(photos):
        users = ("anna", "ben") if number % 7 == 0 else ("anna",) if number % 2 else ("ben",)
        for user in users:
            asset = add_photo(immich, user, photo, number)
            placed[user, asset.asset_id] = photo
    return placed


def write_users(immich: FakeImmich, folder: Path) -> Path:
    """The users file of the service for the users of a fake Immich."""
    path = folder / "users.toml"
    lines = [f'[users.{name}]\napi_key = "{user.api_key}"\n' for name, user in sorted(immich.library.users.items())]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
