"""Export artifacts of invented people, for the tests of every export profile."""

from pathlib import Path

import numpy as np
from faceset_builders import RULES, faceset, gathered, picture
from numpy.typing import NDArray

from immich_facesets.exports.artifacts import ExportArtifact, form_of_faceset
from immich_facesets.exports.captions import USUAL_CAPTIONS, Captions
from immich_facesets.exports.crops import AlphaMask, Picture, provenance, resized
from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.file_names import titles_of
from immich_facesets.exports.fsz import of_faceset
from immich_facesets.exports.picture_encoding import PictureFormat, encoded
from immich_facesets.exports.profile import FacesetProfile, PictureFile
from immich_facesets.exports.requests import read_export_requests
from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import Candidate, ExportFace, Faceset
from immich_facesets.quality.landmarks import NOTHING_FOUND, Enriched
from service.files.export_tree import ExportTree
from service.passes.publishing.mask_rendering import with_mask_file


def drawn(
    face: ExportFace,
    identity: int,
    pixels: int | None,
    *,
    for_swapping: bool = False,
    picture_format: PictureFormat = PictureFormat.PNG,
    is_aligned: bool = False,
    reads_alpha_masks: bool = False,
    is_cut_to_box: bool = False,
    has_mask_files: bool = False,
    framing: Framing = Framing.FACE,
) -> PictureFile:
    """A picture of broad shapes, of which no two are alike; masked ones for readers of masks where the face is."""
    del for_swapping, is_aligned, is_cut_to_box, framing
    face_id, side = face.candidate.face.face_id, pixels or 64
    texts = provenance(asset_id=min(face.candidate.places).asset_id, identity=identity, version="1")
    scale = side / (2 * face.candidate.face.box.width)
    shown = resized(picture(64, seed=face_id), side)
    has_mask = reads_alpha_masks and face.is_masked
    key = (face_id, identity, side)
    made = PictureFile(key, lambda: encoded(shown, texts, picture_format), scale, has_alpha_mask=has_mask)
    if not has_mask_files:
        return made
    others = (Box(0, 0, side / 4, side / 4),) if face.is_masked else ()
    mask = AlphaMask(others, Box(side / 2, side / 2, side / 2 + 8, side / 2 + 8), Box(0, 0, side, side))
    return with_mask_file(made, mask, (side, side), texts)


def small(candidate: Candidate, side: int) -> Picture:
    """The same picture, small."""
    return resized(picture(64, seed=candidate.face.face_id), side)


def whole(built: Faceset) -> ExportArtifact:
    """A face set's own directory."""
    return of_faceset(built, space="space-1", rules=RULES, draw=drawn, thumbnail=small)


def form(
    request: str,
    built: Faceset | None = None,
    *,
    class_name: str = "Anna",
    vectors: NDArray[np.float32] | None = None,
    first_enriched: Enriched = NOTHING_FOUND,
    captions: Captions = USUAL_CAPTIONS,
) -> ExportArtifact:
    """One artifact of a face set, by default of one with three faces."""
    found = maybe(
        request,
        built or faceset(3),
        class_name=class_name,
        vectors=vectors,
        first_enriched=first_enriched,
        captions=captions,
    )
    assert found is not None
    return found


def maybe(
    request: str,
    built: Faceset,
    *,
    class_name: str = "Anna",
    vectors: NDArray[np.float32] | None = None,
    first_enriched: Enriched = NOTHING_FOUND,
    captions: Captions = USUAL_CAPTIONS,
) -> ExportArtifact | None:
    (one,) = read_export_requests(request)
    assert isinstance(one.profile, FacesetProfile)
    era = None if built.era is None else built.era.name
    return form_of_faceset(
        one.profile,
        built,
        count=one.faces,
        pixels=one.pixels,
        space="space-1",
        rules=RULES,
        draw=drawn,
        title=titles_of({(built.identity, era): built.label})[(built.identity, era)],
        name=class_name if one.profile.directory_names is not None else None,
        vectors=vectors,
        first_enriched=first_enriched,
        most_scale=one.most_scale,
        picture_format=one.picture_format,
        framing=one.framing,
        captions=captions,
    )


def written(made: ExportArtifact) -> dict[str, bytes]:
    """Every file by its name in the artifact's directory."""
    return gathered(made.files())


def put(root: Path, made: ExportArtifact) -> Path:
    """The artifact on a disk, as the service writes it; returns its directory."""
    ExportTree(root).write_directory(made.path, made.files())
    return root / made.path
