"""The pipeline from the bytes of a photo to face vectors, made of the embedder's parts, with replaceable steps."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import onnxruntime
from face_check import Faces
from numpy.typing import NDArray
from PIL import Image

from embedder.engine import Detection
from embedder.engines.onnx import OnnxEngine, Tuning
from embedder.engines.recogniser import Recogniser
from embedder.images.decoder import Decoder
from embedder.models.pack import ModelPack
from immich_facesets.faces import Box

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float64]

RESIZED_SIDE = 640
LOUD = 1000.0
"""The vector length of a simulated model without a last normalisation; ours gives vectors of length 22 or so."""


@dataclass(frozen=True)
class PhotoPipeline:
    """
    The steps of the pipeline, each replaceable by a wrong one.

    ``crop`` cuts a face out for the recogniser (side, side, 3); ``feed`` runs it on crops and gives (n, d) of any
    length; ``finish`` combines the results for the crops and for their mirror images into the final vectors.
    """

    pack: ModelPack
    decode: Callable[[bytes], Pixels]
    detect: Callable[[Pixels], list[Detection]]
    crop: Callable[[Pixels, Detection], Pixels]
    feed: Callable[[Sequence[Pixels]], Vectors]
    finish: Callable[[Vectors, Vectors | None], Vectors]
    flip: bool = False

    def faces(self, photo: bytes) -> Faces:
        pixels = self.decode(photo)
        return self.faces_at(pixels, self.detect(pixels))

    def faces_at(self, pixels: Pixels, found: Sequence[Detection]) -> Faces:
        """The faces that were found, with their vectors."""
        boxes = np.array([(face.box.x1, face.box.y1, face.box.x2, face.box.y2) for face in found], np.float64)
        points = np.array([face.landmarks for face in found], np.float64)
        return Faces(boxes.reshape(-1, 4), points.reshape(-1, 5, 2), self._vectors(pixels, found))

    def _vectors(self, pixels: Pixels, found: Sequence[Detection]) -> Vectors:
        if not found:
            return np.zeros((0, 1))
        crops = [self.crop(pixels, face) for face in found]
        mirrored = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
        return self.finish(self.feed(crops), self.feed(mirrored) if self.flip else None)


def right_pipeline(pack: ModelPack, *, flip: bool = False) -> PhotoPipeline:
    engine = OnnxEngine(pack, Tuning())
    decoder = Decoder(150_000_000)
    return PhotoPipeline(
        pack=pack,
        decode=lambda photo: decoder.decode(photo).pixels,
        detect=lambda pixels: engine.detect([engine.view(pixels)])[0],
        crop=lambda pixels, face: engine.align(pixels, face).crop,
        feed=_feeding(pack, mean=pack.recognisers[0].mean, std=pack.recognisers[0].std),
        finish=_unit_sum,
        flip=flip,
    )


def without_alignment(pipeline: PhotoPipeline) -> PhotoPipeline:
    """Cut out the box without alignment, stretched to the recogniser's input."""

    def box_crop(pixels: Pixels, face: Detection) -> Pixels:
        height, width = pixels.shape[:2]
        left, right = (round(min(max(x, 0), width)) for x in (face.box.x1, face.box.x2))
        top, bottom = (round(min(max(y, 0), height)) for y in (face.box.y1, face.box.y2))
        return np.asarray(cv2.resize(pixels[top:bottom, left:right], (112, 112)), np.uint8)

    return replace(pipeline, crop=box_crop)


def with_pixels_over_255(pipeline: PhotoPipeline) -> PhotoPipeline:
    """x / 255, as many other models want it, instead of this model's own mean and std."""
    return replace(pipeline, feed=_feeding(pipeline.pack, mean=0.0, std=255.0))


def with_red_and_blue_swapped(pipeline: PhotoPipeline) -> PhotoPipeline:
    """BGR, as OpenCV reads pictures, given to a model of RGB."""
    return replace(
        pipeline, feed=lambda crops: pipeline.feed([np.ascontiguousarray(crop[..., ::-1]) for crop in crops])
    )


