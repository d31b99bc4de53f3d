"""Facesets: what is exported of an identity, under which name, by which rules, and which files must change for it."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from immich_facesets.faces import Box, Face, Gate
from immich_facesets.facesets.minors import Held
from immich_facesets.names import faceset_name
from immich_facesets.near_duplicates.faces import DEFAULT_COPY_LIMITS, CopyLimits
from immich_facesets.quality.landmarks import Details
from immich_facesets.quality.score import QualityParts
from immich_facesets.quality.visibility import Visible

WHOLLY = Visible()

LEAST_OF_FACE, LEAST_OF_CROP = 0.85, 0.5
"""
The least shares of a face, as it is aligned, and of its crop that lie in the picture. A crop of 50 % padding around a
face in the corner of a picture has 0.56; a face that the edge cuts in half has 0.5 of itself.
"""

SHARP, FEW_SHARP = 0.4, 8
"""
The sharpness of a sharp face (a variance of the Laplacian of 200), and the least number of sharp faces in a bundle: its
advised size.
"""

UNENLARGED = 112.0
"""Short edge in pixels of a face that a recogniser need not enlarge."""

INTACT = 0.95
"""From this share on, a crop counts as wholly in the picture: hair above the upper edge costs less."""

EXPORT_FORMAT = 1
"""Format version. Increase it when the same facts must give other files: every faceset is then written again."""


class FacesetFolder(StrEnum):
    """The folder of a faceset: the export folder itself, or a folder of facesets that a moderator must review first."""

    MAIN = ""
    THIN = "_thin"
    CANDIDATES = "_candidates"


class Verdict(StrEnum):
    """The detector's verdict on a finished crop: one right face, none, more than one, or another person."""

    OK = "ok"
    NONE = "none"
    SECOND = "second"
    FAR = "far"


