"""
Pictures of high dynamic range in sRGB: the curves of PQ and HLG (Rec. ITU-R BT.2100) undone, and bright parts compressed.

Read as an ordinary picture, such a picture is grey and flat. Up to middle tones, such as skin, the result is that of an
ordinary picture with the same white. Brighter parts are compressed smoothly.
"""

import functools
import struct
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.engine import Pixels

PQ: Final = 16
HLG: Final = 18

_WHITE_NITS = 203.0
"""The luminance of white paper in a picture of high dynamic range (Rep. ITU-R BT.2408)."""

_PEAK_NITS = 1000.0
"""The display for which HLG is defined; its system gamma is 1.2."""

_KNEE = 0.6
"""The share of white up to which nothing is compressed."""

_STRIP_ROWS = 256
"""Rows converted at once: numbers of four bytes for a whole picture would take several times its memory."""

_LEVELS = 4096
_REC_2020: Final = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
_DISPLAY_P3: Final = ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979))
_TO_SRGB: Final = {9: _REC_2020, 11: _DISPLAY_P3, 12: _DISPLAY_P3}
"""By the number of the primaries (ITU-T H.273): from their linear colours to those of sRGB."""

Floats = NDArray[np.float32]


class Cicp(NamedTuple):
    """Coding-independent code points (ITU-T H.273): the numbers of colour primaries and transfer characteristics."""

    primaries: int
    transfer: int

    @property
    def is_hdr(self) -> bool:
        return self.transfer in {PQ, HLG}


def png_cicp(data: bytes) -> Cicp | None:
    """Return the code points of a PNG's ``cICP`` chunk, None without one."""
    at = 8
    while at + 10 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            return None
        if kind == b"cICP":
            return Cicp(data[at + 8], data[at + 9])
        at += 12 + size
    return None


def tone_mapped(pixels: Pixels, cicp: Cicp) -> Pixels:
    """Return a picture that was coded with PQ or HLG, (h, w, 3), as an ordinary one in sRGB."""
    matrix = np.asarray(_TO_SRGB.get(cicp.primaries, np.eye(3)), np.float32).T
    mapped = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), _STRIP_ROWS):
        light = _linear(cicp.transfer)[pixels[start : start + _STRIP_ROWS]]
        if cicp.transfer == HLG:
            luminance = light @ np.array([0.2627, 0.678, 0.0593], np.float32)
            light *= (luminance**0.2)[..., None]
        colours = np.maximum(light @ matrix, 0) * np.float32(
            (_PEAK_NITS if cicp.transfer == HLG else 1e4) / _WHITE_NITS
        )
        brightest = colours.max(axis=-1, keepdims=True)
        colours *= _compressed(brightest) / np.maximum(brightest, 1e-6)
        mapped[start : start + _STRIP_ROWS] = _srgb()[np.rint(colours * (_LEVELS - 1)).astype(np.uint16)]
    return mapped


def _compressed(light: Floats) -> Floats:
    """Light below 1 for any light: unchanged up to the knee, with an even slope from there on."""
    above = np.maximum(light - _KNEE, 0) / (1 - _KNEE)
    return np.where(light <= _KNEE, light, _KNEE + (1 - _KNEE) * (1 - np.exp(-above))).astype(np.float32)


@functools.cache
def _linear(transfer: int) -> Floats:
    """The light of each 8-bit code, as a share of the brightest."""
    code = np.arange(256) / 255
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = code ** (1 / m2)
    return ((np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)).astype(np.float32)


@functools.cache
def _srgb() -> Pixels:
    """The 8-bit code of sRGB for each level of light."""
    light = np.arange(_LEVELS) / (_LEVELS - 1)
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * code), np.uint8)
