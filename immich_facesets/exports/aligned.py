"""
Faces as recognisers see them: on ArcFace's template, in a folder for each person.

Such folders are what trainers and benchmarks of recognition read, without a detector. A side of 112 pixels is the
template itself; 256 is that of 128 pixels, with free space on both sides, at twice the size, as insightface has it.
"""

from immich_facesets.exports.imagefolder import class_names
from immich_facesets.exports.picture_encoding import EVERY_FORMAT
from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return the pictures, without further files."""
    return FacesetLayout(tuple(picked.file_names))


ALIGNED = FacesetProfile(
    name="aligned",
    formats=EVERY_FORMAT,
    is_aligned=True,
    sizes=(112, 256),
    usual_pixels=112,
    lay_out=lay_out,
    has_eras=False,  # an era would be a second class of the same person
    directory_names=class_names,
)
