"""
The kinds of profiles: forms that face sets or libraries are exported in, each for one kind of program.

Every profile is one module. It declares a value of one of these classes, and a pure function that turns values into
files. ``registry`` collects the values.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from immich_facesets.exports.captions import USUAL_CAPTIONS, Captions
from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.face_choice import Weights
from immich_facesets.exports.file_names import safe_name
from immich_facesets.exports.library import UserLibrary
from immich_facesets.exports.picture_encoding import PictureFormat
from immich_facesets.facesets.faceset import ExportFace, Faceset
from immich_facesets.quality.landmarks import NOTHING_FOUND, Enriched
from immich_facesets.wire import Info

PROFILES_FOLDER = "_profiles"
"""A folder in the export folder; names there that begin with _ are not face sets."""

ReadBack = Callable[[str], bytes]
"""Returns the bytes of a file that was written before, by its name in the directory."""

Writer = Callable[[BinaryIO, ReadBack], None]
"""Writes a file: bundles of thousands of pictures are never held in memory."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """
    A picture that is not encoded yet. Pictures with equal keys have equal bytes, in whatever directories they are.

    ``scale``: as of ``crop_geometry.scale_of``; ``encode`` is called from any thread. ``has_alpha_mask``: whether a part
    of it is transparent, because it does not show the person. ``mask``: a picture of how much is to be learned of each
    pixel, for readers of mask files; ``hides``: whether that is nothing of some. ``facts``: further entries of the manifest, of all that the
    picture is made of.
    """

    key: Hashable
    encode: Callable[[], bytes] = field(repr=False, compare=False)
    scale: float
    has_alpha_mask: bool = False
    mask: "PictureFile | None" = field(default=None, repr=False, compare=False)
    hides: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


Content = bytes | PictureFile | Writer
"""The bytes of a file, or a way to them."""

Files = Callable[[], Iterator[tuple[str, Content]]]


@dataclass(frozen=True, slots=True)
class PickedFaces:
    """
    The faces of a face set that a profile takes, best first; at least one.

    ``name``: the directory's; ``title``: the person's and the era's for users, unique among the face sets; ``stem``: the
    same as a file name, None for that of the title alone; ``pixels`` of a side; ``picture_format`` of the pictures;
    ``framing``: how much they show; ``rules`` of captions;
    ``pictures``: of the faces, by rank;
    ``vectors``: (n, d), as long as the recogniser makes them, row by row, None when the profile needs none.
    ``first_enriched``: the points of the first face, for a profile that needs them.
    """

    faceset: Faceset
    faces: tuple[ExportFace, ...]
    name: str
    title: str
    pixels: int
    picture_format: PictureFormat = PictureFormat.PNG
    framing: Framing = Framing.FACE
    rules: Captions = USUAL_CAPTIONS
    pictures: tuple[PictureFile, ...] = field(default=(), repr=False)
    vectors: NDArray[np.float32] | None = field(default=None, repr=False)
    first_enriched: Enriched = NOTHING_FOUND
    stem: str | None = None

    @property
    def file_names(self) -> list[str]:
        """The name of each face's picture, by rank."""
        return [f"{rank:04d}.{self.picture_format}" for rank in range(1, len(self.faces) + 1)]

    @property
    def has_alpha_masks(self) -> bool:
        """Whether a picture is transparent in part."""
        return any(picture.has_alpha_mask for picture in self.pictures)

    @property
    def captions(self) -> list[str]:
        """The caption of each face's picture, by rank."""
        return [self.rules.of(self.faceset, face.candidate, self.framing) for face in self.faces]

    @property
    def person(self) -> str:
        """The title as a file name, for readers that show it."""
        return self.stem or safe_name(self.title) or self.name

    @property
    def file_names_with_person(self) -> list[str]:
        """The name of each face's picture, by rank, for readers that show it."""
        return [f"{self.person} {file}" for file in self.file_names]


