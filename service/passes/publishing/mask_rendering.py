"""Masks of pictures as files of their own, for trainers that take them. Everything here blocks."""

from collections.abc import Mapping
from dataclasses import replace

from immich_facesets.exports.crops import AlphaMask, png
from immich_facesets.exports.profile import PictureFile


def hides(mask: AlphaMask, size: tuple[int, int]) -> bool:
    """Return whether a mask of a picture of this width and height hides any of it."""
    width, height = size
    return not mask.opaque(height, width).all()


def with_mask_file(
    picture: PictureFile, mask: AlphaMask, size: tuple[int, int], texts: Mapping[str, str]
) -> PictureFile:
    """Return a picture of this width and height with its mask: a grey PNG of the same size."""
    width, height = size

    def encode() -> bytes:
        return png(mask.weights(height, width), texts)

    weights = PictureFile(("mask", mask, size, tuple(texts.items())), encode, 1.0)
    others = [[round(edge, 1) for edge in (box.x1, box.y1, box.x2, box.y2)] for box in mask.strangers]
    return replace(
        picture,
        mask=weights,
        hides=hides(mask, size),
        facts={**picture.facts, "mask": {"size": list(size), "others": others}},
    )
