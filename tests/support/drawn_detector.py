"""
Drawn people whose every number is known by design, and tiny models that find and recognise them: no test data needed.

A face is a tilted tile of soft colours with a red disc. The detector finds discs: at the first stride a cell that is
red throughout has a score. Box and points lie at fixed distances from it. Everything fits one scale of the view. A
caller that shows another scale or shape, or scales the answer wrongly, gets other numbers therefore.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from face_check import Faces
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper
from orientations import FROM_UPRIGHT
from PIL import Image
from small_models import save

from immich_facesets.face_template import TEMPLATE

WIDTH, HEIGHT, VIEW_SIDE = 1280, 960, 640
FACTOR = VIEW_SIDE / WIDTH
CELL = 8
TILT = np.radians(15)
DISC = (56.0, 56.0)
"""Where the tile of 112 x 112 pixels has its disc."""

DISC_RADIUS = 9
BOX_IN_VIEW = (-38.0, -46.0, 38.0, 52.0)
ORIENTATION_TAG = 0x0112
_PLACES = ((200, 160), (472, 304))
"""The discs' centres in the view: middles of cells."""

_TURN = np.array([[np.cos(TILT), -np.sin(TILT)], [np.sin(TILT), np.cos(TILT)]])
_POINTS_IN_VIEW = (TEMPLATE - DISC) @ _TURN.T
"""The five points relative to the disc's centre: a tile is drawn 112 pixels wide in the view."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A photo and the faces in it. The photo's EXIF orientation is ``orientation``; upright it is always the same."""

    photo: bytes
    truth: Faces


def draw(orientation: int = 1, *, flip: bool = False) -> Drawing:
    """
    Two people, with the vectors that the recogniser of ``write_models`` should give them.

    ``flip``: the true vectors are those between a face and its mirror image.
    """
    pixels = np.full((HEIGHT, WIDTH, 3), (90, 120, 130), np.uint8)
    boxes, points, vectors = [], [], []
    for number, place in enumerate(_PLACES):
        centre = (np.array(place) + CELL / 2) / FACTOR
        tile = _tile(number)
        linear = _TURN / FACTOR
        matrix = np.hstack([linear, (centre - linear @ np.array(DISC))[:, None]])
        cv2.warpAffine(tile, matrix, (WIDTH, HEIGHT), dst=pixels, borderMode=cv2.BORDER_TRANSPARENT)
        boxes.append(np.tile(centre, 2) + np.array(BOX_IN_VIEW) / FACTOR)
        points.append(centre + _POINTS_IN_VIEW / FACTOR)
        expected = _expected_vector(tile)
        vectors.append(_unit(expected + _expected_vector(tile[:, ::-1])) if flip else _unit(expected))
    return Drawing(_stored(pixels, orientation), Faces(np.array(boxes), np.array(points), np.array(vectors)))


def write_models(folder: Path, pack: str) -> None:
    """A pack of a detector of red discs and a recogniser that projects the crop."""
    _write_recogniser(folder / pack / "w600k_mbf.onnx", *_recogniser_weights())
    nodes: list[NodeProto] = []
    weights: dict[str, np.ndarray] = {}
    outputs: dict[str, list[int | str]] = {}
    from_corner = CELL / 2
    distances = np.array(BOX_IN_VIEW) * (-1, -1, 1, 1) + np.array([-1, -1, 1, 1]) * from_corner
    kinds = {
        "score": (np.array([0.0, 0.0]), 1),
        "box": (np.tile(distances / CELL, 2), 4),
        "points": (np.tile((_POINTS_IN_VIEW + from_corner).ravel() / CELL, 2), 10),
    }
    for kind, (bias, columns) in kinds.items():
        for stride in (8, 16, 32):
            name = f"{kind}{stride}"
            weight = np.zeros((len(bias), 3, 1, 1), np.float32)
            if kind == "score" and stride == CELL:
                weight[0, :, 0, 0] = np.array([1, -1, -1]) / 3  # 1 for pure red, at most 0.2 for the colours of a tile
            weights |= {f"{name}.w": weight, f"{name}.b": bias.astype(np.float32)}
            weights |= {f"{name}.s": np.array([-1, columns], np.int64)}
            pooled, convolved, turned = f"{name}.pool", f"{name}.conv", f"{name}.turn"
            nodes += [
                helper.make_node("AveragePool", ["x"], [pooled], kernel_shape=[stride] * 2, strides=[stride] * 2),
                helper.make_node("Conv", [pooled, f"{name}.w", f"{name}.b"], [convolved]),
                helper.make_node("Transpose", [convolved], [turned], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [turned, f"{name}.s"], [name]),
            ]
            outputs[name] = ["n", columns]
    inputs: dict[str, list[int | str]] = {"x": [1, 3, "?", "?"]}
    save(folder / pack / "det.onnx", nodes, inputs=inputs, outputs=outputs, weights=weights)


