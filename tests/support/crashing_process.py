"""An embedder process that exits, as by kill -9, on chosen pictures, and a supervisor that restarts it."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from journey import until
from testdata import ROOT

from immich_facesets.runtime.listen_address import Announcement

_DEADLY = '''\
"""Read by every Python that starts with this folder on its path; only an embedder crashes."""
import hashlib, os, signal, sys

if "embedder" in sys.orig_argv:
    sys.path.insert(0, {root!r})
    from embedder.pipeline import Pipeline

    answer = Pipeline.answer

    async def crashing(self, data, *more, **named):
        if hashlib.sha256(data).hexdigest() in {deadly!r}:
            with open({deaths!r}, "ab") as deaths:
                deaths.write(b"x")
            os.kill(os.getpid(), signal.SIGKILL)
        return await answer(self, data, *more, **named)

    Pipeline.answer = crashing
'''


class CrashingProcess:
    """A folder for an embedder's ``PYTHONPATH`` whose ``sitecustomize`` makes it crash on chosen pictures."""

    def __init__(self, folder: Path, deadly: Collection[bytes]) -> None:
        self.folder = folder / "crashing"
        self.folder.mkdir()
        self._deaths = self.folder / "deaths"
        digests = {hashlib.sha256(data).hexdigest() for data in deadly}
        code = _DEADLY.format(root=str(ROOT), deadly=digests, deaths=str(self._deaths))
        (self.folder / "sitecustomize.py").write_text(code, encoding="utf-8")

    @property
    def deaths(self) -> int:
        """The number of embedder processes that crashed on a picture so far."""
        return self._deaths.stat().st_size if self._deaths.is_file() else 0

    @property
    def python_path(self) -> str:
        return f"{self.folder}{os.pathsep}{ROOT}"


@asynccontextmanager
async def supervised(crashing: CrashingProcess, *, pause: float = 0.3) -> AsyncIterator[str]:
    """The address of a synthetic embedder that is started again whenever it ends."""
    announced = crashing.folder / "address.json"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FACESETS_")}
    environ |= {"FACESETS_EMBEDDER_ENGINE": "synthetic", "PYTHONPATH": crashing.python_path}
    listen = "127.0.0.1:0"
    process: asyncio.subprocess.Process

    async def start() -> asyncio.subprocess.Process:
        announced.unlink(missing_ok=True)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "embedder",
            "--announce",
            str(announced),
            env={**environ, "FACESETS_EMBEDDER_LISTEN": listen},
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def keep_alive() -> None:
        nonlocal process
        while True:
            await process.wait()
            await asyncio.sleep(pause)
            process = await start()

    process = await start()
    await until(announced.is_file)
    told = Announcement.read(announced.read_bytes())
    listen = f"{told.host}:{told.port}"
    supervisor = asyncio.create_task(keep_alive())
    try:
        yield told.url
    finally:
        supervisor.cancel()
        with suppress(asyncio.CancelledError):
            await supervisor
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
