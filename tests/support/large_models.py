"""
Models of buffalo_l's shapes with random weights: as much work as the real ones, without their licence.

The recogniser is an IResNet-50 (6.3 GMAC for 112 x 112; He et al. 2016, Deng et al. 2019). The detector has SCRFD-10G's
backbone of basic blocks, its pyramid and its shared heads (Guo et al. 2021). It costs about 13 GMAC for 640 x 640. Its
answers are fixed: two faces at known places.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 640
STRIDES = (8, 16, 32)
EYES_TO_MOUTH = ((38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2))
FACES = ((120, 100), (360, 160))
"""Left upper corners of the two faces in a view of 640 x 640; each is 112 wide."""

Floats = NDArray[np.float32]


@dataclass
class Graph:
    """A network under construction: every method returns the name of what it adds."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def constant(self, values: NDArray[np.generic]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, x: str, channels: tuple[int, int], *, size: int = 3, stride: int = 1) -> str:
        before, after = channels
        scale = (2 / (before * size * size)) ** 0.5
        weights = self.random.normal(scale=scale, size=(after, before, size, size)).astype(np.float32)
        bias = np.zeros(after, np.float32)
        pads = [size // 2] * 4
        inputs = x, self.constant(weights), self.constant(bias)
        return self.add("Conv", *inputs, kernel_shape=[size, size], strides=[stride] * 2, pads=pads)

    def relu(self, x: str) -> str:
        return self.add("Relu", x)

    def basic(self, x: str, channels: tuple[int, int], *, stride: int) -> str:
        """A residual block of two convolutions."""
        before, after = channels
        inner = self.relu(self.conv(x, (before, after), stride=stride))
        way = x if stride == 1 and before == after else self.conv(x, channels, size=1, stride=stride)
        return self.relu(self.add("Add", self.conv(inner, (after, after)), way))

    def model(self, path: Path, outputs: dict[str, list[int]], shape: list[int | str]) -> None:
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in outputs.items()],
            self.weights,
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_recogniser(path: Path) -> None:
    graph = Graph()
    x = graph.add("PRelu", graph.conv("input", (3, 64)), graph.constant(np.full((64, 1, 1), 0.25, np.float32)))
    before = 64
    for blocks, after in ((3, 64), (4, 128), (14, 256), (3, 512)):
        for number in range(blocks):
            stride = 2 if number == 0 else 1
            slope = graph.constant(np.full((after, 1, 1), 0.25, np.float32))
            inner = graph.add("PRelu", graph.conv(x, (before, after)), slope)
            inner = graph.conv(inner, (after, after), stride=stride)
            way = x if stride == 1 else graph.conv(x, (before, after), size=1, stride=2)
            x = graph.add("Add", inner, way)
            before = after
    flat = graph.add("Flatten", x)
    weights = graph.random.normal(scale=0.01, size=(512, 512 * 7 * 7)).astype(np.float32)
    graph.add("Gemm", flat, graph.constant(weights), transB=1)
    graph.nodes[-1].output[0] = "vector"
    graph.model(path, {"vector": ["None", 512]}, ["None", 3, 112, 112])  # type: ignore[list-item]  # an open batch has a name


def write_detector(path: Path) -> None:
    graph = Graph()
    x = graph.relu(graph.conv("input", (3, 28), stride=2))
    x = graph.relu(graph.conv(graph.relu(graph.conv(x, (28, 28))), (28, 56)))
    x = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    levels, before = [], 56
    for blocks, after, stride in ((3, 56, 1), (4, 88, 2), (2, 88, 2), (3, 224, 2)):
        for number in range(blocks):
            x = graph.basic(x, (before, after), stride=stride if number == 0 else 1)
            before = after
        levels.append((x, after))
    pyramid = [graph.conv(level, (channels, 56), size=1) for level, channels in levels[1:]]
    for upper in (1, 0):
        scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
        larger = graph.add("Resize", pyramid[upper + 1], "", scales, mode="nearest")
        pyramid[upper] = graph.add("Add", pyramid[upper], larger)
    outputs: dict[str, list[int]] = {}
    fixed = _fixed_answers()
    heads: dict[str, list[str]] = {"score": [], "box": [], "points": []}
    for level, stride in enumerate(STRIDES):
        head, channels = graph.conv(pyramid[level], (56, 56)), 56
        for _ in range(3):
            head, channels = graph.relu(graph.conv(head, (channels, 80))), 80
        for kind, numbers in (("score", 1), ("box", 4), ("points", 10)):
            raw = graph.add("Transpose", graph.conv(head, (80, 2 * numbers)), perm=[0, 2, 3, 1])
            rows = graph.add("Reshape", raw, graph.constant(np.array([-1, numbers], np.int64)))
            nothing = graph.add("Mul", rows, graph.constant(np.array(1e-30, np.float32)))
            graph.add("Add", nothing, graph.constant(fixed[kind][level]))
            heads[kind].append(name := f"{kind}{stride}")
            graph.nodes[-1].output[0] = name
    for kind, names in heads.items():
        for level, name in enumerate(names):
            outputs[name] = list(fixed[kind][level].shape)
    graph.model(path, outputs, [1, 3, SIDE, SIDE])


def _fixed_answers() -> dict[str, list[Floats]]:
    """The outputs of the heads for each stride: scores at two anchors of the coarsest only."""
    answers: dict[str, list[Floats]] = {"score": [], "box": [], "points": []}
    for stride in STRIDES:
        cells = SIDE // stride
        for kind, numbers in (("score", 1), ("box", 4), ("points", 10)):
            answers[kind].append(np.zeros((cells * cells * 2, numbers), np.float32))
    stride, cells = STRIDES[-1], SIDE // STRIDES[-1]
    for x, y in FACES:
        column, row = (x + 56) // stride, (y + 56) // stride
        anchor, centre = 2 * (row * cells + column), np.array([column * stride, row * stride])
        sides = np.array([centre[0] - x, centre[1] - y, x + 112 - centre[0], y + 112 - centre[1]])
        points = np.array(EYES_TO_MOUTH) + np.array([x, y]) - centre
        answers["score"][-1][anchor] = 0.9
        answers["box"][-1][anchor] = sides / stride
        answers["points"][-1][anchor] = points.ravel() / stride
    return answers


def write_pack(models_dir: Path, name: str = "buffalo_l") -> None:
    """A model folder that the embedder loads as buffalo_l."""
    folder = models_dir / name
    folder.mkdir(parents=True)
    write_detector(folder / "det_10g.onnx")
    write_recogniser(folder / "w600k_r50.onnx")
