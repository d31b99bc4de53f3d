"""
Block-quantised ONNX models with their weights as plain float32, in a form that runs fast.

Models of the OpenCV Zoo that are quantised in blocks (``int8bq``) compute their weights in each run, and list each weight
as an input. OpenCV 5 refuses the latter, and ONNX Runtime takes 1.6 times as long for the former. Folding is
exact arithmetic on constants, one product each, so that every machine writes the same bytes.

A parametric ReLU becomes convolutions and a sum, which ONNX Runtime computes in the layout of its convolutions on a
CPU. SFace then takes 0.4 of its time (0.7 where there is no such layout).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[np.generic]


def folded(model: bytes, open_axes: Mapping[str, Sequence[int]]) -> bytes:
    """
    Return the model with folded weights, as deterministic protobuf.

    ``open_axes``: the axes by input whose length becomes open, such as 0 for the number of pictures. The lengths of
    outputs are open then, too. Bytes that are no ONNX model are a ``ValueError``.
    """
    try:
        parsed = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's DecodeError has no public place
        raise ValueError("not an ONNX model") from error
    graph = parsed.graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    nodes = [part for node in _unfolded(graph.node, constants) for part in _fast(node, constants)]
    used = {name for node in nodes for name in node.input}
    inputs = [item for item in graph.input if item.name in used and item.name not in constants]
    for item in inputs:
        _open(item, open_axes.get(item.name, ()))
    for item in graph.output:
        _open(item, range(len(item.type.tensor_type.shape.dim)))
    weights = [numpy_helper.from_array(array, name) for name, array in sorted(constants.items()) if name in used]
    for repeated, kept in ((graph.node, nodes), (graph.input, inputs), (graph.initializer, weights)):
        del repeated[:]
        repeated.extend(kept)
    del graph.value_info[:]
    return bytes(parsed.SerializeToString(deterministic=True))


def _unfolded(nodes: Sequence[onnx.NodeProto], constants: dict[str, Array]) -> Iterator[onnx.NodeProto]:
    """Add the weights that constants alone determine to ``constants``, and yield copies of the other nodes."""
    for node in nodes:
        given = [constants[name] for name in node.input if name in constants]
        is_constant = len(given) == len(node.input)
        match node.op_type, given:
            case "DequantizeLinear", [numbers, scales, zeros] if is_constant:
                constants[node.output[0]] = _dequantised(numbers, scales, zeros, node)
            case "Reshape", [numbers, shape] if is_constant:
                constants[node.output[0]] = numbers.reshape(shape.tolist())
            case _:
                kept = onnx.NodeProto()
                kept.CopyFrom(node)
                yield kept


def _fast(node: onnx.NodeProto, constants: dict[str, Array]) -> Iterable[onnx.NodeProto]:
    """
    Return nodes that compute the same: those for a ReLU with one slope a channel, otherwise the node itself.

    ``prelu(x) = x + (1 - slope) * relu(-x)``, where both factors are convolutions of one pixel and one channel.
    """
    slopes = constants.get(node.input[1]) if node.op_type == "PRelu" else None
    if slopes is None or slopes.shape != (len(slopes), 1, 1):
        return [node]
    (given, name), (result,) = node.input, node.output
    channels = len(slopes)
    constants[f"{name}_minus"] = np.full((channels, 1, 1, 1), -1.0, dtype=np.float32)
    constants[f"{name}_rest"] = (np.float32(1.0) - slopes.astype(np.float32)).reshape(channels, 1, 1, 1)
    return [
        helper.make_node("Conv", [given, f"{name}_minus"], [f"{result}_minus"], group=channels, kernel_shape=[1, 1]),
        helper.make_node("Relu", [f"{result}_minus"], [f"{result}_below"]),
        helper.make_node(
            "Conv", [f"{result}_below", f"{name}_rest"], [f"{result}_rest"], group=channels, kernel_shape=[1, 1]
        ),
        helper.make_node("Add", [f"{result}_rest", given], [result]),
    ]


def _dequantised(numbers: Array, scales: Array, zeros: Array, node: onnx.NodeProto) -> Array:
    """``(numbers - zeros) * scales`` in float32, each scale for a block along one axis (ONNX, DequantizeLinear-21)."""
    attributes = {item.name: item.i for item in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if not block or scales.ndim != numbers.ndim:
        raise ValueError("its weights are not quantised in blocks")
    cut = (*(slice(None) for _ in range(axis)), slice(numbers.shape[axis]))
    wide_scales, wide_zeros = (np.repeat(values, block, axis=axis)[cut] for values in (scales, zeros))
    shifted = numbers.astype(np.int32) - wide_zeros.astype(np.int32)
    return shifted.astype(np.float32) * wide_scales.astype(np.float32)


def _open(value: onnx.ValueInfoProto, axes: Iterable[int]) -> None:
    lengths = value.type.tensor_type.shape.dim
    for axis in axes:
        lengths[axis].dim_param = f"{value.name}_{axis}"
