"""
Detection of drawn faces: a deterministic stand-in for a face engine, without weights.

Two vivid irises of one size, each in a white eye, mark a possible face. The embroidered band above them shows whether
it is one, and its identity. Faces are not found in a picture that is not upright, as with most detectors.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Box, Landmarks, Point
from immich_facesets.synthetic import head_geometry
from immich_facesets.synthetic.embedding import Appearance, embed
from immich_facesets.synthetic.head_geometry import Frame
from immich_facesets.synthetic.identity_code import Reading, gem_age, is_gem_of_kin, read_band

_IRIS_LOW = (76, 76, 35)
_IRIS_HIGH = (150, 255, 255)
_LEAST_AREA = 12
_MOST_BLOBS = 1500
_WORST_ERROR = 0.24
_LEAST_MARGIN = 0.03
_HOPELESS = 0.36

_SCALE = 80
"""Pixels per head width in the straightened view of a candidate."""
_VIEW = (int(1.7 * _SCALE), int(1.6 * _SCALE))
_ORIGIN = (0.85, 0.80)
"""The position of the point between the eyes in the view, in head widths."""


@dataclass(frozen=True, slots=True)
class SyntheticFace:
    """One drawn face: pixels are those of the picture that was searched, ``embedding`` is (512,), unit length."""

    box: Box
    landmarks: Landmarks
    det_score: float
    embedding: NDArray[np.float32]
    seed: int
    """The identity of the face: for tests; an engine must not pass it on."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    left: Point
    right: Point

    @property
    def distance(self) -> float:
        return math.dist(self.left, self.right)

    @property
    def roll(self) -> float:
        return math.degrees(math.atan2(self.right[1] - self.left[1], self.right[0] - self.left[0]))


