"""The number of different pictures that make a new person, by the size of the library."""

from typing import Final

FEW: Final = 6
"""In a small library, strangers are hardly on six different pictures."""

SOME: Final = 10

MANY: Final = 15
"""In a large library, strangers of one holiday or one street are on several pictures, and hardly on fifteen."""

STEPS: Final = ((2_000, FEW), (10_000, SOME))
"""Up to so many pictures with faces, so many different ones make a person."""


def least_pictures(pictures: int) -> int:
    """Return how many different pictures a new person needs where ``pictures`` of the library have a face."""
    return next((least for size, least in STEPS if pictures <= size), MANY)