def stretched(pipeline: PhotoPipeline) -> PhotoPipeline:
    """Stretch the picture to a square for the detector; results are scaled back correctly."""

    def detect(pixels: Pixels) -> list[Detection]:
        height, width = pixels.shape[:2]
        square = np.asarray(cv2.resize(pixels, (RESIZED_SIDE, RESIZED_SIDE)), np.uint8)
        return [_scaled(face, width / RESIZED_SIDE, height / RESIZED_SIDE) for face in pipeline.detect(square)]

    return replace(pipeline, detect=detect)


def without_exif(pipeline: PhotoPipeline) -> PhotoPipeline:
    """Return the pixels as stored, without the EXIF orientation."""

    def decode(photo: bytes) -> Pixels:
        with Image.open(io.BytesIO(photo)) as image:
            return np.ascontiguousarray(np.asarray(image.convert("RGB")))

    return replace(pipeline, decode=decode)


def flipped_without_renormalising(pipeline: PhotoPipeline) -> PhotoPipeline:
    """The mean of two unit vectors, which is shorter than one."""

    def finish(vectors: Vectors, mirrored: Vectors | None) -> Vectors:
        assert mirrored is not None
        mean: Vectors = (_unit(vectors) + _unit(mirrored)) / 2
        return mean

    return replace(pipeline, flip=True, finish=finish)


def with_points_of_the_resized_picture(pipeline: PhotoPipeline) -> PhotoPipeline:
    """Use the points of the scaled picture on the original without scaling them back."""

    def crop(pixels: Pixels, face: Detection) -> Pixels:
        factor = RESIZED_SIDE / max(pixels.shape[:2])
        return pipeline.crop(pixels, _scaled(face, factor, factor))

    return replace(pipeline, crop=crop)


def overflowing_half_precision(pipeline: PhotoPipeline) -> PhotoPipeline:
    """Long vectors kept in 16 bits before they are unit vectors: their squares exceed 65,504."""

    def finish(vectors: Vectors, _mirrored: Vectors | None) -> Vectors:
        with np.errstate(over="ignore", invalid="ignore"):
            halves = (vectors * LOUD).astype(np.float16)
            units = halves / np.sqrt((halves * halves).sum(axis=1, keepdims=True, dtype=np.float16))
        return np.asarray(units, np.float64)

    return replace(pipeline, finish=finish)


MISTAKES: Mapping[str, Callable[[PhotoPipeline], PhotoPipeline]] = {
    "no alignment (raw box crop)": without_alignment,
    "x / 255 instead of mean and std": with_pixels_over_255,
    "red and blue swapped": with_red_and_blue_swapped,
    "stretched instead of letterboxed": stretched,
    "EXIF orientation ignored": without_exif,
    "flip without renormalising": flipped_without_renormalising,
    "points of the resized picture": with_points_of_the_resized_picture,
    "float16 overflow": overflowing_half_precision,
}


def _feeding(pack: ModelPack, *, mean: float, std: float) -> Callable[[Sequence[Pixels]], Vectors]:
    """The pack's recogniser, fed with ``(x - mean) / std``."""
    known = pack.recognisers[0]
    told = replace(known, family=replace(known.family, mean=mean, std=std))
    session = onnxruntime.InferenceSession(known.file.path, providers=["CPUExecutionProvider"])
    recogniser = Recogniser(told, session)

    def feed(crops: Sequence[Pixels]) -> Vectors:
        vectors: Vectors = recogniser.vectors(crops).astype(np.float64)
        return vectors

    return feed


def _unit(vectors: Vectors) -> Vectors:
    units: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def _unit_sum(vectors: Vectors, mirrored: Vectors | None) -> Vectors:
    return _unit(vectors if mirrored is None else vectors + mirrored)


def _scaled(face: Detection, x_factor: float, y_factor: float) -> Detection:
    box = face.box
    a, b, c, d, e = ((x * x_factor, y * y_factor) for x, y in face.landmarks)
    scaled = Box(box.x1 * x_factor, box.y1 * y_factor, box.x2 * x_factor, box.y2 * y_factor)
    return Detection(scaled, (a, b, c, d, e), face.score)
