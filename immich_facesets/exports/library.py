"""A user's library as the profiles about whole libraries see it: the pictures, and the faces in them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Face
from immich_facesets.quality.landmarks import NOTHING_FOUND, Enriched


@dataclass(frozen=True, slots=True)
class PlacedPicture:
    """
    One location of a content, of the user ``user``. ``width`` and ``height`` are upright.

    ``is_external``: in a library of files that Immich only reads. ``size_bytes``: of the content.

    ``orientation`` is None if the rotation of the file at ``path`` is unknown: other bytes than its own were
    examined, or they were examined before the orientation was stored.
    """

    user: str
    asset_id: str
    path: str = field(repr=False)
    sha256: str
    width: int
    height: int
    orientation: int | None
    has_faces: bool
    is_external: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LibraryFace:
    """A face with its identity (0: none), the identity's label, and the results of further models."""

    face: Face
    identity: int
    label: str | None = None
    enriched: Enriched = NOTHING_FOUND


@dataclass(frozen=True, slots=True)
class UserLibrary:
    """
    One user's library. ``pictures``: by path; ``faces``: those in the pictures.

    ``vectors``: (n, d), unit length, row i belongs to face i; None unless the profile needs them.
    """

    user: str
    space: str
    pictures: tuple[PlacedPicture, ...]
    faces: tuple[LibraryFace, ...]
    vectors: NDArray[np.float32] | None = field(default=None, repr=False)
