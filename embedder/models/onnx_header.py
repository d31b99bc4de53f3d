"""
The inputs and outputs of an ONNX file, read without loading its weights.

Walks the protobuf wire format (varints and length-delimited fields) along onnx.proto: ModelProto.graph is field 7;
GraphProto has node = 1, initializer = 5, input = 11, output = 12. So no ``onnx`` package is needed at run time, and a
140 MB model that we do not use costs nothing.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from immich_facesets.errors import SetupError

Shape = tuple[int | None, ...]
"""Lengths of the axes; None where the model leaves one open."""

_FIRST_NODES = 8


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """Shapes by name, in the model's order; ``first_nodes`` are the names of the graph's first eight nodes."""

    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    first_nodes: tuple[str, ...]

    @property
    def normalises_input(self) -> bool:
        """
        Whether the graph subtracts and multiplies first, hence takes raw pixels (the rule of insightface's loader).

        Models converted from MXNet do; those exported from PyTorch are fed normalised pixels.
        """
        subtracts = any(name.startswith(("Sub", "_minus")) for name in self.first_nodes)
        multiplies = any(name.startswith(("Mul", "_mul")) for name in self.first_nodes)
        return subtracts and multiplies


def read_header(path: Path) -> OnnxHeader:
    """The header of a model; a file that is not one is a ``SetupError``."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                return _header(view)
            finally:
                view.release()
    except (OSError, ValueError, IndexError, UnicodeDecodeError, BufferError) as error:
        raise SetupError(f"{path} cannot be read as an ONNX model") from error


def _header(model: memoryview) -> OnnxHeader:
    inputs: dict[str, Shape] = {}
    outputs: dict[str, Shape] = {}
    weights: set[str] = set()
    nodes: list[str] = []
    graph = _only(model, 7)
    for field, value in _fields(graph):
        match field:
            case 1 if len(nodes) < _FIRST_NODES:
                nodes.append(_text(_only(value, 3, b"")))
            case 5:
                weights.add(_text(_only(value, 8, b"")))
            case 11:
                inputs[_text(_only(value, 1))] = _shape(value)
            case 12:
                outputs[_text(_only(value, 1))] = _shape(value)
            case _:
                pass
    if not inputs or not outputs:
        raise ValueError("no graph")
    real = {name: shape for name, shape in inputs.items() if name not in weights}
    return OnnxHeader(real, outputs, tuple(nodes))


def _shape(value_info: memoryview) -> Shape:
    """ValueInfoProto.type = 2, TypeProto.tensor_type = 1, Tensor.shape = 2, dim = 1, dim_value = 1."""
    tensor = _only(_only(value_info, 2, b""), 1, b"")
    shape = _only(tensor, 2, b"")
    return tuple(_length(dim) for field, dim in _fields(shape) if field == 1)


def _length(dim: memoryview) -> int | None:
    for field, value in _fields(dim, varints=True):
        if field == 1:
            number = int.from_bytes(value, "little")
            return number if 0 < number < 1 << 31 else None
    return None


def _only(message: memoryview, wanted: int, default: bytes | None = None) -> memoryview:
    for field, value in _fields(message):
        if field == wanted:
            return value
    if default is None:
        raise ValueError(f"field {wanted} is missing")
    return memoryview(default)


def _fields(message: memoryview, *, varints: bool = False) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field; with ``varints`` those too, as eight little-endian bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        match key & 7:
            case 0:
                number, position = _varint(message, position)
                if varints:
                    yield key >> 3, memoryview(number.to_bytes(10, "little"))
            case 1:
                position += 8
            case 2:
                size, position = _varint(message, position)
                if position + size > len(message):
                    raise ValueError("cut off")
                yield key >> 3, message[position : position + size]
                position += size
            case 5:
                position += 4
            case _:
                raise ValueError("not protobuf")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("not a varint")


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8")
