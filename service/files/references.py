"""Reference pictures kept in the data folder: a square of at most 512 pixels, an aligned face, and the original if asked."""

import asyncio
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from immich_facesets.errors import ItemError
from immich_facesets.exports.reference_crops import aligned_face
from immich_facesets.face_requests import CropRequest
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import FaceRef
from immich_facesets.wire import FaceAnswer, FacesAnswer
from service.files.crops import keep_crop, tidy
from service.store.reference_pictures import KeptPicture

DISPLAY = CropRequest(side=512)
"""The square around the face that is kept; a small face is not enlarged."""

_ORIGINAL = ".original"


@dataclass(frozen=True, slots=True)
class ReferenceFolder:
    """
    The folder of reference pictures.

    ``turn`` is held from the first file of a picture to its row, and while files without a row are removed.
    """

    path: Path
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False)

    def keep(self, picture: bytes, answer: FacesAnswer, face: FaceAnswer, *, keeps_original: bool) -> KeptPicture:
        """Write what is kept of a picture durably, before any row names it. Blocks; a full disk is a ``SetupError``."""
        kept, image = without_files(picture, face)
        aligned = aligned_face(image, face.points(), kept.area, answer.width, answer.height)
        sha256 = kept.face.sha256
        return replace(
            kept,
            display=self.write(sha256, image),
            aligned=self.write(sha256, aligned),
            original=self.write_original(sha256, picture) if keeps_original else None,
        )

    def write(self, sha256: str, image: bytes) -> str:
        """Write a JPEG of the picture with this SHA-256 durably and return its name. Blocks."""
        return keep_crop(self.path, sha256, image)

    def write_original(self, sha256: str, picture: bytes) -> str:
        """Write the bytes that were sent durably and return their name. Blocks."""
        return keep_crop(self.path, sha256, picture, suffix=_ORIGINAL)

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None where it is missing. Blocks."""
        path = self.path / name
        return path.read_bytes() if path.is_file() else None

    def tidy(self, needed: Collection[str]) -> int:
        """Remove the files that no row names, and drafts; return how many. Blocks."""
        return tidy(self.path, needed)


def without_files(picture: bytes, face: FaceAnswer) -> tuple[KeptPicture, bytes]:
    """Return what would be kept of a picture, without files, and the JPEG of the square around its face."""
    crop = face.crop
    if crop is None:
        raise ItemError(
            "the embedder sent no picture of the face: update it to the version of the service", reason="no_crop"
        )
    ref = FaceRef(hashlib.sha256(picture).hexdigest(), face.face_box())
    return KeptPicture(hashlib.sha256(crop.image).hexdigest(), ref, Box(*crop.area), display=""), crop.image
