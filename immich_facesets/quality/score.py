"""
The quality of a face for an export: a score, and the parts it is composed of (docs/exports.md).

Every part lies in [0, 1]; higher is better. It is rounded to four digits, so that noise in the last bits of a model
neither reorders a faceset nor rewrites its files. A face, its mirror image, and the same face with a tilted head score
the same, because alignment removes the roll first.
"""

import math
from dataclasses import dataclass

from immich_facesets.faces import Face, Landmarks
from immich_facesets.quality.landmarks import Details

PROFILE_DEGREES = 90.0
"""The angle between the face's direction and the camera at which half of the face is hidden: frontality 0."""

PROFILE_ASYMMETRY = 0.6
"""The asymmetry of the five points of a head turned by 90 degrees; frontal faces measure 0.02 to 0.04."""

FULL_SIZE = 256.0
"""In pixels. A face fills half of a crop of 512 pixels; more detail than that is discarded."""

HALF_SHARP = 300.0
"""The variance of the Laplacian for sharpness 0.5: the median of sharp photos with faces of 100 pixels or more."""


@dataclass(frozen=True, slots=True)
class QualityParts:
    """
    The five parts of a face's quality, and two factors; all in [0, 1].

    ``inside``: the share of its crop that lies in the picture. ``light``: 1 unless the face is too dark or too flat.
    """

    frontality: float
    det_score: float
    symmetry: float
    size: float
    sharpness: float
    inside: float = 1.0
    light: float = 1.0

    @property
    def score(self) -> float:
        """
        The weighted sum, times the share inside and the light: in [0, 1].

        Frontal views matter most for every use of a faceset. Area outside the picture shows nobody, and neither does
        a dark or flat crop.
        """
        total = (
            0.30 * self.frontality
            + 0.20 * self.det_score
            + 0.20 * self.symmetry
            + 0.15 * self.size
            + 0.15 * self.sharpness
        )
        return round(total * self.inside * self.light, 4)


def quality(face: Face, details: Details | None = None, *, inside: float = 1.0) -> QualityParts:
    """
    Return the parts of one face's quality. A measure that is not a number counts as the worst value.

    ``inside``: the share of its crop that lies in the picture.

    Pose and symmetry from further models, where available, replace the estimates from five points.
    """
    turned = face.measures if details is None or details.pose is None else details.pose
    evenness = None if details is None else details.symmetry
    return QualityParts(
        frontality=_unit(frontality(turned.yaw, turned.pitch)),
        det_score=_unit(face.det_score),
        symmetry=_unit(symmetry(face.landmarks) if evenness is None else evenness),
        size=_unit(face.face_short / FULL_SIZE),
        sharpness=_unit(sharpness(face.measures.blur)),
        inside=_unit(inside),
        light=_unit(face.measures.light),
    )


def frontality(yaw: float, pitch: float) -> float:
    """Return 1 for a face that looks into the camera, falling linearly with the angle (degrees) to 0 for a profile."""
    turn = math.cos(math.radians(min(abs(yaw), 90.0))) * math.cos(math.radians(min(abs(pitch), 90.0)))
    return 1.0 - math.degrees(math.acos(min(turn, 1.0))) / PROFILE_DEGREES


def symmetry(landmarks: Landmarks) -> float:
    """
    Return 1 when the five points equal their mirror image, and 0 for a profile.

    The points are complex numbers around their mean. They are compared with their mirror image (left and right
    exchanged) after the best-fitting rotation and scale (Procrustes). So position, size and roll of the head do not
    matter.
    """
    points = [complex(x, y) for x, y in landmarks]
    middle = sum(points) / len(points)
    left_eye, right_eye, nose, left_mouth, right_mouth = (point - middle for point in points)
    shape = (left_eye, right_eye, nose, left_mouth, right_mouth)
    mirror = tuple(-point.conjugate() for point in (right_eye, left_eye, nose, right_mouth, left_mouth))
    spread = sum(abs(point) ** 2 for point in shape)
    if not spread > 0.0:
        return 0.0
    likeness = abs(sum(ours.conjugate() * theirs for ours, theirs in zip(shape, mirror, strict=True))) / spread
    return 1.0 - math.sqrt(max(0.0, 1.0 - likeness**2)) / PROFILE_ASYMMETRY


def sharpness(blur: float) -> float:
    """Return a saturating function of the variance of the Laplacian, comparable only within one ``blur_size``."""
    blur = max(0.0, blur)
    return blur / (blur + HALF_SHARP) if math.isfinite(blur) else 0.0


def _unit(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 4) if math.isfinite(value) else 0.0
