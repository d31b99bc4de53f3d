"""One decoding process, as the embedder sees it."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from embedder.decoding.messages import Begin, Message, Ready, receive, send
from embedder.decoding.shared_files import anonymous_file

_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
"""Variables that a decoding process gets. No token is among them: it reads hostile files."""


_MALLOC: Final = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
"""Settings of glibc: a picture's memory serves the next picture, which saves a third of the kernel's work for it."""

_START_SECONDS: Final = 60.0
"""How long the start of a process may take on a busy machine."""


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {**kept, **_MALLOC, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


class DecodingProcess:
    """A child process that decodes one picture at a time. Use it on one event loop."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        self._is_ready = False
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  this program itself
                [sys.executable, "-m", "embedder.decoding", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    async def start(self) -> None:
        """Return when the process has started; ``EOFError`` or ``OSError`` when it does not."""
        if self._is_ready:
            return
        try:
            async with asyncio.timeout(_START_SECONDS):
                message, _ = await self.receive()
        except TimeoutError:
            raise EOFError("a decoding process did not start") from None
        if not isinstance(message, Ready):
            raise EOFError("a decoding process began with another message")  # noqa: TRY004  it counts as ended
        self._is_ready = True

    def begin(self, begin: Begin, data: bytes) -> None:
        """Send a picture. Blocking; the file in memory is opened and closed here, as its caller may be cancelled."""
        file = anonymous_file(data)
        try:
            send(self._channel, begin, file)
        finally:
            os.close(file)

    def answer(self, message: Message) -> None:
        send(self._channel, message)

    async def receive(self) -> tuple[Message, int | None]:
        """Return the next message; ``EOFError`` or ``OSError`` when the process has ended."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        loop.add_reader(self._channel, arrived.set)
        try:
            await arrived.wait()
        finally:
            loop.remove_reader(self._channel)
        return receive(self._channel)

    def end(self) -> threading.Thread:
        """Kill the process, whatever it does; return the thread that waits for its end, until its memory is free."""
        self._channel.close()
        self._process.kill()
        waiting = threading.Thread(target=self._process.wait, daemon=True)
        waiting.start()
        return waiting
