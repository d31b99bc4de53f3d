"""
Face models for ReActor: nine tensors about one face in a safetensors file, as ReActor's own nodes save them.

Its swappers read ``embedding`` alone, and ``gender`` where a filter is set. The other tensors must be there: nodes that
save or blend models look each of them up. They describe the first of the faces, as ReActor's blended models do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces
from immich_facesets.exports.swapper_space import DIMENSION, MODEL, requirement_of
from immich_facesets.facesets.coverage import view_of
from immich_facesets.facesets.faceset import Candidate
from immich_facesets.quality.landmarks import Enriched, Points

UNKNOWN = -1
"""
The gender and the age, which no model measures. ReActor takes 1 for male, 0 for female, and any other number for unknown.
"""


def tensors(first: Candidate, enriched: Enriched, vectors: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """
    Return the nine tensors. ``first``: the face that they describe, with its ``enriched`` points.

    ``vectors``: (n, 512), of the recogniser's own length, n at least 1. Their mean is the vector of the model, as in
    ReActor's *Build Blended Face Model* with its usual method. Points are in pixels of the upright original.
    """
    if vectors.ndim != 2 or vectors.shape[1] != DIMENSION or len(vectors) == 0:
        raise ValueError(f"a face model takes vectors of {DIMENSION} numbers, one at least")
    face = first.face
    return {
        "bbox": _floats([face.box.x1, face.box.y1, face.box.x2, face.box.y2]),
        "kps": _floats(face.landmarks),
        "det_score": _floats(face.det_score),
        "landmark_3d_68": _points(enriched.of_68, (68, 3)),
        "pose": _pose(first),
        "landmark_2d_106": _points(enriched.of_106, (106, 2)),
        "embedding": vectors.astype(np.float64).mean(axis=0).astype(np.float32),
        "gender": np.array(UNKNOWN, dtype=np.int64),
        "age": np.array(UNKNOWN, dtype=np.int64),
    }


def _floats(values: object) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def _points(found: Points | None, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the measured points, zeros where there are none. An unknown depth is 0, the plane of the picture."""
    return np.zeros(shape, dtype=np.float32) if found is None else _floats(np.nan_to_num(found, nan=0.0))


def _pose(first: Candidate) -> NDArray[np.float32]:
    """
    Return pitch, yaw and roll in degrees, by a model or estimated from five points.

    The signs are the same as ours: up, to the right of the picture, and clockwise.
    """
    view = view_of(first)
    details = first.details
    measured = None if details is None else details.pose
    return _floats([view.pitch, view.yaw, (measured or first.face.measures).roll])


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return one face model, whose file name the reader's list shows."""
    if picked.vectors is None or len(picked.vectors) != len(picked.faces):
        raise ValueError("reactor needs the vector of every face")
    held = tensors(picked.faces[0].candidate, picked.first_enriched, picked.vectors)
    # one entry only: the package writes several in no fixed order
    origin = {"immich-facesets": f"identity {picked.faceset.identity}, mean of {len(picked.faces)} faces of {MODEL}"}
    return FacesetLayout((None,) * len(picked.faces), {f"{picked.person}.safetensors": save(held, metadata=origin)})


REACTOR = FacesetProfile(
    name="reactor",
    is_for_swapping=True,
    has_pictures=False,
    needs_vectors=True,
    needs_points=True,
    require_space=requirement_of("reactor"),
    usual_faces=30,  # one vector, of which every face is a part
    lay_out=lay_out,
)