def overflow_for_the_first_face(folder: Path, pack: str) -> None:
    """Make the recogniser a float16 model in which one sum overflows on the first face."""
    projection, bias = _recogniser_weights()
    looks = _cells(_tile(0))
    pattern = looks - looks.mean()  # other pictures have little of this component
    projection[:, 0] = pattern * (1.5 * float(np.finfo(np.float16).max) / float(looks @ pattern))
    _write_recogniser(folder / pack / "w600k_mbf.onnx", projection.astype(np.float16), bias.astype(np.float16))


def _recogniser_weights() -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """
    Weights of a projection of 7 x 7 cells of three colours; the bias changes the vector of a wrongly scaled input.
    """
    rng = np.random.default_rng(0)
    projection, bias = rng.standard_normal((147, 512)), 7 * rng.standard_normal(512)
    return projection.astype(np.float32), bias.astype(np.float32)


def _write_recogniser(path: Path, projection: NDArray[np.floating], bias: NDArray[np.floating]) -> None:
    """Nodes of ``cells(crop) @ projection + bias``, in the precision of these arrays."""
    save(
        path,
        [
            helper.make_node("AveragePool", ["x"], ["cells"], kernel_shape=[16, 16], strides=[16, 16]),
            helper.make_node("Flatten", ["cells"], ["flat"]),
            helper.make_node("MatMul", ["flat", "projection"], ["projected"]),
            helper.make_node("Add", ["projected", "bias"], ["vector"]),
        ],
        inputs={"x": ["n", 3, 112, 112]},
        outputs={"vector": ["n", 512]},
        weights={"projection": projection, "bias": bias},
        kind=TensorProto.FLOAT16 if projection.dtype == np.float16 else TensorProto.FLOAT,
    )


def _tile(number: int) -> NDArray[np.uint8]:
    """A tile of soft colours without red, with the disc."""
    small = np.random.default_rng(number).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    small[..., 1:] = np.maximum(small[..., 1:], 150)
    tile = np.asarray(cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC), np.uint8)
    tile[..., 1:] = np.maximum(tile[..., 1:], 150)
    rows, columns = np.mgrid[:112, :112]
    tile[np.hypot(rows - DISC[1], columns - DISC[0]) < DISC_RADIUS] = (255, 0, 0)
    return tile


def _expected_vector(tile: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The vector of the tile by the recogniser's formula, computed without ONNX Runtime."""
    projection, bias = _recogniser_weights()
    vector: NDArray[np.float64] = _cells(tile) @ projection.astype(np.float64) + bias
    return vector


def _cells(tile: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The tile as the recogniser should see it: normalised, averaged to 7 x 7, channel by channel."""
    cells = ((tile.astype(np.float64) - 127.5) / 127.5).reshape(7, 16, 7, 16, 3).mean(axis=(1, 3))
    by_channel: NDArray[np.float64] = cells.transpose(2, 0, 1).ravel()
    return by_channel


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit


def _stored(pixels: NDArray[np.uint8], orientation: int) -> bytes:
    """A JPEG of high quality with this EXIF orientation."""
    image = Image.fromarray(pixels)
    if orientation in FROM_UPRIGHT:
        image = image.transpose(FROM_UPRIGHT[orientation])
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=97, subsampling=0, exif=exif)
    return stream.getvalue()
