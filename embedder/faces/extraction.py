"""The extraction of faces: from detections to aligned faces, and from their embeddings to the answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedder.engine import Aligned, Detection, FaceEngine, Pixels
from embedder.enrichment.lanes import Enriched, LandmarkCrop, cut_landmark_crop
from embedder.enrichment.models import QUALITY_SIDE
from embedder.faces import looks, regions
from embedder.faces.measures import measure
from embedder.images import alignment
from embedder.images.crops import cut_crop
from embedder.images.picture import Allow, Picture, whole
from immich_facesets import face_requests, wire
from immich_facesets.errors import ItemError
from immich_facesets.exports.crop_geometry import part_in_picture
from immich_facesets.faces import Measures
from immich_facesets.quality.pose import upright_turns


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFace:
    """A face that is ready to be recognised, with the data taken from the picture for it."""

    aligned: Aligned
    measures: Measures
    crop: wire.CropAnswer | None
    quality_crop: Pixels | None = None
    """The crop for the quality model, if there is one."""
    landmark_crop: LandmarkCrop | None = None
    """The crop for the further measures, if they were requested."""


class FaceExtractor:
    """Takes the data it needs from a picture, in as few pixels as possible. ``take`` blocks."""

    def __init__(self, engine: FaceEngine, *, has_quality_model: bool) -> None:
        self._engine = engine
        self._has_quality_model = has_quality_model

    def allowed(self, request: face_requests.FacesRequest) -> Allow:
        """
        Return how far a picture may be reduced for a request.

        Detection must find as much as without reduction, and the faces must stay large enough. Without boxes the faces
        are not known yet. They are searched first, unless crops or landmarks are requested, which need all pixels
        anyway. So boxes may change the reduction in a search of the whole picture, and with it a face at the limit of
        detection.
        """
        facts = self._engine.facts
        if not facts.view_side or request.enrich or (request.crop is not None and not request.boxes):
            return whole
        by_faces = (
            regions.allowed_reduction(request.boxes, facts.crop_side, request.crop) if request.boxes else math.inf
        )

        def reduction(width: int, height: int) -> float:
            finest = looks.finest_factor(width, height, request.face_short, facts)
            by_looks = 1 / finest if finest and request.mode is face_requests.Mode.FULL else math.inf
            by_cut = math.inf if request.cut is None else _cut_reduction(request.cut, width, height)
            return min(max(width, height) / facts.view_side, by_looks, by_faces, by_cut)

        return reduction

    def finer(
        self, picture: Picture, outside: Sequence[Detection], request: face_requests.FacesRequest, least_reduction: int
    ) -> float | None:
        """
        Return how far the picture may be reduced for faces, given in the original; None where it is fine enough.

        ``least_reduction`` is the one that the picture cannot do without.
        """
        if picture.reduction == 1 or not outside:
            return None
        boxes, facts = [detection.box for detection in outside], self._engine.facts
        allowed = max(regions.allowed_reduction(boxes, facts.crop_side, request.crop), least_reduction)
        return allowed if picture.reduction > allowed else None

    def take(
        self, picture: Picture, outside: Sequence[Detection], request: face_requests.FacesRequest
    ) -> list[PreparedFace]:
        """Align and measure every face, given in the original; one with unusable landmarks is left out."""
        prepared = (self._prepare(picture, detection, request) for detection in outside)
        return [face for face in prepared if face is not None]

    def _prepare(
        self, picture: Picture, detection: Detection, request: face_requests.FacesRequest
    ) -> PreparedFace | None:
        """Prepare one face, given in the original's coordinates, from the decoded pixels."""
        at_hand = picture.at_hand(detection)
        try:
            aligned = self._engine.align(picture.pixels, picture.sampled(at_hand))
        except ItemError:
            return None
        aligned = replace(aligned, span=aligned.span * picture.reduction, detection=detection)
        crop, wanted = None, request.crop
        if wanted is not None and detection.box.face_short >= wanted.min_short:
            crop = cut_crop(picture, detection.box, wanted, turns=upright_turns(detection.landmarks))
        landmark_crop = cut_landmark_crop(picture.pixels, detection, request.enrich) if request.enrich else None
        return PreparedFace(
            aligned,
            measure(aligned, picture.reduction),
            crop,
            self._quality_crop(picture, aligned, at_hand),
            landmark_crop,
        )

    def _quality_crop(self, picture: Picture, aligned: Aligned, at_hand: Detection) -> Pixels | None:
        """The crop for the quality model: the recogniser's, unless that has another side."""
        if not self._has_quality_model:
            return None
        if aligned.crop.shape[0] == QUALITY_SIDE:
            return aligned.crop
        return alignment.align(picture.pixels, picture.sampled(at_hand), QUALITY_SIDE).crop


def _cut_reduction(request: face_requests.CutRequest, width: int, height: int) -> float:
    """Return by what factor a picture of this size may be reduced without fewer pixels in a part than are wanted."""
    return math.sqrt(max(1.0, part_in_picture(request.area, width, height).area) / request.pixels)


def face_answer(
    face: PreparedFace, vector: NDArray[np.float32], score: float | None, more: Enriched
) -> wire.FaceAnswer:
    """Return the answer for a face; ``vector`` (d,) has the engine's length."""
    detection = face.aligned.detection
    box = detection.box
    exact = vector.astype(np.float64)
    length = float(np.linalg.norm(exact))
    return wire.FaceAnswer(
        box=(box.x1, box.y1, box.x2, box.y2),
        landmarks=detection.landmarks,
        det_score=detection.score,
        embedding=np.asarray(exact / length, dtype="<f4").tobytes(),
        length=length,
        quality=face.measures if score is None else replace(face.measures, quality=score),
        crop=face.crop,
        landmarks_106=_as_points(more.landmarks_106),
        landmarks_68=_as_points(more.landmarks_68),
        depth_68=_as_depths(more.landmarks_68),
        head_pose=more.head_pose,
    )


def _as_points(points: NDArray[np.float64] | None) -> tuple[tuple[float, float], ...] | None:
    return None if points is None else tuple((float(x), float(y)) for x, y in points[:, :2])


def _as_depths(points: NDArray[np.float64] | None) -> tuple[float, ...] | None:
    return None if points is None or points.shape[1] < 3 else tuple(points[:, 2].tolist())
