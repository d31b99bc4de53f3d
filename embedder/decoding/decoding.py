"""
Pictures decoded in processes of their own, and where there are none, in threads.

A process that takes too long is killed, and its picture fails. So does a picture that ends two processes, unless these
end with any picture.
"""

import asyncio
import functools
import os
from threading import Thread
from typing import Protocol

import numpy as np
import structlog

from embedder.decoding.messages import Allowed, Begin, Decoded, Failed, Granted, Message, Needs, Size
from embedder.decoding.process import DecodingProcess
from embedder.decoding.shared_files import shared_memory
from embedder.images.decoder import Decoder
from embedder.images.picture import Allow, Picture, whole
from embedder.lanes import WorkerLane
from embedder.memory_budget import Room
from immich_facesets.errors import ItemError, TransientError
from immich_facesets.faces import Box

log = structlog.get_logger(__name__)

HAS_PROCESSES = hasattr(os, "memfd_create")
"""On Linux. Elsewhere pictures are decoded by threads of the embedder, without these limits."""

_TRIES = 2
_END_SECONDS = 2.0
"""How long the end of a killed process is waited for."""

_TEST_PICTURE = b"P6 1 1 255\n\x7f\x7f\x7f"


class Decoding(Protocol):
    """Decodes pictures beside the event loop."""

    async def decode(self, data: bytes, allow: Allow, room: Room, workers: WorkerLane) -> Picture:
        """Return the picture, with its memory counted in ``room``; ``ItemError`` when it cannot be used."""

    def least_reduction(self, width: int, height: int) -> int:
        """Return by what factor a picture of this size must be reduced to fit; 0 where no factor is enough."""

    def close(self) -> None: ...


class DecodingThreads:
    """Decodes in the worker lane."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    async def decode(self, data: bytes, allow: Allow, room: Room, workers: WorkerLane) -> Picture:
        await room.wait()
        picture = await workers.run(functools.partial(self._decoder.decode, data, allow))
        room.keep(picture.pixels.nbytes)
        return picture

    def least_reduction(self, width: int, height: int) -> int:
        return self._decoder.least_reduction(width, height)

    def close(self) -> None:
        """Nothing is open."""


class DecodingProcesses:
    """Decodes in up to ``most`` processes, which start when they are needed. Use it on one event loop."""

    def __init__(self, max_pixels: int, seconds: float, most: int) -> None:
        self._max_pixels = max_pixels
        self._decoder = Decoder(max_pixels)
        self._seconds = seconds
        self._turns = asyncio.Semaphore(most)
        self._idle: list[DecodingProcess] = []
        self._running: set[DecodingProcess] = set()

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self._running)

    def least_reduction(self, width: int, height: int) -> int:
        return self._decoder.least_reduction(width, height)

    async def check(self) -> None:
        """Raise ``TransientError`` when not even a picture without any difficulty can be decoded."""
        try:
            await self._decode_once(_TEST_PICTURE, whole, None)
        except (EOFError, OSError, ItemError) as error:
            why = str(error) or "one ended without an answer"
            raise TransientError(f"the decoding processes do not work: {why}", retry_after=10) from error

    async def decode(self, data: bytes, allow: Allow, room: Room, workers: WorkerLane) -> Picture:
        del workers
        for _ in range(_TRIES):
            try:
                async with self._turns:
                    return await self._decode_once(data, allow, room)
            except (EOFError, OSError):
                log.warning("decoding_process_ended")
                room.keep(0)
        await self.check()
        raise ItemError(
            f"the decoder ended {_TRIES} times on this picture: the file is damaged", reason="crashes_decoder"
        )

    def close(self) -> None:
        for waiting in [self._end(process) for process in tuple(self._running)]:
            waiting.join(_END_SECONDS)
        self._idle.clear()

    async def _decode_once(self, data: bytes, allow: Allow, room: Room | None) -> Picture:
        """Return the picture, decoded by one process. The process is used again unless it ended or grew."""
        process = self._taken()
        is_reusable = False
        try:
            await process.start()
            await asyncio.to_thread(process.begin, Begin(self._max_pixels, max(1, round(self._seconds))), data)
            answer, pixels = await self._converse(process, allow, room)
            if isinstance(answer, Failed):
                found: Picture | ItemError = ItemError(answer.message, reason=answer.reason)
            else:
                found = self._picture(answer, pixels)
            is_reusable = not answer.is_worn
        finally:
            if is_reusable:
                self._idle.append(process)
            else:
                self._end(process)
        if isinstance(found, ItemError):
            raise found
        return found

    async def _converse(
        self, process: DecodingProcess, allow: Allow, room: Room | None
    ) -> tuple[Failed | Decoded, int]:
        """Answer the questions of a process until it has decoded its picture into an open file."""
        while True:
            message, file = await self._next(process)
            match message:
                case Size():
                    process.answer(Allowed(allow(message.width, message.height)))
                case Needs():
                    if room is not None:
                        await room.take(message.size_bytes)
                    process.answer(Granted())
                case Failed():
                    return message, -1
                case Decoded() if file is not None:
                    if room is not None:
                        room.keep(2 * 3 * message.rows * message.columns)  # a turned copy may be looked at, too
                    return message, file
                case _:
                    raise EOFError(f"a decoding process sent {type(message).__name__}")

    async def _next(self, process: DecodingProcess) -> tuple[Message, int | None]:
        try:
            async with asyncio.timeout(self._seconds):
                return await process.receive()
        except TimeoutError:
            raise ItemError(
                f"the decoding took longer than {self._seconds:g} seconds (FACESETS_EMBEDDER_DECODE_SECONDS)",
                reason="too_slow",
            ) from None

    def _taken(self) -> DecodingProcess:
        while self._idle:
            process = self._idle.pop()
            if not process.has_ended:
                return process
            self._end(process)
        process = DecodingProcess()
        self._running.add(process)
        return process

    def _end(self, process: DecodingProcess) -> Thread:
        self._running.discard(process)
        return process.end()

    def _picture(self, message: Decoded, file: int) -> Picture:
        """The picture, whose pixels stay in the memory that its process filled."""
        try:
            if message.rows * message.columns > self._max_pixels:
                raise EOFError("a decoding process sent more pixels than it may")
            shared = shared_memory(file, 3 * message.rows * message.columns)
        finally:
            os.close(file)
        pixels = np.frombuffer(shared, np.uint8).reshape(message.rows, message.columns, 3)
        area = None if message.whole_area is None else Box(*message.whole_area)
        place = message.width, message.height, message.reduction, message.left, message.top, message.orientation
        return Picture(pixels, *place, area)
