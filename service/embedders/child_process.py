"""The embedder as a child process: started when no address is given, restarted, and ended with its parent."""

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress

import structlog
from pydantic import SecretStr

from immich_facesets.errors import SetupError, TransientError
from immich_facesets.runtime.listen_address import Announcement
from immich_facesets.runtime.model_folder import InstalledPack
from immich_facesets.runtime.pack_choice import choose_pack
from immich_facesets.runtime.shutdown import ExitCode
from service.settings import Settings

log = structlog.get_logger(__name__)

_START_SECONDS = 180.0  # a cold start loads models of several hundred megabytes from a slow disk
_STOP_SECONDS = 4.0
_PAUSES = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
_STEADY_SECONDS = 60.0  # a process that ran this long is restarted at once

_INHERITED = frozenset({
    "PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV", "NO_COLOR", "TERM",
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "PATHEXT", "COMSPEC", "USERPROFILE", "APPDATA", "LOCALAPPDATA",
})  # fmt: skip
_INHERITED_GROUPS = (
    "FACESETS_EMBEDDER_", "PYTHON", "LC_", "XDG_", "LD_", "MALLOC_", "OMP_", "OPENBLAS_", "MKL_", "KMP_", "ORT_", "CUDA_",
    "NVIDIA_", "TENSORRT_", "OPENVINO_", "MIGRAPHX_", "ROCM_", "ROCR_", "HIP_", "HSA_",
)  # fmt: skip
"""Variables that the embedder and its runtimes read. Keys and tokens of the service are not among them."""

_NOT_INHERITED = frozenset({"FACESETS_EMBEDDER_TOKEN_FILE", "FACESETS_EMBEDDER_TOKEN", "FACESETS_EMBEDDER_URLS"})


def _may_inherit(name: str) -> bool:
    """Return whether the embedder, which reads hostile files, gets a variable of the service."""
    name = name.upper()
    return (name in _INHERITED or name.startswith(_INHERITED_GROUPS)) and name not in _NOT_INHERITED


class EmbedderChild:
    """
    An embedder child process, on a loopback port that stays the same over restarts.

    Its standard input is a pipe from the parent. It ends when the pipe closes, even if the parent is killed.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._more = dict(environ or {})
        self._token = secrets.token_urlsafe(32)
        self._listen = "127.0.0.1:0"
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def token(self) -> SecretStr:
        return SecretStr(self._token)

    async def start(self) -> str:
        """Start it and return its address; ``SetupError`` when its exit code means that the user must change something."""
        await asyncio.to_thread(self.find_models)  # reports a missing pack at once, with the service's message
        announced = await self._launch()
        self._listen = f"{announced.host}:{announced.port}"
        self._watch = asyncio.create_task(self._keep_alive())
        return announced.url

    def find_models(self) -> InstalledPack | None:
        """Return the pack it will serve, None when it needs none; a missing pack is a ``SetupError``. Blocks."""
        if self._environment().get("FACESETS_EMBEDDER_ENGINE") == "synthetic":
            return None
        return choose_pack(self._settings.models_dir, self._settings.model_pack)

    def _environment(self) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if _may_inherit(name)}
        as_loud_as_we = logging.getLevelName(logging.getLogger().getEffectiveLevel())
        return {
            **inherited,
            **self._more,
            "FACESETS_EMBEDDER_LOG_LEVEL": inherited.get("FACESETS_EMBEDDER_LOG_LEVEL") or as_loud_as_we,
            "FACESETS_EMBEDDER_LISTEN": self._listen,
            "FACESETS_EMBEDDER_TOKEN": self._token,
            "FACESETS_MODELS_DIR": str(self._settings.models_dir),
            "FACESETS_MODEL_PACK": self._settings.model_pack,
        }

    async def _launch(self) -> Announcement:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "embedder",
            "--with-parent",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(),
        )
        self._process = process
        assert process.stdout is not None  # noqa: S101 - requested above
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError as error:
            await self._end(process)
            raise TransientError(f"the embedder did not start within {_START_SECONDS:.0f} s") from error
        if line:
            return Announcement.read(line)
        code = await process.wait()
        if code == ExitCode.SETUP:
            raise SetupError("the embedder cannot start; its own message above says what to change")
        raise TransientError(f"the embedder ended at once with exit code {code}; its own message above says why")

    async def _keep_alive(self) -> None:
        """Restart it whenever it ends, with growing pauses."""
        falls = 0
        while True:
            process = self._process
            assert process is not None  # noqa: S101 - start() launched it
            began = asyncio.get_running_loop().time()
            code = await process.wait()
            if self._closing:
                return
            if asyncio.get_running_loop().time() - began > _STEADY_SECONDS:
                falls = 0
            log.warning("embedder_ended", code=code)
            while True:
                await asyncio.sleep(_PAUSES[min(falls, len(_PAUSES) - 1)])
                falls += 1
                try:
                    await self._launch()
                except (SetupError, TransientError) as error:
                    log.warning("embedder_not_started", message=str(error))
                else:
                    log.info("embedder_restarted")
                    break

    async def stop(self) -> None:
        """Request it to stop, and kill it if it does not."""
        self._closing = True
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self._process is not None:
            await self._end(self._process)

    @staticmethod
    async def _end(process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
