"""The embedder's settings: read once from the environment, frozen, handed down as values."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from embedder.models.sessions import Precision, Provider
from immich_facesets.errors import SetupError
from immich_facesets.runtime.listen_address import Listen, check_exposure
from immich_facesets.runtime.settings import read_settings

PREFIX = "FACESETS_EMBEDDER_"
TOKEN_NAME = f"{PREFIX}TOKEN"
SERVICE_NAMES = (f"{PREFIX}URLS",)
"""Variables with the same prefix that the service reads: a shared environment contains them, too."""


class EmbedderSettings(BaseSettings):
    """Each field is the variable FACESETS_EMBEDDER_<FIELD>, but for the two shared with the service."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, populate_by_name=True, extra="ignore"
    )

    listen: Annotated[Listen, NoDecode] = Field(
        Listen("127.0.0.1", 8786), description="Address and port; port 0 takes a free one."
    )
    token: SecretStr | None = Field(None, description="Bearer token that callers must send.")
    models_dir: Path = Field(
        Path("models"), validation_alias="FACESETS_MODELS_DIR", description="Folder of model packs."
    )
    model_pack: str = Field(
        "",
        validation_alias="FACESETS_MODEL_PACK",
        description="The pack to use: a folder in FACESETS_MODELS_DIR. Empty: the best that is installed, else the free one.",
    )
    engine: Literal["onnx", "synthetic"] = Field(
        "onnx",
        description="`onnx` runs the models in ONNX Runtime; `synthetic` needs no models and finds the demo's drawn faces only.",
    )
    provider: Provider = Field(
        Provider.CPU,
        description="Where the models run: cpu, cuda, tensorrt, openvino, migraphx or directml. The embedder refuses to start where it is missing.",
    )
    device: str = Field(
        "", description="The device of the provider: a number, or OpenVINO's name for it, such as GPU.0."
    )
    recognisers: Annotated[Mapping[str, float] | None, NoDecode] = Field(
        None,
        description="Which recognition models of the pack to use, by file name; two with their shares, such as `a:0.6,b:0.4`.",
    )
    precision: Precision = Field(
        Precision.FP32, description="Precision of TensorRT, OpenVINO and MIGraphX: fp32 or fp16."
    )
    cache_dir: Path | None = Field(
        None,
        description="Folder for the models that TensorRT and OpenVINO compile; without it they compile at every start.",
    )
    max_pixels: int = Field(
        150_000_000,
        ge=1,
        description="The largest picture, in pixels. Larger baseline JPEGs are decoded at a half, a quarter or an eighth of their size; others are refused.",
    )
    max_bytes: int = Field(200 << 20, ge=1, description="The largest picture file, in bytes; larger ones are refused.")
    max_in_flight: int = Field(
        16, ge=1, le=1024, description="How many requests are taken at once; more are answered 429."
    )
    max_memory: int = Field(
        2 << 30,
        ge=1,
        description="Bytes of all pictures in work: as files, in decoding and as pixels. Further pictures wait or are answered 429; one that takes more than three quarters is refused.",
    )
    decode_seconds: float = Field(
        30.0,
        ge=1,
        le=600,
        description="Seconds that the decoding of one picture may take, on Linux; after that the picture counts as failed.",
    )
    batch: int = Field(16, ge=1, le=1024, description="How many faces are recognised at once, at most.")
    threads: int = Field(0, ge=0, le=1024, description="CPU threads for models and decoding; 0 takes every core.")
    flip: bool = Field(
        default=False,
        description="Average the vector of each face with that of its mirror image. A change makes another space: every picture is embedded again.",
    )
    det_size: int = Field(640, ge=128, le=4096, multiple_of=32, description="Side of the detector's input, in pixels.")
    det_threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Least score of a detected face; by default the detector's own: SCRFD 0.5, YuNet 0.7.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    log_json: bool | None = Field(
        None, description="Whether log lines are JSON; by default they are, except on a terminal."
    )

    @field_validator("recognisers", mode="before")
    @classmethod
    def _parse_recognisers(cls, value: object) -> object:
        return read_shares(value) if isinstance(value, str) else value

    @field_validator("listen", mode="before")
    @classmethod
    def _parse_listen(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return Listen.parse(value)
        except SetupError as error:
            raise ValueError(str(error)) from None


def read_shares(text: str) -> Mapping[str, float]:
    """
    Return the recognisers of ``a:0.6,b:0.4`` with their shares, scaled to add up to 1; without numbers all are equal.

    Anything else is a ``ValueError``.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = (word.strip() for word in part.partition(":"))
        name = name.removesuffix(".onnx")
        try:
            share = float(number) if colon else 1.0
        except ValueError:
            share = math.nan
        if not name or name in shares or not (math.isfinite(share) and share > 0):
            raise ValueError(
                f"{part.strip()!r} is not a recogniser and its share, such as w600k_r50:0.6, or it is there twice"
            )
        shares[name] = share
    if len({bool(":" in part) for part in text.split(",")}) > 1:
        raise ValueError("either every recogniser has a share, or none")
    total = sum(shares.values())
    if not math.isfinite(total):
        raise ValueError("the shares are too large: write such as a:0.6,b:0.4")
    return {name: share / total for name, share in shares.items()}


def load_settings() -> EmbedderSettings:
    """The settings of this process; a ``SetupError`` also when it would be open to the network without a token."""
    settings = read_settings(EmbedderSettings, prefix=PREFIX, other_names=SERVICE_NAMES)
    check_exposure(settings.listen, settings.token, token_name=TOKEN_NAME)
    return settings
