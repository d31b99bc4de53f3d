"""Modes of what the service writes, where the umask lets everybody in and the data folder was made by somebody else."""

import os
import signal
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from fork_server import ForkedProcess
from journey import Journey, ended, until

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.name == "nt", reason="Windows has access lists instead of modes"),
]

MODES = {"private": (0o700, 0o600), "shared": (0o755, 0o644)}
"""Those of folders and of files."""


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """An export folder outside the data folder, as another program that reads it may have made it."""
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder


def start(journey: Journey, exports: Path, *arguments: str, **settings: str) -> ForkedProcess:
    environ = {
        **journey.environ,
        "FACESETS_EXPORT_DIR": str(exports),
        "FACESETS_EXPORT_PROFILES": "kohya,xmp",
        **settings,
    }
    return journey.forks.start("service", *arguments, environ=environ, umask=0)


def modes(folder: Path) -> Mapping[str, int]:
    """The mode of everything in a folder."""
    return {path.relative_to(folder).as_posix(): stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}


def unlike(folder: Path, kind: str) -> dict[str, str]:
    """The modes in a folder that differ from those of its kind."""
    wanted = MODES[kind]
    return {name: oct(mode) for name, mode in modes(folder).items() if mode != wanted[(folder / name).is_file()]}


async def test_a_service_whose_umask_lets_everybody_in_writes_for_its_owner_alone(
    journey: Journey, exports: Path
) -> None:
    journey.data.mkdir(mode=0o777)
    journey.data.chmod(0o777)
    listen = {"FACESETS_LISTEN": "127.0.0.1:0", "FACESETS_SYNC_INTERVAL": "3600"}
    service = start(journey, exports, "serve", **listen)
    await until(lambda: (exports / "manifest.json").is_file() and (journey.data / "token").is_file())
    names = set(modes(journey.data))
    assert {"facesets.db", "facesets.db-wal", "facesets.db-shm", "lock", "token", "staging", "crops"} <= names
    assert any(name.endswith(".jpg") for name in names)
    assert unlike(journey.data, "private") == {}
    assert stat.S_IMODE(journey.data.stat().st_mode) == 0o700
    service.signal(signal.SIGTERM)
    assert await ended(service) == 0, service.stderr[-3000:]
    assert {"faceset_001/faces", "_profiles/kohya", "users/anna"} <= set(modes(exports))
    assert unlike(exports, "shared") == {}


@pytest.mark.slow
async def test_what_was_open_to_everybody_is_closed_by_the_next_start(journey: Journey, exports: Path) -> None:
    assert await ended(start(journey, exports, "sync")) == 0
    for path in (journey.data, *journey.data.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    service = start(journey, exports, "sync")
    assert await ended(service) == 0, service.stderr[-3000:]
    assert unlike(journey.data, "private") == {}
    assert stat.S_IMODE(journey.data.stat().st_mode) == 0o700
    assert "open_to_others" not in service.stderr
