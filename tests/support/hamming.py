"""Distances of perceptual hashes."""


def hamming_distance(first: int, second: int) -> int:
    """Return the Hamming distance of two hashes, 0 to 64."""
    return (first ^ second).bit_count()