class Reason(StrEnum):
    """
    The reason why a face of an identity is not in its faceset; see ``Held`` for the swap bundles.

    ``NO_CROP`` is for faces included by hand: too small for an export as their pictures were read, they got no crop.
    ``ENLARGED`` and the following are for forms only, whose pictures have sizes, colours and framings of their own.
    """

    SMALL = "too_small"
    NO_CROP = "no_stored_crop"
    OUTSIDE = "outside_the_picture"
    OUTLIER = "outlier"
    NEAR_DUPLICATE = "near_duplicate"
    NO_FACE = "no_face_in_crop"
    SECOND_FACE = "second_face_in_crop"
    UNLIKE = "crop_unlike_identity"
    ENLARGED = "enlarged_too_much"
    MONOCHROME = "without_colour"
    OTHERS_SHOWN = "another_face_in_picture"
    NOT_CUT = "original_not_available"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One location of a picture's bytes; byte-identical pictures have several, of several users."""

    user: str
    asset_id: str
    path: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A face of the identity, with all facts that an export contains. Its vector is the matrix row of the same number.

    ``phash``: of the aligned face (``face_hash``); ``crop_sha256``: hex digest of the stored crop's bytes, None
    without a crop;
    ``visible``: how much of it lies in the picture; ``taken``: local ISO date or None; ``held``: why the face may show a minor, None where it does not; ``details``:
    results of further models; ``era_confidence``: in [0, 1], the confidence that an undated face is of its era; ``how``
    the face became a member; ``is_confirmed``: a moderator confirmed that it shows the person; ``is_included``: one included it by
    hand, whatever rule would leave it out.
    """

    face: Face
    phash: int
    crop_sha256: str | None
    places: tuple[Place, ...]
    taken: str | None
    held: Held | None = None
    details: Details | None = None
    era_confidence: float | None = None
    how: str | None = None
    visible: Visible = WHOLLY
    is_confirmed: bool = False
    is_included: bool = False

    @property
    def place_in_order(self) -> tuple[str, float, float, float, float]:
        """Return a key that breaks ties identically in every run: content and box are stable, row numbers are not."""
        box = self.face.box
        return (self.face.sha256, box.x1, box.y1, box.x2, box.y2)


@dataclass(frozen=True, slots=True)
class Check:
    """
    The verdict on a finished crop: of the whole crop if that is good, else of a smaller square of it.

    ``frame``: the square of the crop, in shares of its side, that holds the face alone; ``is_masked``: a second face
    had to be painted over.
    """

    verdict: Verdict
    is_masked: bool = False
    frame: Box | None = None


@dataclass(frozen=True, slots=True)
class ExportRules:
    """
    The rules of what an export includes (docs/exports.md). ``outlier`` is a cosine distance and belongs to the space.

    ``gate``: which faces count for the centroid. ``top``: faces in the small bundle. ``pad_ratio``: the margin a crop
    adds on each side, in sides of the box. ``out_size``: pixels of a finished crop.
    """

    outlier: float
    min_face_short: float = 100.0
    top: int = 30
    pad_ratio: float = 0.5
    out_size: int = 512
    gate: Gate = field(default_factory=Gate)
    likeness: CopyLimits = DEFAULT_COPY_LIMITS


@dataclass(frozen=True, slots=True)
class ExportFace:
    """
    A face good enough to export; ``distance`` is the cosine distance to the centroid of its faceset.

    ``frame`` and ``is_masked`` are those of its ``Check``.
    """

    candidate: Candidate
    quality: QualityParts
    distance: float
    is_masked: bool = False
    frame: Box | None = None


@dataclass(frozen=True, slots=True)
class Omission:
    """A face that belongs to the identity and is left out of its faceset."""

    candidate: Candidate
    reason: Reason


@dataclass(frozen=True, slots=True)
class EraYears:
    """The years of an era in a faceset. ``name`` is unique among the eras of one identity; years are inclusive."""

    name: str
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Faceset:
    """
    An identity, one era of it, or its candidate faces, as they are exported.

    The rank of a face is its position in ``faces``, from 1.
    """

    identity: int
    label: str | None
    era: EraYears | None
    folder: FacesetFolder
    faces: tuple[ExportFace, ...]
    omitted: tuple[Omission, ...]

    @property
    def name(self) -> str:
        return faceset_name(self.identity, None if self.era is None else self.era.name)

    @property
    def directory(self) -> str:
        """Return the directory relative to the export folder."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def swappable(self) -> tuple[ExportFace, ...]:
        """Return the faces allowed in a bundle for face swapping: none held back (docs/exports.md), no candidates."""
        if self.folder is FacesetFolder.CANDIDATES:
            return ()
        return tuple(face for face in self.faces if face.candidate.held is None)

    @property
    def averaged(self) -> tuple[ExportFace, ...]:
        """
        Return the faces allowed in a bundle whose reader averages them.

        While there are enough sharp faces of a good size, no other one is among them, even of a day of its own. Faces
        that were included by hand always are.
        """
        faces = self.swappable
        good = {
            face.candidate.face.face_id
            for face in faces
            if face.quality.sharpness >= SHARP and face.candidate.face.face_short >= UNENLARGED and not face.is_masked
        }
        if len(good) < FEW_SHARP:
            return faces
        return tuple(face for face in faces if face.candidate.is_included or face.candidate.face.face_id in good)

    @property
    def known(self) -> int:
        """
        Return the number of faces known of the person, or of the era: those exported and those left out.

        Faces without a crop count for the person alone.
        """
        return len(self.faces) + len(self.omitted)

    @property
    def left_out(self) -> dict[str, int]:
        """Return how many faces are left out, by reason; those held back are left out of the swap bundles only."""
        counts = Counter(str(omission.reason) for omission in self.omitted) + self.held_back
        return {reason: counts[reason] for reason in sorted(counts)}

    @property
    def included(self) -> int:
        """Return how many faces are in it that were included by hand."""
        return sum(face.candidate.is_included for face in self.faces)

    @property
    def not_included(self) -> dict[str, int]:
        """Return how many faces are left out although they were included by hand, by reason."""
        counts = Counter(str(one.reason) for one in self.omitted if one.candidate.is_included)
        return {reason: counts[reason] for reason in sorted(counts)}

    @property
    def held_back(self) -> Counter[str]:
        """Return how many faces may show a minor and are in no bundle for swapping, by reason."""
        return Counter(str(face.candidate.held) for face in self.faces if face.candidate.held is not None)


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """
    Directories to write, to leave unchanged and to remove.

    Remove first: content that must not be visible any more goes at once.
    """

    write: tuple[str, ...]
    keep: tuple[str, ...]
    remove: tuple[str, ...]


def digest(manifest: bytes) -> str:
    """
    Return a digest that identifies the files of a faceset: SHA-256 over the format and the faceset's manifest.

    The manifest holds everything the files are made of, and the digests of the crops it shows. It does not hold this
    program's version, so an upgrade rewrites nothing unless ``EXPORT_FORMAT`` changes.
    """
    return hashlib.sha256(f"immich-facesets export {EXPORT_FORMAT}\n".encode() + manifest).hexdigest()


def plan_publish(wanted: Iterable[tuple[str, str]], on_disk: Mapping[str, str]) -> PublishPlan:
    """
    Plan the changes after which the export folder holds exactly ``wanted``: (directory, digest) pairs.

    ``on_disk``: the digest of every directory that is ours. Once the plan was carried out, planning again gives an
    empty plan.
    """
    pairs = list(wanted)
    digests = dict(pairs)
    if len(digests) != len(pairs):
        raise ValueError("two facesets want the same directory")
    same = {directory for directory, name in digests.items() if on_disk.get(directory) == name}
    return PublishPlan(
        write=tuple(directory for directory in digests if directory not in same),
        keep=tuple(directory for directory in digests if directory in same),
        remove=tuple(sorted(directory for directory in on_disk if directory not in digests)),
    )
