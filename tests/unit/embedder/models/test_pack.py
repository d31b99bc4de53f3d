"""Model packs: classification of models by their inputs and outputs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from small_models import write_recogniser

from embedder.models.onnx_header import read_header
from embedder.models.pack import classify, open_pack
from embedder.models.sessions import Device, Precision, Provider, check_provider, open_session, provider_options
from immich_facesets.errors import SetupError
from immich_facesets.runtime.model_folder import record_pack
from immich_facesets.spaces import OperatingPoints

CHOOSING = (Provider.OPENVINO, Provider.MIGRAPHX, Provider.TENSORRT)
Shape = list[int | str | None]
CHANGES: list[dict[str, Any]] = [{"digest": "x"}, {"mean": 1.0}, {"std": 2.0}, {"weight": 0.5}, {"colours": "bgr"}]


def model(
    path: Path, inputs: dict[str, Shape], outputs: dict[str, Shape], nodes: tuple[str, ...] = ("Conv_0",)
) -> Path:
    """A graph with only its shapes; weights are among its inputs, as in files of old exporters."""
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [2, 3], [0.0] * 6)
    graph = helper.make_graph(
        [helper.make_node("Identity", [next(iter(inputs))], [f"n{i}"], name=name) for i, name in enumerate(nodes)],
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        + [helper.make_tensor_value_info("weight", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [weight],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph), str(path))
    return path


def detector(path: Path, side: int | str = "?", outputs: int = 9) -> Path:
    return model(path, {"x": [1, 3, side, side]}, {f"o{i}": [100, 1] for i in range(outputs)})


def recogniser(path: Path, nodes: tuple[str, ...] = ("Conv_0",)) -> Path:
    return model(path, {"x": ["N", 3, 112, 112]}, {"e": ["N", 512]}, nodes)


def test_a_header_is_read_without_the_weights(tmp_path: Path) -> None:
    header = read_header(recogniser(tmp_path / "a.onnx", ("first", "second")))
    assert header.inputs == {"x": (None, 3, 112, 112)}
    assert header.outputs == {"e": (None, 512)}
    assert header.first_nodes == ("first", "second")


@pytest.mark.parametrize(
    ("nodes", "raw"),
    [
        (("Conv_0", "Relu_1"), False),
        (("Sub_0", "Mul_1", "Conv_2"), True),
        (("_minusscalar0", "_mulscalar0"), True),
        (("Sub_0", "Conv_1"), False),
        (("a",) * 8 + ("Sub_0", "Mul_1"), False),
    ],
)
def test_a_model_that_normalises_itself_is_fed_raw_pixels(nodes: tuple[str, ...], *, raw: bool, tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    recogniser(tmp_path / "p" / "w600k_r50.onnx", nodes)
    pack = open_pack(tmp_path, "p")
    assert pack.recogniser.header.normalises_input is raw
    assert (pack.recognisers[0].mean, pack.recognisers[0].std) == ((0.0, 1.0) if raw else (127.5, 127.5))


@pytest.mark.parametrize(
    ("inputs", "outputs", "task"),
    [
        ([1, 3, "?", "?"], [[1, 1]] * 9, "detection"),
        ([1, 3, 640, 640], [[1, 1]] * 15, "detection"),
        ([1, 3, 640, 640], [[1, 1]] * 6, "other"),
        (["N", 3, 192, 192], [["N", 212]], "landmarks"),
        (["N", 3, 96, 96], [["N", 3]], "attributes"),
        (["N", 3, 112, 112], [["N", 512]], "recognition"),
        (["N", 3, 112, 112], [[]], "recognition"),
        (["N", 3, 128, 128], [["N", 3]], "other"),
        (["N", 3, 64, 64], [["N", 512]], "other"),
        (["N", 112, 112, 3], [["N", 512]], "other"),
    ],
)
def test_models_are_told_apart_by_their_shapes(inputs: Shape, outputs: list[Shape], task: str, tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", {"x": inputs}, {f"o{i}": shape for i, shape in enumerate(outputs)})
    assert classify(read_header(path)) == task


def test_other_models_of_a_pack_are_left_alone(tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    recogniser(tmp_path / "p" / "w600k_r50.onnx")
    model(tmp_path / "p" / "2d106det.onnx", {"x": ["N", 3, 192, 192]}, {"o": ["N", 212]})
    model(tmp_path / "p" / "genderage.onnx", {"x": ["N", 3, 96, 96]}, {"o": ["N", 3]})
    pack = open_pack(tmp_path, "p")
    assert pack.left_alone == ("2d106det.onnx", "genderage.onnx")
    assert pack.family == "w600k_r50"


def test_a_pack_needs_exactly_one_of_each_and_a_recogniser_that_is_known(tmp_path: Path) -> None:
    recogniser(tmp_path / "p" / "w600k_r50.onnx")
    with pytest.raises(SetupError, match="lacks an SCRFD detector"):
        open_pack(tmp_path, "p")
    detector(tmp_path / "p" / "det.onnx")
    detector(tmp_path / "p" / "det2.onnx")
    with pytest.raises(SetupError, match=r"exactly one model for detection, not det.onnx, det2.onnx"):
        open_pack(tmp_path, "p")
    (tmp_path / "p" / "det2.onnx").unlink()
    (tmp_path / "p" / "w600k_r50.onnx").rename(tmp_path / "p" / "mystery.onnx")
    with pytest.raises(SetupError, match="unknown family"):
        open_pack(tmp_path, "p")
    (tmp_path / "p" / "mystery.onnx").unlink()
    with pytest.raises(SetupError, match="lacks a recogniser"):
        open_pack(tmp_path, "p")


def test_two_recognisers_make_a_space_only_when_the_settings_say_which_and_how_much(tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    recogniser(tmp_path / "p" / "w600k_r50.onnx")
    recogniser(tmp_path / "p" / "glintr100.onnx", ("Sub_0", "Mul_1"))
    with pytest.raises(SetupError, match="set FACESETS_EMBEDDER_RECOGNISERS to one of glintr100, w600k_r50"):
        open_pack(tmp_path, "p")
    with pytest.raises(SetupError, match="names arcface, but the recognition models of p are glintr100, w600k_r50"):
        open_pack(tmp_path, "p", {"arcface": 1.0})
    one = open_pack(tmp_path, "p", {"glintr100": 1.0})
    assert (one.family, one.left_alone) == ("glintr100", ("w600k_r50.onnx",))
    both = open_pack(tmp_path, "p", {"w600k_r50": 0.6, "glintr100": 0.4})
    assert both.family == "w600k_r50:0.6+glintr100:0.4"
    assert [item.weight for item in both.recognisers] == [0.6, 0.4]
    assert both.left_alone == ()


def test_recognisers_of_one_space_see_the_same_crop(tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    recogniser(tmp_path / "p" / "w600k_r50.onnx")
    model(tmp_path / "p" / "edgeface_s.onnx", {"x": ["N", 3, 128, 128]}, {"e": ["N", 512]})
    with pytest.raises(SetupError, match="inputs of 112 and 128 pixels"):
        open_pack(tmp_path, "p", {"w600k_r50": 0.5, "edgeface_s": 0.5})


def notes(folder: Path, text: str) -> None:
    (folder / "facesets.toml").write_text(text)


def test_a_model_of_ones_own_is_described_beside_it(tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    model(tmp_path / "p" / "mine.onnx", {"x": ["N", 3, "s", "s"]}, {"e": ["N", 256]})
    with pytest.raises(SetupError, match=r"lacks a recogniser"):
        open_pack(tmp_path, "p")
    notes(tmp_path / "p", "[recognisers.mine]\nmean = 100\nstd = 50\ninput = 160\n")
    assert open_pack(tmp_path, "p").recognisers[0].side == 160
    (tmp_path / "p" / "facesets.toml").unlink()
    model(tmp_path / "p" / "mine.onnx", {"x": ["N", 3, 128, 128]}, {"e": ["N", 256]})
    with pytest.raises(SetupError, match=r"facesets\.toml a section \[recognisers\.mine\] with mean and std"):
        open_pack(tmp_path, "p")
    notes(tmp_path / "p", '[recognisers.mine]\nmean = 100\nstd = 50\ncolours = "bgr"\nfamily = "mine-v2"\n')
    pack = open_pack(tmp_path, "p")
    (known,) = pack.recognisers
    assert (known.mean, known.std, known.side, known.note.colours) == (100, 50, 128, "bgr")
    assert (pack.family, known.family.dimension, pack.distances) == ("mine-v2", None, None)
    assert pack.licence.startswith("unknown")
    measured = "match=0.5\ncluster=0.6\nmerge=0.4\ndrop=0.6\noutlier=0.5\n"
    notes(tmp_path / "p", f"[recognisers.mine]\nmean = 100\nstd = 50\n[recognisers.mine.distances]\n{measured}")
    pack = open_pack(tmp_path, "p")
    assert (pack.family, pack.distances) == ("mine", OperatingPoints(0.5, 0.6, 0.4, 0.6, 0.5))


def test_a_renamed_model_is_given_its_family_in_a_line(tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    recogniser(tmp_path / "p" / "renamed.onnx")
    notes(tmp_path / "p", '[recognisers."renamed.onnx"]\nfamily = "w600k_r50"\n')
    pack = open_pack(tmp_path, "p")
    assert (pack.family, pack.recognisers[0].mean, pack.recognisers[0].std) == ("w600k_r50", 127.5, 127.5)


def test_a_model_that_normalises_itself_needs_no_description(tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    recogniser(tmp_path / "p" / "mystery.onnx", ("Sub_0", "Mul_1"))
    pack = open_pack(tmp_path, "p")
    assert (pack.family, pack.recognisers[0].mean, pack.recognisers[0].std) == ("mystery", 0.0, 1.0)


def test_a_manifest_of_insightface_2_says_which_files_are_meant_and_how_they_are_fed(tmp_path: Path) -> None:
    folder = tmp_path / "raccoon_s"
    detector(folder / "face.onnx")
    recogniser(folder / "check.onnx")  # a verifier has the shape of a recogniser
    recogniser(folder / "id.onnx")
    tasks = {
        "detection": {"file": "face.onnx"},
        "recognition": {"file": "id.onnx", "preprocessing": {"mean": 1, "std": 2}},
    }
    (folder / "manifest.json").write_text(json.dumps({"manifest_version": 2, "tasks": tasks}))
    pack = open_pack(tmp_path, "raccoon_s")
    (known,) = pack.recognisers
    assert (known.file.name, known.mean, known.std, pack.left_alone) == ("id.onnx", 1.0, 2.0, ("check.onnx",))
    (folder / "id.onnx").unlink()
    with pytest.raises(SetupError, match=r"manifest\.json names id\.onnx, which is not beside it"):
        open_pack(tmp_path, "raccoon_s")


def test_changed_models_are_not_served(tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    recogniser(tmp_path / "p" / "w600k_r50.onnx")
    assert not open_pack(tmp_path, "p").recorded
    record_pack(tmp_path / "p")
    assert open_pack(tmp_path, "p").recorded
    recogniser(tmp_path / "p" / "w600k_r50.onnx", ("Sub_0", "Mul_1"))
    with pytest.raises(SetupError, match=r"w600k_r50\.onnx is changed"):
        open_pack(tmp_path, "p")


def test_everything_that_moves_a_vector_makes_another_space(tmp_path: Path) -> None:
    detector(tmp_path / "p" / "det.onnx")
    recogniser(tmp_path / "p" / "w600k_r50.onnx")
    recogniser(tmp_path / "p" / "glintr100.onnx", ("Sub_0", "Mul_1"))
    one = open_pack(tmp_path, "p", {"w600k_r50": 1.0}).space("a", flip=False)
    both = open_pack(tmp_path, "p", {"w600k_r50": 0.6, "glintr100": 0.4}).space("a", flip=False)
    first, second = both.recognisers
    others = [
        one,
        replace(both, detector="x"),
        replace(both, alignment="x"),
        replace(both, flip=True),
        replace(both, storage="float16"),
        replace(both, recognisers=(second, first)),
        *(replace(both, recognisers=(replace(first, **change), second)) for change in CHANGES),
    ]
    assert len({both.name, *(space.name for space in others)}) == 1 + len(others)
    assert both.name == open_pack(tmp_path, "p", {"w600k_r50": 0.6, "glintr100": 0.4}).space("a", flip=False).name


@pytest.mark.parametrize("data", [b"", b"\x08\x07", b"<html>", b"\xff" * 64, b"\x3a\xff\xff\xff\xff\x0f"])
def test_a_file_that_is_no_model_is_told(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(SetupError, match="cannot be read as an ONNX model"):
        read_header(path)


def test_a_provider_that_is_not_installed_is_refused() -> None:
    check_provider(Provider.CPU)
    with pytest.raises(SetupError, match=r"install immich-facesets\[embedder-migraphx\]"):
        check_provider(Provider.MIGRAPHX)
    with pytest.raises(SetupError, match=r"install immich-facesets\[embedder-cuda\]"):
        check_provider(Provider.TENSORRT)


def test_a_device_is_passed_on_in_the_providers_own_words() -> None:
    assert provider_options(Device(Provider.CUDA, "1")) == {"device_id": "1"}
    assert provider_options(Device(Provider.OPENVINO, "NPU"))["device_type"] == "NPU"
    assert provider_options(Device(Provider.CPU, "7")) == {}


def test_the_precision_is_said_to_every_provider_that_chooses_one() -> None:
    assert provider_options(Device(Provider.OPENVINO)) == {"device_type": "GPU", "precision": "FP32"}
    assert provider_options(Device(Provider.MIGRAPHX)) == {"device_id": "0", "migraphx_fp16_enable": "0"}
    assert provider_options(Device(Provider.TENSORRT)) == {"device_id": "0", "trt_fp16_enable": "0"}
    half = {kind: provider_options(Device(kind, precision=Precision.FP16)) for kind in CHOOSING}
    assert half[Provider.OPENVINO]["precision"] == "FP16"
    assert half[Provider.MIGRAPHX]["migraphx_fp16_enable"] == "1"
    assert half[Provider.TENSORRT]["trt_fp16_enable"] == "1"


@pytest.mark.parametrize("provider", [Provider.CPU, Provider.CUDA, Provider.DIRECTML])
def test_an_option_that_a_provider_lacks_is_refused(provider: Provider, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="FACESETS_EMBEDDER_PRECISION has no meaning"):
        provider_options(Device(provider, precision=Precision.FP16))
    with pytest.raises(SetupError, match="FACESETS_EMBEDDER_CACHE_DIR has no meaning"):
        provider_options(Device(provider, cache_dir=tmp_path))


def test_what_tensorrt_and_openvino_compile_is_kept_in_a_folder(tmp_path: Path) -> None:
    kept = provider_options(Device(Provider.TENSORRT, cache_dir=tmp_path))
    assert {name: value for name, value in kept.items() if "cache" in name} == {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(tmp_path),
    }
    assert provider_options(Device(Provider.OPENVINO, cache_dir=tmp_path))["cache_dir"] == str(tmp_path)


def test_a_gpu_that_is_not_there_is_no_session_on_the_cpu(tmp_path: Path) -> None:
    path = write_recogniser(tmp_path / "m.onnx")
    assert open_session(path, Device()).get_providers() == ["CPUExecutionProvider"]
    for kind in CHOOSING:
        with pytest.raises(SetupError, match=f"FACESETS_EMBEDDER_PROVIDER={kind}, but the installed ONNX Runtime"):
            open_session(path, Device(kind))
