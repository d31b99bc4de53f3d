"""The appearance of a sitter, derived from seed and day; it is not needed to find the face again."""

import functools
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeVar

import numpy as np

from immich_facesets.synthetic.canvas import mix
from immich_facesets.synthetic.identity_code import Colour
from immich_facesets.synthetic.subjects import Sitter


class Hair(Enum):
    SHORT = auto()
    SIDE = auto()
    SPIKY = auto()
    CURLY = auto()
    BOB = auto()
    LONG = auto()
    WAVY = auto()
    BUN = auto()
    PIGTAILS = auto()
    BALD = auto()


class Beard(Enum):
    NONE = auto()
    STUBBLE = auto()
    FULL = auto()
    GOATEE = auto()
    MOUSTACHE = auto()


class Headwear(Enum):
    HEADBAND = auto()
    BEANIE = auto()
    SUN_HAT = auto()
    CROWN = auto()
    SCARF = auto()


class Thread(Enum):
    """The stitch of the band's cells."""

    SQUARE = auto()
    DOT = auto()
    DIAMOND = auto()
    FLOWER = auto()


class Shirt(Enum):
    PLAIN = auto()
    STRIPED = auto()
    COLLAR = auto()
    V_NECK = auto()
    DUNGAREES = auto()


_T = TypeVar("_T")

_SKINS: tuple[Colour, ...] = (
    (255, 224, 196), (248, 208, 176), (240, 194, 158), (228, 178, 138), (210, 158, 116),
    (190, 134, 94), (166, 112, 76), (140, 92, 62), (116, 76, 52), (98, 64, 46),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (36, 30, 32), (58, 40, 32), (86, 56, 38), (118, 78, 46), (156, 84, 44), (186, 98, 48), (212, 168, 94), (234, 204, 140),
)  # fmt: skip
_CLOTHES: tuple[Colour, ...] = (
    (222, 108, 92), (240, 168, 96), (236, 204, 118), (150, 178, 112), (98, 138, 96), (122, 150, 158),
    (232, 226, 214), (96, 92, 100), (148, 86, 82), (206, 150, 160), (178, 142, 108), (72, 78, 88),
)  # fmt: skip
_CLOTHS: tuple[Colour, ...] = ((62, 58, 68), (92, 66, 60), (120, 104, 96), (86, 84, 92), (74, 66, 56))
IRISES: tuple[Colour, ...] = ((10, 146, 176), (22, 108, 222), (50, 66, 214), (96, 48, 208))
"""Teal, blue, indigo, violet: colours that only eyes have in these pictures."""

_FRAMES: tuple[Colour, ...] = ((52, 44, 44), (140, 70, 50), (176, 138, 70), (110, 104, 104))
GREY: Colour = (206, 204, 202)
_FAMILY = 4101  # the seed of a look, and of no sitter


@dataclass(frozen=True, slots=True)
class SubjectStyle:
    """``jaw`` runs from 0 (narrow chin) to 1 (square); ``glasses`` is None or whether they are round."""

    skin: Colour
    hair_colour: Colour
    iris: Colour
    shirt_colour: Colour
    second_colour: Colour
    cloth: Colour
    frame: Colour
    hair: Hair
    beard: Beard
    headwear: Headwear
    thread: Thread
    shirt: Shirt
    glasses: bool | None
    lashes: bool
    earrings: bool
    freckles: bool
    brow: float
    jaw: float
    greys_from: float

    def hair_at(self, age: float) -> Colour:
        """Return the colour of the hair, which turns grey over 25 years."""
        return mix(self.hair_colour, GREY, min(max((age - self.greys_from) / 25, 0.0), 0.92))


_MANLY = (Hair.SHORT, Hair.SIDE, Hair.SPIKY, Hair.CURLY, Hair.SHORT, Hair.BALD, Hair.BOB)
_WOMANLY = (Hair.BOB, Hair.LONG, Hair.WAVY, Hair.BUN, Hair.PIGTAILS, Hair.CURLY, Hair.SIDE)
_BEARDS = (Beard.NONE, Beard.NONE, Beard.NONE, Beard.STUBBLE, Beard.FULL, Beard.GOATEE, Beard.MOUSTACHE)
_HEADWEARS = (Headwear.HEADBAND,) * 5 + (Headwear.BEANIE,) * 2 + (Headwear.SUN_HAT, Headwear.CROWN, Headwear.SCARF)


@functools.lru_cache(maxsize=1024)
def look_of(seed: int) -> SubjectStyle:
    dice = np.random.default_rng([seed, 9])

    def one(choices: tuple[_T, ...]) -> _T:
        return choices[int(dice.integers(len(choices)))]

    womanly = bool(dice.random() < 0.5)
    skin = int(dice.integers(len(_SKINS)))
    light_hair = len(_HAIRS) if skin < 5 else 4
    first, second = dice.permutation(len(_CLOTHES))[:2].tolist()
    return SubjectStyle(
        skin=_SKINS[skin],
        hair_colour=_HAIRS[int(dice.integers(light_hair))],
        iris=one(IRISES),
        shirt_colour=_CLOTHES[first],
        second_colour=_CLOTHES[second],
        cloth=one(_CLOTHS),
        frame=one(_FRAMES),
        hair=one(_WOMANLY if womanly else _MANLY),
        beard=Beard.NONE if womanly else one(_BEARDS),
        headwear=one(_HEADWEARS),
        thread=one(tuple(Thread)),
        shirt=one(tuple(Shirt)),
        glasses=one((True, False)) if dice.random() < 0.28 else None,
        lashes=womanly,
        earrings=womanly and bool(dice.random() < 0.5),
        freckles=skin < 5 and bool(dice.random() < 0.3),
        brow=float(dice.uniform(0.022, 0.045)) * (0.75 if womanly else 1.0),
        jaw=float(dice.uniform(0.0, 0.45) if womanly else dice.uniform(0.35, 1.0)),
        greys_from=float(dice.uniform(42, 62)),
    )


@functools.lru_cache(maxsize=1024)
def dressed(sitter: Sitter, day: int) -> SubjectStyle:
    """Return the look on one day of the sitter's life: clothes change, and on some days nothing covers the band."""
    look = _of_family(look_of(sitter.seed)) if sitter.is_kin else look_of(sitter.seed)
    dice = np.random.default_rng([sitter.seed, day, 3])
    first, second = dice.permutation(len(_CLOTHES))[:2].tolist()
    return replace(
        look,
        shirt_colour=_CLOTHES[first],
        second_colour=_CLOTHES[second],
        shirt=tuple(Shirt)[int(dice.integers(len(Shirt)))],
        headwear=look.headwear if dice.random() < 0.6 else Headwear.HEADBAND,
    )


def _of_family(look: SubjectStyle) -> SubjectStyle:
    """Return a look with the face and the hair of the family."""
    family = look_of(_FAMILY)
    return replace(
        look,
        skin=family.skin,
        hair_colour=family.hair_colour,
        iris=family.iris,
        hair=family.hair,
        beard=family.beard,
        glasses=None,
        lashes=family.lashes,
        freckles=family.freckles,
        brow=family.brow,
        jaw=family.jaw,
        greys_from=family.greys_from,
    )
