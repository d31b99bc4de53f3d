"""Folding of block-quantised models: exact products, one input, open lengths, and ReLUs that compute the same."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from immich_facesets.runtime.onnx_folding import folded


def quantised(rng: np.random.Generator, *, block: int, length: int, channels: int) -> tuple[bytes, NDArray[Any]]:
    """A model of one matrix in blocks along its second axis, listed as an input too, and the matrix in plain numbers."""
    numbers = rng.integers(-128, 128, (channels, length), dtype=np.int8)
    blocks = -(-length // block)
    scales = rng.uniform(0.001, 0.1, (channels, blocks)).astype(np.float32)
    zeros = rng.integers(-20, 20, (channels, blocks), dtype=np.int8)
    plain = np.empty((channels, length), dtype=np.float32)
    for row in range(channels):
        for column in range(length):
            shift = int(numbers[row, column]) - int(zeros[row, column // block])
            plain[row, column] = np.float32(shift) * scales[row, column // block]
    weights = {"q": numbers, "s": scales, "z": zeros, "shape": np.array([channels, length, 1, 1])}
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=1, block_size=block),
        helper.make_node("Reshape", ["w", "shape"], ["weight"]),
        helper.make_node("Conv", ["x", "weight"], ["y"], kernel_shape=[1, 1]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, length, 2, 2]),
        helper.make_tensor_value_info("weight_of_old", TensorProto.FLOAT, [channels, length, 1, 1]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, 2, 2])]
    initialisers = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "quantised", inputs, outputs, initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return model.SerializeToString(), plain


def session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), block=st.integers(1, 9), length=st.integers(1, 20), channels=st.integers(1, 5))
def test_folded_weights_are_the_exact_products(seed: int, block: int, length: int, channels: int) -> None:
    model, plain = quantised(np.random.default_rng(seed), block=block, length=length, channels=channels)
    made = onnx.load_model_from_string(folded(model, {"x": (0,)}))
    (weight,) = made.graph.initializer
    assert numpy_helper.to_array(weight).reshape(channels, length).tolist() == plain.tolist()
    assert [node.op_type for node in made.graph.node] == ["Conv"]
    assert [item.name for item in made.graph.input] == ["x"]
    x = np.random.default_rng(seed).standard_normal((3, length, 2, 2)).astype(np.float32)
    np.testing.assert_allclose(
        session(made.SerializeToString()).run(None, {"x": x})[0],
        np.einsum("oi,nihw->nohw", plain, x),
        rtol=1e-3,
        atol=1e-4,
    )


def test_the_bytes_are_the_same_each_time_and_folding_again_changes_nothing() -> None:
    model, _ = quantised(np.random.default_rng(0), block=4, length=10, channels=3)
    once = folded(model, {"x": (0,)})
    assert folded(model, {"x": (0,)}) == once
    assert folded(once, {"x": (0,)}) == once


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 40))
def test_a_parametric_relu_computes_the_same_in_its_other_form(seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    slopes = rng.uniform(-1, 2, (channels, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])],
        "relu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, 3, 3])],
        [numpy_helper.from_array(slopes, "slope")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    made = folded(model, {"x": (0,)})
    assert "PRelu" not in [node.op_type for node in onnx.load_model_from_string(made).graph.node]
    x = rng.standard_normal((2, channels, 3, 3)).astype(np.float32)
    np.testing.assert_allclose(
        session(made).run(None, {"x": x})[0], np.where(x > 0, x, slopes * x), rtol=1e-5, atol=1e-6
    )


def test_what_is_no_model_or_quantised_in_another_way_is_an_error() -> None:
    with pytest.raises(ValueError, match="not an ONNX model"):
        folded(b"\xff\xff no model", {})
    scalar = {"q": np.zeros((2, 2), np.int8), "s": np.float32(0.1), "z": np.int8(0)}
    graph = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])],
        "whole",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 2])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in scalar.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    with pytest.raises(ValueError, match="not quantised in blocks"):
        folded(model, {})
