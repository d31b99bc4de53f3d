"""Tiny ONNX models of the right shapes, written at test time."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_recogniser(
    path: Path, *, dimension: int = 512, side: int = 112, seed: int = 0, batch: int | str = "N", half: bool = False
) -> Path:
    """
    A random projection of the crop, averaged down to 7 x 7: equal crops give equal vectors.

    An entirely black crop gives zeros. ``half`` makes it a float16 model.
    """
    cells = side // 16
    kind, numbers = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    weights = np.random.default_rng(seed).standard_normal((3 * cells * cells, dimension)).astype(numbers)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["vector"]),
    ]
    return save(
        path,
        nodes,
        inputs={"x": [batch, 3, side, side]},
        outputs={"vector": [batch, dimension]},
        weights={"weights": weights},
        kind=kind,
    )


def write_pooled(
    path: Path,
    weights: np.ndarray,
    *,
    bias: np.ndarray | None = None,
    side: int = 112,
    batch: int | str = "N",
    window: tuple[int, int, int, int] | None = None,
    last: str | None = None,
) -> Path:
    """
    The mean of each channel, or of its ``window`` (left, top, right, bottom), times ``weights`` (3, k) plus ``bias`` (k,).

    ``last`` is an operator such as Sqrt that is put behind it.
    """
    left, top, right, bottom = window or (0, 0, side, side)
    length = weights.shape[1]
    given = np.zeros(length) if bias is None else bias
    nodes = [
        helper.make_node("Slice", ["x", "starts", "ends", "axes"], ["part"]),
        helper.make_node("GlobalAveragePool", ["part"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "weights", "bias"], ["sums"]),
        helper.make_node(last or "Identity", ["sums"], ["y"]),
    ]
    constants: dict[str, np.ndarray] = {
        "starts": np.array([top, left], dtype=np.int64),
        "ends": np.array([bottom, right], dtype=np.int64),
        "axes": np.array([2, 3], dtype=np.int64),
        "weights": weights.astype(np.float32),
        "bias": given.astype(np.float32),
    }
    return save(path, nodes, inputs={"x": [batch, 3, side, side]}, outputs={"y": [batch, length]}, weights=constants)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    *,
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    weights: dict[str, np.ndarray],
    kind: int = TensorProto.FLOAT,
) -> Path:
    """A checked model of these nodes."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path
