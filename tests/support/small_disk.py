"""A small or read-only disk: a tmpfs in a mount namespace, with a fork server inside."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fork_server import ForkServer


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """
    A file system mounted on ``folder`` for processes of ``forks``; other processes find its files below ``seen_at``.
    """

    folder: Path
    keeper: int
    forks: ForkServer

    @property
    def seen_at(self) -> Path:
        return Path(f"/proc/{self.keeper}/root{self.folder}")

    def remount(self, options: str) -> None:
        self.run("mount", "-o", f"remount,{options}", str(self.folder))

    def run(self, *command: str) -> None:
        subprocess.run(("nsenter", "-t", str(self.keeper), "-U", "-m", *command), check=True)


@contextmanager
def small_disk(folder: Path, scripts: Path) -> Iterator[SmallDisk]:
    """Yield an empty disk of a megabyte and its fork server; skip the test where an ordinary user may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = f"mount -t tmpfs -o size=1m tmpfs '{folder}' && echo ready && exec cat"
    with subprocess.Popen(
        ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as keeper:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != b"ready\n":
            keeper.kill()
            pytest.skip("a small disk needs unshare(1) and mounts in a user namespace, which this system refuses")
        python = scripts / "python"
        python.write_text(f'#!/bin/sh\nexec nsenter -t {keeper.pid} -U -m {sys.executable} "$@"\n', encoding="utf-8")
        python.chmod(0o700)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", str(python))
            forks = ForkServer()
        with forks:
            yield SmallDisk(folder, keeper.pid, forks)
        assert keeper.stdin is not None
        keeper.stdin.close()
