"""
The space of the vectors that face swappers exchange in files: w600k_r50 of buffalo_l.

Such a file holds no picture, so its reader cannot compute the vector anew. It trusts that the vector is of that
recogniser: one of the same length from another model gives a face of no real person.
"""

from collections.abc import Callable

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import PUBLISHED
from immich_facesets.wire import Info

MODEL = "w600k_r50"
DIMENSION = 512


def requirement_of(profile: str) -> Callable[[Info], None]:
    """Return the check of a profile: ``SetupError`` unless vectors are of that very file, of it alone, unmirrored."""

    def require(info: Info) -> None:
        digests = {model.sha256 for model in info.models if model.task == "recognition"}
        is_it = digests == {PUBLISHED[f"{MODEL}.onnx"]} and info.family == MODEL
        if is_it and info.dimension == DIMENSION and not info.flip:
            return
        reason = "averages mirrored faces" if is_it else f"uses {info.family} of {info.pack}"
        raise SetupError(
            f"the profile {profile} needs vectors of {MODEL} as published in buffalo_l, alone and unmirrored, and the "
            f"embedder {reason}: nothing was written for it. Use buffalo_l, or take {profile} out of the profiles"
        )

    return require