@dataclass(frozen=True, slots=True)
class _View:
    """A straightened candidate, the eyes' middle at ``_ORIGIN``; colours are divided by the white of the eyes."""

    pixels: NDArray[np.uint8]
    white: NDArray[np.float64]

    def patch(self, left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
        """Return the colours of a rectangle, in head widths from the middle of the eyes."""
        x1, x2 = (round((x + _ORIGIN[0]) * _SCALE) for x in (left, right))
        y1, y2 = (round((y + _ORIGIN[1]) * _SCALE) for y in (top, bottom))
        return np.asarray(self.pixels[y1:y2, x1:x2] / self.white, dtype=np.float64)

    def mean(self, x: float, y: float) -> NDArray[np.float64]:
        """Return the mean colour of a small square around a point."""
        column, row = round((x + _ORIGIN[0]) * _SCALE), round((y + _ORIGIN[1]) * _SCALE)
        square = self.pixels[row - 2 : row + 3, column - 2 : column + 3]
        return np.asarray(square.sum(axis=(0, 1)) / (25 * self.white), dtype=np.float64)


def find_faces(rgb: NDArray[np.uint8]) -> list[SyntheticFace]:
    """
    Return the drawn faces in an upright (h, w, 3) RGB picture, from left to right.

    Faces from about 40 pixels on are found, whole ones only: eyes and band must be in the picture.
    """
    found: list[SyntheticFace] = []
    for candidate in _candidates(rgb):
        face = _recognise(rgb, candidate)
        if face is not None and all(face.box.iou(other.box) < 0.3 for other in found):
            found.append(face)
    return sorted(found, key=lambda face: (face.box.x1, face.box.y1))


def _candidates(rgb: NDArray[np.uint8]) -> list[_Candidate]:
    """Return pairs of equal, round, vivid blobs at the right distance, with white beside them, the largest first."""
    blobs = _blobs(rgb)
    if len(blobs) < 2:
        return []
    x, y, area = blobs.T
    diameter = 2 * np.sqrt(area / math.pi)
    dx = x[None, :] - x[:, None]
    dy = y[None, :] - y[:, None]
    mean = (diameter[None, :] + diameter[:, None]) / 2
    ratio = np.hypot(dx, dy) / mean
    alike = np.abs(diameter[None, :] - diameter[:, None]) < 0.4 * mean
    level = (dx > 0) & (np.abs(dy) < dx * math.tan(math.radians(head_geometry.MAX_ROLL)))
    pairs = np.argwhere(alike & level & (ratio > 1.5) & (ratio < 3.4))
    order = sorted(pairs.tolist(), key=lambda pair: (-area[pair[0]] - area[pair[1]], pair))
    return [_Candidate((float(x[a]), float(y[a])), (float(x[b]), float(y[b]))) for a, b in order]


def _blobs(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return iris-coloured blobs, (n, 3): centre x, centre y, area."""
    mask = cv2.inRange(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), np.array(_IRIS_LOW), np.array(_IRIS_HIGH))
    _, _, stats, centres = cv2.connectedComponentsWithStats(mask, connectivity=4, ltype=cv2.CV_32S)
    width, height, area = (stats[:, column].astype(np.float64) for column in (2, 3, 4))
    filled = area / (width * height)
    keep = (area >= _LEAST_AREA) & (filled > 0.4) & (width < 1.8 * height) & (height < 1.8 * width)
    keep[0] = False
    chosen = np.flatnonzero(keep)
    chosen = chosen[np.argsort(-area[chosen], kind="stable")][:_MOST_BLOBS]
    return np.column_stack([centres[chosen], width[chosen] * height[chosen] * (math.pi / 4)])


def _recognise(rgb: NDArray[np.uint8], candidate: _Candidate) -> SyntheticFace | None:
    white = _white(rgb, candidate)
    if white is None:
        return None
    yaw = 0.0
    for _ in range(2):  # the scale depends a little on the turn, and the turn is measured in the scaled view
        view = _straightened(rgb, candidate, white, candidate.distance / head_geometry.eye_distance(yaw))
        yaw = _yaw(view)
    best_yaw, reading = _read(view, yaw)
    if reading.error > _WORST_ERROR or reading.margin < _LEAST_MARGIN:
        return None
    yaw = (yaw + best_yaw) / 2
    frame = _frame(candidate, yaw)
    if not _inside(frame, rgb.shape):
        return None
    corners = _mouth(view, yaw)
    landmarks = _landmarks(candidate, frame, yaw, corners)
    gem = view.mean(
        head_geometry.turned(0.0, head_geometry.BAND_RADIUS, yaw) - head_geometry.eye_middle(yaw),
        sum(head_geometry.ROWS) / 2 - head_geometry.EYE_Y,
    )
    appearance = Appearance(
        yaw,
        candidate.roll,
        float(white.mean()) / 255,
        float(white[0] - white[2]) / 255,
        corners[1] - corners[0],
        gem_age(gem.tolist()),
    )
    embedding = embed(reading.seed, appearance, is_kin=is_gem_of_kin(gem.tolist()), has_muffler=_has_muffler(view, yaw))
    score = 0.99 - 1.6 * reading.error * (1 if frame.width > 80 else 1.2)
    return SyntheticFace(frame.box(), landmarks, round(min(max(score, 0.5), 0.99), 4), embedding, reading.seed)


def _white(rgb: NDArray[np.uint8], candidate: _Candidate) -> NDArray[np.float64] | None:
    """Return the colour of the white beside the irises, or None when there is no white."""
    unit = candidate.distance / (2 * head_geometry.EYE_X)
    turn = math.radians(candidate.roll)
    away = np.array([-1.0, 1.0])[:, None] * (np.array([0.118, 0.127, 0.136, 0.145]) * unit)
    eyes = np.array([candidate.left, candidate.right])
    columns = np.rint(eyes[:, :1] + math.cos(turn) * away.reshape(1, -1)).astype(int).ravel()
    rows = np.rint(eyes[:, 1:] + math.sin(turn) * away.reshape(1, -1)).astype(int).ravel()
    height, width = rgb.shape[:2]
    if columns.min() < 0 or rows.min() < 0 or columns.max() >= width or rows.max() >= height:
        return None
    samples = rgb[rows, columns].astype(np.float64)
    light = samples.min(axis=1)
    brightest = samples[np.argsort(light, kind="stable")[-8:]]
    white = np.median(brightest, axis=0)
    sides = np.sort(light.reshape(4, -1).max(axis=1))  # hair may cover one of the four
    if white.min() < 50 or white.max() > 1.9 * white.min() or sides[1] < 0.45 * white.min():
        return None
    return np.asarray(white, dtype=np.float64)


def _straightened(rgb: NDArray[np.uint8], candidate: _Candidate, white: NDArray[np.float64], unit: float) -> _View:
    middle = ((candidate.left[0] + candidate.right[0]) / 2, (candidate.left[1] + candidate.right[1]) / 2)
    cos, sin = math.cos(math.radians(candidate.roll)), math.sin(math.radians(candidate.roll))
    step = unit / _SCALE
    columns, rows = _ORIGIN[0] * _SCALE, _ORIGIN[1] * _SCALE
    to_picture = np.array(
        [
            [step * cos, -step * sin, middle[0] - step * (cos * columns - sin * rows)],
            [step * sin, step * cos, middle[1] - step * (sin * columns + cos * rows)],
        ]
    )
    view = cv2.warpAffine(
        rgb, to_picture, _VIEW, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
    )
    return _View(np.asarray(view, dtype=np.uint8), white)


def _redness(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((colours[..., 0] - colours[..., 1]) / (colours.sum(axis=-1) + 0.05), dtype=np.float64)


def _yaw(view: _View) -> float:
    """Return the turn that explains the position of the red tip of the nose; 0 when no tip is visible."""
    reach = 0.17
    red = _redness(
        view.patch(
            -reach,
            head_geometry.NOSE_Y - head_geometry.EYE_Y - 0.05,
            reach,
            head_geometry.NOSE_Y - head_geometry.EYE_Y + 0.05,
        )
    )
    weight = np.clip(red - np.median(red) - 0.35 * (red.max() - np.median(red)), 0, None).sum(axis=0)
    if weight.sum() < 0.2:
        return 0.0
    places = (np.arange(len(weight)) + 0.5) / _SCALE - reach
    seen = float((weight * places).sum() / weight.sum())
    ahead = head_geometry.NOSE_RADIUS - math.sqrt(head_geometry.EYE_RADIUS**2 - head_geometry.EYE_X**2)
    half = math.degrees(math.asin(min(max(seen / ahead, -0.3), 0.3)))
    return min(max(2 * half, -head_geometry.MAX_YAW), head_geometry.MAX_YAW)


def _read(view: _View, yaw: float) -> tuple[float, Reading]:
    """Return the best reading of the band near the measured turn, and the turn of that reading."""
    best = (yaw, _read_at(view, yaw))
    if best[1].error > _HOPELESS:
        return best
    for step in (-6.0, 6.0, -12.0, 12.0):
        reading = _read_at(view, yaw + step)
        if reading.error < best[1].error:
            best = (yaw + step, reading)
    return best


def _read_at(view: _View, yaw: float) -> Reading:
    centres = head_geometry.cell_centres(yaw) - (head_geometry.eye_middle(yaw), head_geometry.EYE_Y)
    return read_band(np.array([view.mean(x, y) for x, y in centres.tolist()]))


def _frame(candidate: _Candidate, yaw: float) -> Frame:
    unit = candidate.distance / head_geometry.eye_distance(yaw)
    middle = Frame(
        (candidate.left[0] + candidate.right[0]) / 2, (candidate.left[1] + candidate.right[1]) / 2, unit, candidate.roll
    )
    return Frame(*middle.place((-head_geometry.eye_middle(yaw), -head_geometry.EYE_Y)), unit, candidate.roll)


def _inside(frame: Frame, shape: tuple[int, ...]) -> bool:
    """Return whether the whole head, except for a sliver, is in the picture."""
    box, spare = frame.box(), 0.04 * frame.width
    return box.x1 > -spare and box.y1 > -spare and box.x2 < shape[1] + spare and box.y2 < shape[0] + spare


def _mouth(view: _View, yaw: float) -> tuple[float, float]:
    """Return the x of both corners of the mouth, from the middle of the face, by the red of the lips."""
    centre = head_geometry.turned(0.0, head_geometry.MOUTH_RADIUS, yaw) - head_geometry.eye_middle(yaw)
    reach, usual = 0.26, 0.15
    y = head_geometry.MOUTH_Y - head_geometry.EYE_Y
    red = _redness(view.patch(centre - reach, y - 0.07, centre + reach, y + 0.07)).max(axis=0)
    low, high = float(red.min()), float(red.max())
    lips = np.flatnonzero(red > (low + high) / 2)
    if high - low < 0.08 or len(lips) < 3:
        return -usual, usual
    return float(lips[0]) / _SCALE - reach, float(lips[-1] + 1) / _SCALE - reach


def _has_muffler(view: _View, yaw: float) -> bool:
    """Return whether light greenish wool is where mouth and chin are; no skin, beard or shirt has its colour."""
    middle, top = head_geometry.turned(0.0, head_geometry.MOUTH_RADIUS, yaw) - head_geometry.eye_middle(yaw), 0.29
    red, green, blue = np.median(view.patch(middle - 0.16, top, middle + 0.16, top + 0.16), axis=(0, 1)).tolist()
    return bool(min(green, blue) > 0.7 and red < 0.91 * green)


def _landmarks(candidate: _Candidate, frame: Frame, yaw: float, corners: tuple[float, float]) -> Landmarks:
    nose = frame.place((head_geometry.turned(0.0, head_geometry.NOSE_RADIUS, yaw), head_geometry.NOSE_Y))
    middle = head_geometry.turned(0.0, head_geometry.MOUTH_RADIUS, yaw)
    left, right = (frame.place((middle + corner, head_geometry.MOUTH_Y)) for corner in corners)
    return candidate.left, candidate.right, nose, left, right
