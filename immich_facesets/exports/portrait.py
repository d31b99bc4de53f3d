"""
One picture of each person and era, for programs that learn a face from a single picture.

Some of them take the largest face of it, and Deep-Live-Cam the leftmost one. A picture of one face, in the middle, is
right for all of them.
"""

from immich_facesets.exports.face_choice import FOR_ONE_PICTURE
from immich_facesets.exports.picture_encoding import PictureFormat
from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return the picture, named by the person; several have numbers in the order of their ranks."""
    if len(picked.faces) == 1:
        return FacesetLayout((f"{picked.person}.{picked.picture_format}",))
    return FacesetLayout(tuple(picked.file_names_with_person))


PORTRAIT = FacesetProfile(
    name="portrait",
    formats=(PictureFormat.PNG, PictureFormat.JPG),  # the window of Deep-Live-Cam lists no WebP
    is_for_swapping=True,
    weights=FOR_ONE_PICTURE,
    usual_faces=1,
    usual_pixels=1024,
    lay_out=lay_out,
)
