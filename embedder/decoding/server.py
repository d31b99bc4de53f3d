"""
The work of a decoding process: files come over a socket, pixels go back in shared memory.

It limits its own memory and processor time for each picture. The embedder's clock ends it if these do not.
"""

import ctypes
import mmap
import os
import resource
import select
import signal
import socket
from pathlib import Path

import cv2
import numpy as np

from embedder.decoding.messages import (
    Allowed,
    Begin,
    Decoded,
    Failed,
    Granted,
    Needs,
    Ready,
    Size,
    receive,
    send,
)
from embedder.decoding.shared_files import anonymous_file
from embedder.images.decoder import Decoder
from immich_facesets.errors import ItemError

OPENING_BYTES = 256 << 20
"""Address space for headers, before the decoding is counted."""

WORN_BYTES = 128 << 20
"""Memory kept after a picture, beyond that of a new process, from which on another process takes its place."""

IDLE_SECONDS = 2.0
"""How long a process without a picture keeps the memory of the last one."""

_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class DecodingServer:
    """Decodes one file after the other."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._libc = ctypes.CDLL(None)
        self._libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        self._libc.prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)  # also in the middle of a long decoding
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold a photo
        cv2.setNumThreads(1)
        self._own_bytes = _memory()[1]
        Decoder(1)  # its plugins are loaded now

    def serve(self) -> None:
        """Decode until the embedder closes the socket."""
        send(self._channel, Ready())
        while True:
            if not select.select([self._channel], [], [], IDLE_SECONDS)[0]:
                self._libc.malloc_trim(0)
            begin, file = receive(self._channel)
            if not isinstance(begin, Begin) or file is None:
                raise TypeError("a decoding begins with a file")
            self._limit(OPENING_BYTES, begin.seconds)
            try:
                self._answer(_read(file), begin)
                continue
            except ItemError as error:
                message, reason = str(error), error.reason
            except MemoryError:
                message, reason = "the picture needs more memory than there is", "too_much_memory"
            send(self._channel, Failed(message, reason, self._is_worn()))

    def _answer(self, data: bytes, begin: Begin) -> None:
        decoder = Decoder(begin.max_pixels, reserve=lambda size: self._reserve(size, begin.seconds))
        picture = decoder.decode(data, self._allowed)
        file = anonymous_file(np.ascontiguousarray(picture.pixels).data.cast("B"))  # faster than filling a mapping
        rows, columns, _ = picture.pixels.shape
        area = picture.whole_area
        box = None if area is None else (area.x1, area.y1, area.x2, area.y2)
        place = picture.width, picture.height, picture.reduction, picture.left, picture.top, picture.orientation
        del picture, decoder
        send(self._channel, Decoded(rows, columns, *place, box, self._is_worn()), file)
        os.close(file)

    def _is_worn(self) -> bool:
        """Return whether this process keeps much memory, though all that is free was given back."""
        most = self._own_bytes + WORN_BYTES
        if _memory()[1] > most:
            self._libc.malloc_trim(0)
        return _memory()[1] > most

    def _allowed(self, width: int, height: int) -> float:
        send(self._channel, Size(width, height))
        answer, _ = receive(self._channel)
        return answer.factor if isinstance(answer, Allowed) else 1.0

    def _reserve(self, size_bytes: int, seconds: int) -> None:
        """Wait until the decoding may take so much."""
        send(self._channel, Needs(size_bytes))
        answer, _ = receive(self._channel)
        if not isinstance(answer, Granted):
            raise TypeError("the memory was not granted")
        self._limit(size_bytes + size_bytes // 4 + OPENING_BYTES, seconds)

    def _limit(self, more_bytes: int, seconds: int) -> None:
        """Limit what this process takes from now on."""
        resource.setrlimit(resource.RLIMIT_AS, (_memory()[0] + more_bytes, resource.RLIM_INFINITY))
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + 2 * seconds + 2, resource.RLIM_INFINITY))


def _memory() -> tuple[int, int]:
    """The bytes of address space and of memory that this process has."""
    space, resident, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(space) * mmap.PAGESIZE, int(resident) * mmap.PAGESIZE


def _read(file: int) -> bytes:
    with os.fdopen(file, "rb") as stream:
        stream.seek(0)
        return stream.read()
