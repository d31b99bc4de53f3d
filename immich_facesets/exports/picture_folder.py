"""
Folders of pictures, best first, with the person's name in theirs: for FaceFusion and for people.

FaceFusion averages the largest face of each file. Two of its swappers read the first file alone, so the best comes first.
"""

from immich_facesets.exports.picture_encoding import EVERY_FORMAT
from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return the pictures, named after the person, because programs and file managers show file names."""
    return FacesetLayout(tuple(picked.file_names_with_person))


FACEFUSION = FacesetProfile(
    name="facefusion",
    formats=EVERY_FORMAT,
    is_for_swapping=True,
    usual_faces=12,  # it averages all of them: a few good ones give a better result than many
    lay_out=lay_out,
)

PLAIN = FacesetProfile(name="plain", formats=EVERY_FORMAT, takes_framings=True, lay_out=lay_out)
