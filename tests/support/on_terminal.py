"""A command on a terminal of its own, as a user has it."""

import asyncio
import os
import pty
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from journey import until

PATIENCE = 240.0


@dataclass
class OnTerminal:
    """A command on a terminal of its own, with what it printed."""

    process: asyncio.subprocess.Process
    ours: int
    printed: str = ""
    _read: int = 0

    def line(self, beginning: str) -> str:
        """Return the rest of the line that begins so; empty while it was not printed."""
        found = re.search(rf"^{re.escape(beginning)}(.*)\r?$", self.printed, re.MULTILINE)
        return found.group(1).strip() if found else ""

    async def told(self, beginning: str) -> str:
        def ask() -> str:
            assert self.process.returncode is None or self.line(beginning), self.printed[-3000:]
            return self.line(beginning)

        return str(await until(ask, PATIENCE))

    async def answer(self, question: str, text: str) -> None:
        """Wait for a question after those that were answered, and type an answer."""

        def ask() -> int:
            place = self.printed.find(question, self._read)
            assert self.process.returncode is None or place >= 0, self.printed[-3000:]
            return place + 1

        self._read = int(await until(ask, PATIENCE)) + len(question) - 1
        os.write(self.ours, f"{text}\n".encode())

    async def end(self, by: signal.Signals) -> int:
        with suppress(ProcessLookupError):
            self.process.send_signal(by)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


@asynccontextmanager
async def on_terminal(environ: Mapping[str, str], folder: Path, *command: str) -> AsyncIterator[OnTerminal]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=dict(environ), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown, loop = OnTerminal(process, ours), asyncio.get_running_loop()

    def read_some() -> None:
        try:
            shown.printed += os.read(ours, 65536).decode(errors="replace")
        except OSError:  # the other end was closed
            loop.remove_reader(ours)

    loop.add_reader(ours, read_some)
    try:
        yield shown
    finally:
        loop.remove_reader(ours)
        os.close(ours)
        if process.returncode is None:
            await shown.end(signal.SIGKILL)
