"""The demonstration as a process of its own, started as a new user starts it."""

import asyncio
import os
import sys
from pathlib import Path

from testdata import ROOT


def bare_environment() -> dict[str, str]:
    """Return an environment without our settings and without a proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))}
    return {**kept, "PYTHONPATH": str(ROOT)}


async def start_demo(folder: Path, *more: str, pictures: int = 30, people: int = 3) -> asyncio.subprocess.Process:
    """Start the demonstration in a folder; its two outputs are pipes."""
    sizes = ("--pictures", str(pictures), "--people", str(people))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "demo", "--folder", str(folder), *sizes, *more,
        cwd=folder.parent, env=bare_environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def served_demo(process: asyncio.subprocess.Process, seconds: float = 200) -> tuple[str, str]:
    """Return the address of the pages and the token, once the demonstration tells them."""
    assert process.stdout is not None
    told: list[str] = []
    while not any("Ctrl-C" in line for line in told):
        line = await asyncio.wait_for(process.stdout.readline(), seconds)
        assert line, told
        told.append(line.decode())
    address = next(line.split()[-1] for line in told if line.startswith("Status page:"))
    token = next(line.split()[-1] for line in told if line.startswith("Its token:"))
    return address, token
