"""From aligned faces to vectors: one recognition model, or several that make one space."""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from embedder.engine import Pixels
from embedder.models.pack import KnownRecogniser
from embedder.models.sessions import RUN_ERRORS
from immich_facesets.errors import SetupError

Vectors = NDArray[np.float32]

LEAST_LENGTH = 1e-6
LEAST_SPREAD = 1e-3
"""A vector whose numbers vary by less than this fraction of their size is degenerate: the same for every face."""


OnDegenerate = Callable[[str, int], None]
"""Called with the name of a recognition model and its number of degenerate embeddings."""


def ignore_degenerate(_model: str, _faces: int) -> None:
    """Do nothing: the default where degenerate embeddings are not counted."""


class Recogniser:
    """
    One recognition model and its session.

    A graph that states an open batch but gives something else for two crops than for one is fed one by one.
    """

    def __init__(self, known: KnownRecogniser, session: onnxruntime.InferenceSession) -> None:
        self.known = known
        self._session = session
        (self._input,) = session.get_inputs()
        self._dtype = np.float16 if self._input.type == "tensor(float16)" else np.float32
        self._one_by_one = next(iter(known.file.header.inputs.values()))[0] == 1
        self.dimension = self._check()

    def vectors(self, crops: Sequence[Pixels]) -> Vectors:
        """Return the model's vectors for RGB crops of its side, (n, d), not scaled to unit length."""
        if self._one_by_one and len(crops) > 1:
            return np.vstack([self.vectors([crop]) for crop in crops])
        known, size = self.known, (self.known.side, self.known.side)
        mean, swap = (known.mean, known.mean, known.mean), known.note.colours == "bgr"
        blob = cv2.dnn.blobFromImages(list(crops), 1.0 / known.std, size, mean, swapRB=swap)
        output = self._session.run(None, {self._input.name: np.asarray(blob, dtype=self._dtype)})[0]
        return np.asarray(output, dtype=np.float32).reshape(len(crops), -1)

    def _check(self) -> int:
        """The length of a vector, after a first run of the model."""
        side, family = self.known.side, self.known.family
        noise = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
        one = self.vectors([noise[0]])
        if not self._one_by_one:
            try:
                both = self.vectors(list(noise))
                self._one_by_one = both.shape != (2, one.shape[1]) or not np.allclose(both[0], one[0], atol=0.05)
            except (ValueError, *RUN_ERRORS):
                self._one_by_one = True
        if family.dimension is not None and one.shape[1] != family.dimension:
            raise SetupError(
                f"{self.known.file.path} gives vectors of {one.shape[1]} numbers, "
                f"but {family.name} has {family.dimension}: this is not that model"
            )
        return int(one.shape[1])


class Recognition:
    """
    The recognisers of one space. Their weights add up to 1.

    A vector is the recognisers' unit vectors one after another, each scaled by the square root of its weight: it has
    unit length, and the cosine of two such vectors is the weighted sum of the recognisers' cosines.

    A face is refused if one of the models gives a degenerate vector. No rule for leaving that model out keeps the
    vectors comparable. With zeros in its place, a cosine with a complete vector loses that model's part: with two equal
    models, a weighted 0.6 for the same person becomes 0.3. Scaled up to unit length, the cosine is still too small by
    the square root of the remaining weight. Against another vector with the same gap it is not. One threshold cannot
    fit all three cases, and the face would silently fail to match its own person.
    """

    def __init__(
        self,
        recognisers: Sequence[Recogniser],
        *,
        flip: bool = False,
        on_degenerate: OnDegenerate = ignore_degenerate,
    ) -> None:
        self._recognisers = tuple(recognisers)
        self._flip = flip
        self._on_degenerate = on_degenerate
        self.dimension = sum(item.dimension for item in self._recognisers)

    def vectors(self, crops: Sequence[Pixels]) -> Vectors:
        """
        Return vectors, (n, d); the row is NaN if one of the models gives a degenerate vector.

        A single model's vectors keep their length, which programs beside ours average. Joined or mirrored ones have
        unit length: no other program computes them.
        """
        mirrored = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops] if self._flip else []
        parts: list[Vectors] = []
        for recogniser in self._recognisers:
            vectors = recogniser.vectors(crops)
            if self._flip:
                vectors = vectors + recogniser.vectors(mirrored)
            units = unit_rows(vectors)
            lost = int(np.isnan(units[:, 0]).sum())
            if lost:
                self._on_degenerate(recogniser.known.file.name, lost)
            if len(self._recognisers) == 1 and not self._flip:
                return np.where(np.isnan(units), np.float32(np.nan), vectors)
            parts.append(units * np.float32(math.sqrt(recogniser.known.weight)))
        joined = np.hstack(parts)
        joined[np.isnan(joined).any(axis=1)] = np.nan
        return joined


def unit_rows(vectors: Vectors) -> Vectors:
    """Each row scaled to unit length; NaN throughout where it is not finite, has no length, or does not vary."""
    rows = vectors.astype(np.float64)
    finite = np.isfinite(rows).all(axis=1, keepdims=True)
    rows = np.where(finite, rows, 0.0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    spreads = rows.std(axis=1, keepdims=True) * math.sqrt(rows.shape[1])
    good = (lengths > LEAST_LENGTH) & (spreads > LEAST_SPREAD * lengths)
    return np.where(good, rows / np.where(good, lengths, 1.0), np.nan).astype(np.float32)
