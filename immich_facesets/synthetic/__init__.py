"""
Synthetic people: pictures of drawn faces, and a deterministic engine that finds exactly these faces again.

Tests, the demonstration and the pictures of the documentation need faces, and no photo of a person belongs in them.
Every synthetic person is therefore drawn with an embroidered band that encodes the identity. ``find_faces`` reads eyes
and band from the pixels, also after the picture was resized, cropped or stored as a JPEG. Its vectors behave like those
of a real recogniser: near for one sitter, nearly orthogonal for two, and drifting with pose, light and years.
"""

from immich_facesets.synthetic.body import standing_height
from immich_facesets.synthetic.detector import SyntheticFace, find_faces
from immich_facesets.synthetic.identity_code import SITTERS
from immich_facesets.synthetic.scenes import draw_picture
from immich_facesets.synthetic.subjects import Pose, Sitter

__all__ = ["SITTERS", "Pose", "Sitter", "SyntheticFace", "draw_picture", "find_faces", "standing_height"]
