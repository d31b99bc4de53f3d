"""Assets: the facts a source gives about one picture, and the values derived from them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from immich_facesets.dates import DateKind
from immich_facesets.faces import Box


class Rendition(StrEnum):
    """The bytes that represent an asset: the file itself, Immich's full-size JPEG of it, or its edited form."""

    ORIGINAL = "original"
    FULLSIZE = "fullsize"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class FaceHint:
    """
    A face that the source already knows before our own detection.

    ``box`` is in the upright picture of ``image_width`` x ``image_height`` pixels (Immich: normally the preview).
    ``person_id`` is opaque and belongs to this source alone. ``birth_date`` (ISO) is that of the person.
    """

    face_id: str
    box: Box
    image_width: int
    image_height: int
    person_id: str | None = None
    birth_date: str | None = None

    def original_box(self, width: int | None, height: int | None) -> Box:
        """Return the box in the upright original of ``width`` x ``height`` pixels; unscaled when these are unknown."""
        if not width or not height or self.image_width <= 0 or self.image_height <= 0:
            return self.box
        return self.box.scaled(width / self.image_width, height / self.image_height)


PersonKey = tuple[str, str]
"""The key of a person: the source, and the person's id there, which means nothing elsewhere."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person in a source. ``name`` is empty if there is none; ``birth_date`` is ISO (YYYY-MM-DD)."""

    person_id: str
    name: str
    birth_date: str | None
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class Asset:
    """
    One picture of one source.

    ``checksum`` is the SHA-1 (hex) of the original bytes, or None where the source's value is not reliable. ``width``
    and ``height`` are those of the upright original, None while unknown. ``taken_at`` is the source's sort key (UTC).
    ``local_date`` is the wall-clock date at the place (ISO). It is empty when the picture carries no date and
    ``taken_at`` is only that of a file. ``date_kind`` is what the two are worth. ``hints`` is None until they were read. ``stamp`` is a cheap property of a
    file: while it is unchanged, so are the bytes.
    """

    source: str
    asset_id: str
    checksum: str | None
    path: str
    file_name: str
    mime_type: str
    taken_at: datetime
    local_date: str
    date_kind: DateKind
    created_at: datetime
    updated_at: datetime
    width: int | None
    height: int | None
    visibility: str
    is_external: bool
    is_edited: bool
    is_offline: bool
    rendition: Rendition
    hints: tuple[FaceHint, ...] | None = None
    stamp: str | None = None

    @property
    def fingerprint(self) -> str:
        """
        Return an identifier of the bytes before they are fetched: assets with one fingerprint are fetched once.

        Without a reliable checksum the asset itself and its last change represent the bytes.
        """
        if self.checksum is not None and self.rendition is not Rendition.EDITED:
            return f"{self.rendition}:{self.checksum}"
        own = f"{self.source}\n{self.asset_id}\n{self.updated_at.isoformat()}"
        return f"{self.rendition}:@{hashlib.sha1(own.encode(), usedforsecurity=False).hexdigest()}"


def is_rendition_path(path: str) -> bool:
    """Return whether a path is Immich's own rendition, indexed by an external library with missing exclusions."""
    lowered = path.replace("\\", "/").lower()
    name = lowered.rsplit("/", 1)[-1]
    stem = name.rsplit(".", 1)[0]
    in_own_folder = "/thumbs/" in f"/{lowered}" or "/encoded-video/" in f"/{lowered}"
    return in_own_folder and stem.endswith(
        ("-preview", "-thumbnail", "-fullsize", "_preview", "_thumbnail", "_fullsize")
    )
