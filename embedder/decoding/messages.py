"""Messages between the embedder and a decoding process, over a socket that keeps their bounds and carries files."""

import os
import socket
from typing import Final

import msgspec

_MOST_BYTES: Final = 1 << 16


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The first message of a process: it has started, and the time of a picture may begin."""


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Decode the file that comes with this message; ``seconds`` of processor time are the most."""

    max_pixels: int
    seconds: int


class Size(msgspec.Struct, frozen=True, tag=True):
    """The question by how much a picture of this upright size may be reduced."""

    width: int
    height: int


class Allowed(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Size``."""

    factor: float


class Needs(msgspec.Struct, frozen=True, tag=True):
    """The question whether the decoding may take so many bytes."""

    size_bytes: int


class Granted(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Needs``."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The picture cannot be used: the message and reason of the ``ItemError``. ``is_worn``: as in ``Decoded``."""

    message: str
    reason: str
    is_worn: bool


class Decoded(msgspec.Struct, frozen=True, tag=True):
    """
    The picture, whose pixels are the file that comes with this message: ``rows`` of ``columns``.

    ``is_worn``: whether the process keeps so much memory that another should take its place.
    """

    rows: int
    columns: int
    width: int
    height: int
    reduction: int
    left: int
    top: int
    orientation: int | None
    whole_area: tuple[float, float, float, float] | None
    is_worn: bool


Message = Ready | Begin | Size | Allowed | Needs | Granted | Failed | Decoded

_DECODER: Final = msgspec.msgpack.Decoder(Message)


def send(channel: socket.socket, message: Message, file: int | None = None) -> None:
    """Send a message, with an open file. An ended process on the other side is an ``OSError``."""
    socket.send_fds(channel, [msgspec.msgpack.encode(message)], [] if file is None else [file])


def receive(channel: socket.socket) -> tuple[Message, int | None]:
    """
    Return a message and the open file that came with it, which ``Begin`` and ``Decoded`` alone have.

    ``EOFError`` when the other side has ended, or sends anything else: then it is no longer in order.
    """
    data, files, _, _ = socket.recv_fds(channel, _MOST_BYTES, 1)
    try:
        return _message(data, has_file=bool(files)), files[0] if files else None
    except BaseException:
        for file in files:
            os.close(file)
        raise


def _message(data: bytes, *, has_file: bool) -> Message:
    if not data:
        raise EOFError("the other side has ended")
    try:
        message: Message = _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise EOFError(f"the other side sent no message ({type(error).__name__})") from error
    if has_file != isinstance(message, Begin | Decoded):
        raise EOFError(f"the other side sent {type(message).__name__} {'with' if has_file else 'without'} a file")
    return message
