"""The service run as a process against a fake Immich in this process."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testdata import ROOT


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command."""

    code: int
    stdout: str
    stderr: str


def environment(url: str, users: Path, folder: Path, **more: str) -> dict[str, str]:
    """The settings of a service; none of this process's own settings is inherited."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FACESETS_", "IMMICH_")) or name == "FACESETS_TEST_DATA"
    }
    inherited.pop("FACESETS_TEST_DATA", None)
    return {
        **inherited,
        "IMMICH_URL": url,
        "FACESETS_USERS_FILE": str(users),
        "FACESETS_DATA_DIR": str(folder / "data"),
        "FACESETS_EXPORT_DIR": str(folder / "data" / "exports"),
        "FACESETS_EMBEDDER_ENGINE": "synthetic",
        "FACESETS_MIN_FACES": "3",
        "PYTHONPATH": str(ROOT),
        **more,
    }


async def start(environ: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    """Start ``immich-facesets`` with these arguments."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        *arguments,
        env=dict(environ),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(environ: Mapping[str, str], *arguments: str, seconds: float = 240.0) -> CommandResult:
    """Run ``immich-facesets`` to its end."""
    process = await start(environ, *arguments)
    try:
        async with asyncio.timeout(seconds):
            stdout, stderr = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return CommandResult(process.returncode or 0, stdout.decode(), stderr.decode())


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return time of change and bytes of every file below a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
