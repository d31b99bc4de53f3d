"""The models whose vectors face swappers know; those of any other are refused."""

from typing import Any

import msgspec
import pytest

from immich_facesets.errors import SetupError
from immich_facesets.exports.registry import PROFILES
from immich_facesets.model_packs import PUBLISHED
from immich_facesets.wire import Info, Limits, ModelInfo

OF_VECTORS = ["visomaster", "reactor"]


def info(**fields: Any) -> Info:
    usual: dict[str, Any] = {
        "space": "s",
        "family": "w600k_r50",
        "dimension": 512,
        "engine": "onnx",
        "pack": "buffalo_l",
        "licence": "",
        "models": (
            ModelInfo(task="detection", name="det_10g.onnx", sha256="0" * 64),
            ModelInfo(task="recognition", name="w600k_r50.onnx", sha256=PUBLISHED["w600k_r50.onnx"]),
        ),
        "provider": "cpu",
        "limits": Limits(max_pixels=1, max_bytes=1, max_in_flight=1),
        "version": "1",
    }
    return Info(**(usual | fields))


@pytest.mark.parametrize("profile", OF_VECTORS)
def test_only_the_published_model_alone_and_unmirrored_is_what_the_readers_know(profile: str) -> None:
    require_space = PROFILES[profile].require_space
    assert require_space is not None
    require_space(info())
    known = info().models[1]
    others = [
        info(family="w600k_mbf"),
        info(models=(msgspec.structs.replace(known, sha256="1" * 64),)),
        info(models=(known, msgspec.structs.replace(known, name="b", sha256="1" * 64))),
        info(models=()),
        info(dimension=1024),
        info(flip=True),
        info(engine="synthetic", family="synthetic", models=()),
    ]
    for other in others:
        with pytest.raises(SetupError, match=f"take {profile} out of the profiles"):
            require_space(other)
    with pytest.raises(SetupError, match="averages mirrored faces"):
        require_space(info(flip=True))


def test_every_profile_whose_reader_gets_vectors_without_a_picture_refuses_other_models() -> None:
    refusing = {name for name, profile in PROFILES.items() if profile.require_space is not None}
    assert refusing == set(OF_VECTORS)