@dataclass(frozen=True, slots=True)
class FacesetLayout:
    """
    The directory of one face set in a profile, without its manifest.

    ``pictures``: the file of each face, by rank, None without a picture; ``further``: its other pictures, by name, such as
    masks; ``notes``: the other files by name.
    """

    pictures: tuple[str | None, ...]
    notes: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    further: tuple[Mapping[str, PictureFile], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class LibraryLayout:
    """
    The directory of one user in a profile. ``manifest``: its entries beside the names of profile and user.

    ``faces``: how many faces it is about; ``files`` makes the files anew, without the manifest.
    """

    manifest: Mapping[str, Any]
    faces: int
    files: Files = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """
    The facts about a profile that are no matter of its files.

    name: in settings, manifests and paths.
    is_for_swapping: no face of a minor is ever included (docs/exports.md).
    has_pictures: whether a size in pixels has a meaning.
    formats: of pictures that its readers take; the first is the usual one.
    needs_vectors: whether the embeddings, and the results of further models, must be read for it.
    require_space: raises ``SetupError`` for an embedder whose vectors it cannot use; None when any will do.
    is_aligned: whether pictures are faces on ArcFace's template instead of crops.
    is_cut_to_box: whether pictures are the boxes of faces instead of crops; the longer side has the pixels.
    takes_framings: whether its readers take pictures of any shape, that show more than the face.
    reads_alpha_masks: whether its readers learn nothing of what is transparent. Such pictures are transparent where they
        show another face, or lie outside the photo.
    has_mask_files: whether its readers take masks as files of their own.
    sizes: the pixels that a request may have; empty for any.
    weights: how faces are chosen; None for the usual way of readers for swapping, or of the others.
    usual_faces, usual_pixels: what a request without numbers gets; None for all faces, and for the stored size.
    usual_most_scale: pictures that are enlarged more are left out, unless a request has another number; None for none.
    settings: the settings that take the place of the numbers of a request; None when a request may have numbers.
    """

    name: str
    is_for_swapping: bool = False
    has_pictures: bool = True
    formats: tuple[PictureFormat, ...] = (PictureFormat.PNG,)
    is_aligned: bool = False
    is_cut_to_box: bool = False
    takes_framings: bool = False
    reads_alpha_masks: bool = False
    has_mask_files: bool = False
    sizes: tuple[int, ...] = ()
    needs_vectors: bool = False
    require_space: Callable[[Info], None] | None = None
    weights: Weights | None = None
    usual_faces: int | None = None
    usual_pixels: int | None = None
    usual_most_scale: float | None = None
    settings: tuple[str, ...] | None = None

    @property
    def home(self) -> str:
        """The folder of this profile, relative to the export folder; a copy in another folder leaves it out."""
        return f"{PROFILES_FOLDER}/{self.name}"

    @property
    def folder(self) -> str:
        """The folder that holds its directories, relative to the export folder."""
        return self.home

    @property
    def guide(self) -> str:
        """The page for those who use its files, relative to this package."""
        return f"guides/{self.name}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderProfile(Profile):
    """The face sets' own directories, which are always written: in the export folder itself."""

    @property
    def home(self) -> str:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesetProfile(Profile):
    """
    A profile with one directory for each face set, which holds the best faces of a person.

    lay_out: the pure function from picked faces to files.
    subfolder: between the profile's folder and its directories.
    has_eras: whether an era of a person is a face set of its own.
    needs_name: whether only people with a name have a directory.
    needs_colour: whether grey and other monochrome pictures are left out.
    needs_points: whether the results of further models must be read for the first face.
    directory_names: the directory of each identity, by its label; None where the face set's name is used.
    combine: the files of one more directory, about everybody, from those of all face sets; None for no such directory.
    """

    lay_out: Callable[[PickedFaces], FacesetLayout]
    subfolder: str = ""
    has_eras: bool = True
    needs_name: bool = False
    needs_colour: bool = False
    needs_points: bool = False
    directory_names: Callable[[Mapping[int, str | None]], Mapping[int, str]] | None = None
    combine: Callable[[Sequence[bytes]], Mapping[str, bytes]] | None = None

    @property
    def folder(self) -> str:
        return f"{self.home}/{self.subfolder}" if self.subfolder else self.home


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryProfile(Profile):
    """
    A profile with one directory for each user, about every picture of the user's library.

    lay_out: the pure function from a library to files; None when nothing is to be written.
    """

    lay_out: Callable[[UserLibrary], LibraryLayout | None]
    has_pictures: bool = False
    settings: tuple[str, ...] | None = ()
