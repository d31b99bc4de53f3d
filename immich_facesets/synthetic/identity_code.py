"""
The embroidered band of a sitter: twelve coloured cells that encode the identity, readable with a few errors.

The cells are a word of the extended quadratic residue code of length 12 over GF(4). Any two of its 4096 words differ in
at least six cells (MacWilliams and Sloane, *The Theory of Error-Correcting Codes*, chapter 16). A fixed word is added
so that no band is of one colour. The gem in the middle is not part of the code: its colour encodes the age.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SITTERS = 4096
"""The number of different sitters: one for each word."""

CELLS = 12

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, Colour, Colour, Colour] = ((240, 236, 228), (238, 186, 42), (204, 44, 58), (26, 98, 58))
"""The four thread colours as seen under neutral light: linen, sunflower, crimson, pine."""

WHITE: Colour = (240, 238, 234)
"""The white of the eyes under neutral light, with which every colour is compared."""

_TIMES = np.array([[0, 0, 0, 0], [0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2]], dtype=np.uint8)
_GENERATOR = (1, 3, 1, 1, 2, 1)  # x^5 + w x^4 + x^3 + x^2 + w^2 x + 1, constant term first: a factor of x^11 - 1
_SHIFT = np.array([0, 1, 2, 3, 1, 0, 3, 2, 2, 3, 0, 1], dtype=np.uint8)
_LIKELY = 12
_GAINS = (0.75, 1.6)
_OFFSET = 0.25
_STRIDE = 2531  # odd, so that neighbouring seeds get unlike bands and every word is used once


@functools.cache
def words() -> NDArray[np.uint8]:
    """Return all bands, (4096, 12): row ``seed`` holds the palette numbers of that sitter's cells."""
    seeds = (np.arange(SITTERS) * _STRIDE) % SITTERS
    table = np.zeros((SITTERS, CELLS), dtype=np.uint8)
    for place in range(6):
        symbol = (seeds >> (2 * place)) & 3
        row = np.zeros(CELLS, dtype=np.uint8)
        row[place : place + len(_GENERATOR)] = _GENERATOR
        row[-1] = np.bitwise_xor.reduce(row[:-1])
        table ^= _TIMES[symbol[:, None], row[None, :]]
    table ^= _SHIFT
    table.setflags(write=False)
    return table


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of a band: its identity, the error of its colours (0 is perfect), and the margin to the next band."""

    seed: int
    error: float
    margin: float


def read_band(cells: NDArray[np.float64]) -> Reading:
    """
    Return the most likely band behind the measured colours.

    ``cells`` is (12, 3), each colour divided by the white of the eyes. In a small face that white is mixed with skin,
    and the cells with cloth. Each of the likeliest words may therefore first correct brightness and contrast of every
    channel a little. The error is the root mean square over the cells of the distance to the word's colours. A single
    cell counts at most 0.5, so that one bad cell cannot outvote the others.
    """
    distances = np.minimum(np.linalg.norm(cells[:, None, :] - _colours()[None, :, :], axis=2), 0.5) ** 2
    costs = _choices() @ distances.ravel()
    likely = np.argpartition(costs, _LIKELY)[:_LIKELY]
    errors = _errors(cells, _colours()[words()[likely]])
    best, second = np.argsort(errors, kind="stable")[:2].tolist()
    return Reading(int(likely[best]), float(errors[best]), float(errors[second] - errors[best]))


@functools.cache
def _colours() -> NDArray[np.float64]:
    """Return the palette divided by white, (4, 3)."""
    return np.asarray(PALETTE, dtype=np.float64) / np.asarray(WHITE, dtype=np.float64)


@functools.cache
def _choices() -> NDArray[np.float64]:
    """Return the colour of each cell of each word, one-hot: (4096, 48)."""
    return np.asarray(words()[:, :, None] == np.arange(len(PALETTE)), dtype=np.float64).reshape(SITTERS, -1)


def _errors(cells: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the errors of the cells for words' colours (k, 12, 3) after the best small correction per channel."""
    off_mean, wanted_mean = cells - cells.mean(axis=0), wanted.mean(axis=1, keepdims=True)
    gain = np.einsum("ij,kij->kj", off_mean, wanted - wanted_mean) / np.maximum((off_mean**2).sum(axis=0), 1e-6)
    gain = np.clip(gain, *_GAINS)[:, None, :]
    offset = np.clip(wanted_mean - gain * cells.mean(axis=0), -_OFFSET, _OFFSET)
    distances = np.minimum(np.linalg.norm(gain * cells + offset - wanted, axis=2), 0.5)
    return np.asarray(np.sqrt((distances**2).mean(axis=1)), dtype=np.float64)


def gem_colour(age: float, *, is_kin: bool = False) -> Colour:
    """Return the gem's colour at an age in years: ruby for a child, gold at ninety; pinker for kin."""
    green = 30 + 1.9 * min(max(age, 0.0), 90.0)
    return (226, round(green), 176 if is_kin else 52)


def is_gem_of_kin(colour: Sequence[float]) -> bool:
    """Return whether a gem's measured colour (divided by the white of the eyes) is one of kin."""
    return colour[2] * WHITE[2] > 0.55 * colour[0] * WHITE[0]


def gem_age(colour: Sequence[float]) -> float:
    """Return the age for a gem's measured colour (divided by the white of the eyes)."""
    ratio = colour[1] * WHITE[1] / max(colour[0] * WHITE[0], 1.0)
    return min(max((ratio * 226 - 30) / 1.9, 0.0), 90.0)
