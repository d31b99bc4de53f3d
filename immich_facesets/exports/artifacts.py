"""
Export artifacts: the directories of the export folder, each a face set, or an export profile of it or of a library.

Every artifact holds a manifest that names its files and all their inputs. Its digest therefore shows whether it must be
written again. All artifacts are planned, written, removed and recorded in one way.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from immich_facesets.exports.captions import USUAL_CAPTIONS, Captions
from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.face_choice import picked
from immich_facesets.exports.library import UserLibrary
from immich_facesets.exports.manifests import SCHEMA, Json, face_entry, json_bytes, years
from immich_facesets.exports.picture_encoding import PictureFormat
from immich_facesets.exports.profile import (
    Content,
    FacesetProfile,
    Files,
    LibraryProfile,
    PickedFaces,
    PictureFile,
    Profile,
)
from immich_facesets.facesets.faceset import ExportFace, ExportRules, Faceset, Omission, Reason, digest
from immich_facesets.imports.manifests import MANIFEST
from immich_facesets.quality.landmarks import NOTHING_FOUND, Enriched


class Draw(Protocol):
    """
    A function that returns the picture of a face, with sides of so many pixels, or at the size of exports.

    ``identity``: its number. A reader ``for_swapping`` detects faces again: it gets the crop that was checked. Others get
    the picture alone.
    """

    def __call__(
        self,
        face: ExportFace,
        identity: int,
        pixels: int | None,
        *,
        for_swapping: bool,
        picture_format: PictureFormat = PictureFormat.PNG,
        is_aligned: bool = False,
        reads_alpha_masks: bool = False,
        is_cut_to_box: bool = False,
        has_mask_files: bool = False,
        framing: Framing = Framing.FACE,
    ) -> PictureFile: ...


@dataclass(frozen=True, slots=True)
class ExportArtifact:
    """
    One directory. ``path`` is relative to the export folder; ``entry`` is the record kept in the store.

    ``identity`` is None for an artifact of a whole library. ``files`` makes the files anew, the manifest last.
    """

    path: str
    profile: Profile
    identity: int | None
    manifest: bytes = field(repr=False)
    entry: Json = field(repr=False)
    files: Files = field(repr=False, compare=False)

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def form_of_faceset(
    profile: FacesetProfile,
    faceset: Faceset,
    *,
    count: int | None,
    pixels: int | None,
    space: str,
    rules: ExportRules,
    draw: Draw,
    title: str,
    stem: str | None = None,
    name: str | None = None,
    vectors: NDArray[np.float32] | None = None,
    first_enriched: Enriched = NOTHING_FOUND,
    most_scale: float | None = None,
    picture_format: PictureFormat = PictureFormat.PNG,
    framing: Framing = Framing.FACE,
    captions: Captions = USUAL_CAPTIONS,
) -> ExportArtifact | None:
    """
    Return a face set in a profile; None when no face of it is allowed there.

    count: faces to pick, None for all.
    pixels: of a side, None for the stored size.
    name: the directory's, unless it is the face set's.
    title, stem: the name of the person and the era for users, and as a file name.
    vectors: (n, d) of the picked faces, as long as the recogniser makes them, for profiles that need them.
    first_enriched: the points of the first of them, for profiles that need them.
    most_scale: faces whose picture would be enlarged more are left out, but those included by hand; None for none.
    framing: how much of the original its pictures show.
    captions: how the captions of its pictures are made.
    """

    def picture(face: ExportFace) -> PictureFile:
        return draw(
            face,
            faceset.identity,
            pixels,
            for_swapping=profile.is_for_swapping,
            picture_format=picture_format,
            is_aligned=profile.is_aligned,
            reads_alpha_masks=profile.reads_alpha_masks,
            is_cut_to_box=profile.is_cut_to_box,
            has_mask_files=profile.has_mask_files,
            framing=framing,
        )

    if most_scale is not None and framing is Framing.FACE:  # the picture of a cut is never enlarged
        free = (face for face in faceset.faces if not face.candidate.is_included)
        enlarged = [face for face in free if picture(face).scale > most_scale]
        faceset = without(faceset, {face.candidate.face.face_id: Reason.ENLARGED for face in enlarged})
    faces = picked(faceset, count, is_for_swapping=profile.is_for_swapping, weights=profile.weights)
    if not faces:
        return None
    leaf = name or faceset.name
    side = pixels or rules.out_size
    pictures = tuple(picture(face) for face in faces)
    layout = profile.lay_out(
        PickedFaces(
            faceset,
            faces,
            leaf,
            title,
            side,
            picture_format,
            framing=framing,
            rules=captions,
            pictures=pictures,
            vectors=vectors,
            first_enriched=first_enriched,
            stem=stem,
        )
    )
    further = layout.further or tuple({} for _ in faces)
    drawn = [
        (face, file, shown if file is not None else None)
        for face, shown, file in zip(faces, pictures, layout.pictures, strict=True)
    ]
    manifest = json_bytes(
        {
            "schema": SCHEMA,
            "name": leaf,
            "profile": profile.name,
            "faceset": faceset.name,
            "identity": faceset.identity,
            "label": faceset.label,
            "era": years(faceset.era),
            "space": space,
            "settings": {
                "faces": count,
                "pixels": side,
                "format": picture_format,
                "most_scale": most_scale,
                "out_size": rules.out_size,
                "pad": rules.pad_ratio,
                **({} if framing is Framing.FACE else {"framing": framing}),
            },
            "bundles": {note: note for note in layout.notes if "/" not in note},
            "notes": {note: hashlib.sha256(body).hexdigest() for note, body in layout.notes.items()},
            "faces": [
                face_entry(rank, _as_read(face, profile), file, shown, tuple(others))
                for rank, ((face, file, shown), others) in enumerate(zip(drawn, further, strict=True), start=1)
            ],
            "known": faceset.known,
            "left_out": _left_out(faceset, profile, len(faces)),
        }
    )

    def files() -> Iterator[tuple[str, Content]]:
        for _, file, shown in drawn:
            if file is not None and shown is not None:
                yield file, shown
        for others in further:
            yield from others.items()
        yield from layout.notes.items()
        yield MANIFEST, manifest

    entry = _entry(profile, faceset.identity, len(faces))
    return ExportArtifact(f"{profile.folder}/{leaf}", profile, faceset.identity, manifest, entry, files)


def form_of_library(profile: LibraryProfile, library: UserLibrary, directory: str) -> ExportArtifact | None:
    """Return a user's library in a profile, in the user's ``directory``; None when nothing is to be written."""
    layout = profile.lay_out(library)
    if layout is None:
        return None
    manifest = json_bytes(
        {"schema": SCHEMA, "name": directory, "profile": profile.name, "user": library.user, **layout.manifest}
    )

    def files() -> Iterator[tuple[str, Content]]:
        yield from layout.files()
        yield MANIFEST, manifest

    entry = _entry(profile, None, layout.faces)
    return ExportArtifact(f"{profile.folder}/{directory}", profile, None, manifest, entry, files)


def without(faceset: Faceset, refused: Mapping[int, Reason]) -> Faceset:
    """Return a face set that leaves out the ``refused`` faces, by face id, each for its reason."""
    out = [face.candidate for face in faceset.faces if face.candidate.face.face_id in refused]
    return replace(
        faceset,
        faces=tuple(face for face in faceset.faces if face.candidate.face.face_id not in refused),
        omitted=(*faceset.omitted, *(Omission(one, refused[one.face.face_id]) for one in out)),
    )


def _as_read(face: ExportFace, profile: Profile) -> ExportFace:
    """Return a face without the facts about the crop that only readers for swapping get."""
    return face if profile.is_for_swapping else replace(face, is_masked=False, frame=None)


def _left_out(faceset: Faceset, profile: Profile, count: int) -> dict[str, int]:
    """Return how many of the person's known faces are left out, by reason; with ``count`` they add up to ``known``."""
    counts = Counter(str(omission.reason) for omission in faceset.omitted)
    held = faceset.held_back if profile.is_for_swapping else Counter[str]()
    counts += held + Counter(beyond_the_best=len(faceset.faces) - held.total() - count)
    return {reason: counts[reason] for reason in sorted(counts)}


def _entry(profile: Profile, identity: int | None, faces: int) -> Json:
    return {"profile": profile.name, "identity": identity, "faces": faces}
