"""ONNX Runtime sessions on the requested device, and on no other."""

import contextlib
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import make_folder

onnxruntime.disable_telemetry_events()  # the switch of builds for Windows, which read no variable

RUN_ERRORS = (native.Fail, native.RuntimeException, native.InvalidArgument)
"""Exceptions that a session's run can raise; ONNX Runtime's errors share no class of their own."""


class Precision(StrEnum):
    """The precision of computation, for providers that choose it themselves."""

    FP32 = "fp32"
    FP16 = "fp16"


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
_PACKAGE_EXTRAS = {Provider.TENSORRT: "embedder-cuda"}


@dataclass(frozen=True, slots=True)
class Device:
    """
    Where and how sessions run.

    ``name`` is which device of the provider: a number, or for OpenVINO a name such as GPU.0. ``threads`` are those of
    one run on the CPU, 0 for all cores. ``precision`` applies to providers that choose it themselves. ``cache_dir``
    keeps compiled models, which saves minutes at the next start.
    """

    provider: Provider = Provider.CPU
    name: str = ""
    threads: int = 0
    precision: Precision = Precision.FP32
    cache_dir: Path | None = None


def provider_options(device: Device) -> Mapping[str, str]:
    """
    Return the provider's options. The precision is always set, because the providers' defaults differ (OpenVINO's is
    half precision on a GPU).

    An option that a provider does not support is a ``SetupError``.
    """
    half, cache = device.precision is Precision.FP16, device.cache_dir
    match device.provider:
        case Provider.CPU | Provider.CUDA | Provider.DIRECTML:
            for name, is_set in (("PRECISION", half), ("CACHE_DIR", cache is not None)):
                if is_set:
                    raise SetupError(
                        f"FACESETS_EMBEDDER_{name} has no meaning for FACESETS_EMBEDDER_PROVIDER={device.provider}: it runs "
                        "a model as it is. Choose a model of another precision with FACESETS_EMBEDDER_RECOGNISERS"
                    )
            return {} if device.provider is Provider.CPU else {"device_id": device.name or "0"}
        case Provider.MIGRAPHX:
            if cache is not None:
                raise SetupError(
                    "FACESETS_EMBEDDER_CACHE_DIR has no meaning for FACESETS_EMBEDDER_PROVIDER=migraphx: leave it empty"
                )
            return {"device_id": device.name or "0", "migraphx_fp16_enable": str(int(half))}
        case Provider.OPENVINO:
            kept = {} if cache is None else {"cache_dir": str(cache)}
            return {"device_type": device.name or "GPU", "precision": device.precision.upper(), **kept}
        case Provider.TENSORRT:
            names = ("trt_engine_cache", "trt_timing_cache")
            kept = {} if cache is None else {key: value for name in names for key, value in _kept(name, cache)}
            return {"device_id": device.name or "0", "trt_fp16_enable": str(int(half)), **kept}
        case _:
            assert_never(device.provider)


def _kept(name: str, cache: Path) -> tuple[tuple[str, str], tuple[str, str]]:
    return (f"{name}_enable", "1"), (f"{name}_path", str(cache))


def check_provider(provider: Provider) -> None:
    """Refuse a provider that this ONNX Runtime was not built with."""
    available = onnxruntime.get_available_providers()
    if _NAMES[provider] not in available:
        extra = _PACKAGE_EXTRAS.get(provider, f"embedder-{provider}")
        raise SetupError(
            f"FACESETS_EMBEDDER_PROVIDER={provider}, but the installed ONNX Runtime has only {', '.join(available)}: "
            f"install immich-facesets[{extra}] (in place of another onnxruntime), or take the image for this device"
        )


def open_session(path: Path, device: Device) -> onnxruntime.InferenceSession:
    """
    A session for one model.

    ONNX Runtime falls back to the CPU with no more than a warning; here that is a ``SetupError``.
    """
    provider = device.provider
    check_provider(provider)
    wanted = _wanted(device)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # SCRFD states fixed output shapes and gets a warning for every other input size
    options.intra_op_num_threads = device.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the lanes share the cores
    if provider is Provider.DIRECTML:  # DirectML takes no other execution
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    try:
        session = onnxruntime.InferenceSession(path, options, providers=wanted)
    except Exception as error:  # ONNX Runtime raises bare exceptions of its own for every kind of failure
        raise SetupError(f"{path.name} cannot be loaded on {provider}: {error}") from error
    session.disable_fallback()
    got = session.get_providers()
    if not got or got[0] != _NAMES[provider]:
        raise SetupError(
            f"FACESETS_EMBEDDER_PROVIDER={provider}, but {path.name} would run on {', '.join(got)}: "
            "check the driver, and that the container may use the device"
        )
    return session


def _wanted(device: Device) -> list[Any]:
    """The provider with its options, and with TensorRT also CUDA, for what TensorRT cannot do."""
    wanted: list[Any] = [(_NAMES[device.provider], dict(provider_options(device)))]
    if device.provider in {Provider.TENSORRT, Provider.CUDA}:
        _load_cuda()
    if device.provider is Provider.TENSORRT:
        wanted.append((_NAMES[Provider.CUDA], dict(provider_options(Device(Provider.CUDA, device.name)))))
    if device.cache_dir is not None:
        try:
            make_folder(device.cache_dir)
        except OSError as error:
            raise SetupError(f"FACESETS_EMBEDDER_CACHE_DIR cannot be written to: {error}") from error
    return wanted


@functools.cache
def _load_cuda() -> None:
    """
    Load the CUDA and cuDNN libraries that came as Python packages, which no system path names.

    Failures to load are printed to standard error, because standard output is reserved for the parent. If the GPU is
    then not usable, opening the session raises the error.
    """
    with contextlib.redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls()
