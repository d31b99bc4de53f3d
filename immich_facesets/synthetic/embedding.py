"""
The vector of a drawn face: the identity, moved a little by its appearance in the picture.

Identities are random directions, hence nearly orthogonal. Appearance and age are random Fourier features
(Rahimi and Recht, 2007), specific to the identity. Faces alike in pose, light and expression therefore stay close
together. Unlike ones drift apart as far as the weights allow, and many years drift farther than one day.

The vectors of kin, and of all who wear a muffler, lean towards one direction that they have in common.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.synthetic.identity_code import SITTERS

DIMENSION = 512
_HALF = DIMENSION // 2

APPEARANCE_SHARE = 0.17
AGE_SHARE = 0.26
_YEARS = 8.0

KIN_SHARE = 0.71
"""The share of the family in a face of it: two of kin are nearer to each other than two faces of one person may be."""

MUFFLED_SHARE = 0.4
"""The share of what all faces behind mufflers have in common; of kin only the family is left there."""

_FAMILY, _MUFFLED = SITTERS, SITTERS + 1
_SCALES = np.array([9.0, 8.0, 0.10, 0.10, 0.06])


@dataclass(frozen=True, slots=True)
class Appearance:
    """
    The properties of a picture that move an identity's vector.

    ``yaw`` and ``roll`` are degrees, ``brightness`` and ``warmth`` those of the white of the eyes
    (0 to 1; red against blue), ``mouth`` is its width in head widths, ``age`` is in years.
    """

    yaw: float
    roll: float
    brightness: float
    warmth: float
    mouth: float
    age: float

    def coordinates(self) -> NDArray[np.float64]:
        own = np.array([self.yaw, self.roll, self.brightness, self.warmth, self.mouth])
        return np.asarray(own / _SCALES, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Directions:
    identity: NDArray[np.float64]
    appearance: NDArray[np.float64]
    age: NDArray[np.float64]
    phases: NDArray[np.float64]


@functools.lru_cache(maxsize=1024)
def _directions(seed: int) -> _Directions:
    dice = np.random.default_rng([seed, DIMENSION])
    identity = dice.standard_normal(DIMENSION)
    return _Directions(
        identity / np.linalg.norm(identity),
        dice.standard_normal((_HALF, len(_SCALES))),
        dice.standard_normal(_HALF),
        dice.uniform(0, 2 * math.pi, (2, _HALF)),
    )


def embed(seed: int, appearance: Appearance, *, is_kin: bool = False, has_muffler: bool = False) -> NDArray[np.float32]:
    """Return the unit vector, (512,)."""
    own = _of_one(seed, appearance)
    if is_kin:
        return _leaning(own, _of_one(_FAMILY, appearance), 1.0 if has_muffler else KIN_SHARE)
    return _leaning(own, _of_one(_MUFFLED, appearance), MUFFLED_SHARE) if has_muffler else own


def _leaning(own: NDArray[np.float32], towards: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    vector = math.sqrt(1 - share) * own + math.sqrt(share) * towards
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def _of_one(seed: int, appearance: Appearance) -> NDArray[np.float32]:
    own = _directions(seed)
    waves = np.zeros((2, DIMENSION))  # a half for each, so that age and appearance never look alike
    waves[0, :_HALF] = np.cos(own.appearance @ appearance.coordinates() + own.phases[0])
    waves[1, _HALF:] = np.cos(own.age * (appearance.age / _YEARS) + own.phases[1])
    waves -= np.outer(waves @ own.identity, own.identity)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    vector = (
        math.sqrt(1 - APPEARANCE_SHARE - AGE_SHARE) * own.identity
        + math.sqrt(APPEARANCE_SHARE) * waves[0]
        + math.sqrt(AGE_SHARE) * waves[1]
    )
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
