"""ONNX Runtime sessions on the device that was asked for, and on no other."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from immich_facesets.errors import SetupError

RUN_ERRORS = (native.Fail, native.RuntimeException, native.InvalidArgument)
"""What a run of a session can raise; ONNX Runtime's errors share no class of their own."""


class Provider(StrEnum):
    """Where the models run."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    MIGRAPHX = "migraphx"
    DIRECTML = "directml"


_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.TENSORRT: "TensorrtExecutionProvider",
    Provider.OPENVINO: "OpenVINOExecutionProvider",
    Provider.MIGRAPHX: "MIGraphXExecutionProvider",
    Provider.DIRECTML: "DmlExecutionProvider",
}
_EXTRAS = {Provider.TENSORRT: "embedder-cuda"}


def provider_options(provider: Provider, device: str) -> Mapping[str, str]:
    """What the provider is told about ``device``: a number, or for OpenVINO a name such as GPU.0 (default: GPU)."""
    if provider is Provider.CPU:
        return {}
    if provider is Provider.OPENVINO:
        return {"device_type": device or "GPU"}
    return {"device_id": device or "0"}


def check_provider(provider: Provider) -> None:
    """Refuse a provider that this ONNX Runtime was not built with."""
    available = onnxruntime.get_available_providers()
    if _NAMES[provider] not in available:
        extra = _EXTRAS.get(provider, f"embedder-{provider}")
        raise SetupError(
            f"FACESETS_EMBEDDER_PROVIDER={provider}, but the installed ONNX Runtime has only {', '.join(available)}: "
            f"install immich-facesets[{extra}] (in place of another onnxruntime), or take the image for this device"
        )


def open_session(path: Path, provider: Provider, *, device: str = "", threads: int = 0) -> onnxruntime.InferenceSession:
    """
    A session for one model; ``threads`` 0 means all cores.

    ONNX Runtime falls back to the CPU with no more than a warning; here that is a ``SetupError``.
    """
    check_provider(provider)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # SCRFD states fixed output shapes and gets a warning for every other input size
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the lanes share the cores
    if provider is Provider.DIRECTML:  # DirectML takes no other execution
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    wanted: list[Any] = [(_NAMES[provider], dict(provider_options(provider, device)))]
    if provider is Provider.TENSORRT:
        wanted.append((_NAMES[Provider.CUDA], dict(provider_options(Provider.CUDA, device))))
    try:
        session = onnxruntime.InferenceSession(path, options, providers=wanted)
    except Exception as error:  # ONNX Runtime raises bare exceptions of its own for every kind of failure
        raise SetupError(f"{path.name} cannot be loaded on {provider}: {type(error).__name__}: {error}") from error
    session.disable_fallback()
    got = session.get_providers()
    if not got or got[0] != _NAMES[provider]:
        raise SetupError(
            f"FACESETS_EMBEDDER_PROVIDER={provider}, but {path.name} would run on {', '.join(got)}: "
            "check the driver, and that the container may use the device"
        )
    return session
