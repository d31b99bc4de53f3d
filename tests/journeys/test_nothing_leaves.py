"""Nothing leaves the machine: every process asks its configured remotes alone, and writes into its own folders alone."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from drawn_detector import draw, write_models
from immich_scene import add_picture
from traced import Trace, reason_to_skip, trace

from service.demo.immich import FakeFace, FakeImmich

pytestmark = [pytest.mark.timeout(400), pytest.mark.skipif(reason_to_skip() != "", reason=reason_to_skip())]

PACK = "drawn"
LONG_SECONDS = 60.0
"""ONNX Runtime looks up its maker's host for the first time some 12 seconds after it is loaded."""


@pytest.fixture
def folders(tmp_path: Path) -> Mapping[str, Path]:
    """The folders of a user: an empty home among them."""
    made = {name: tmp_path / name for name in ("home", "tmp", "models", "work")}
    for folder in made.values():
        folder.mkdir()
    write_models(made["models"], PACK)
    return made


@pytest.fixture
def environ(folders: Mapping[str, Path]) -> Mapping[str, str]:
    """The environment of one of our processes, without any telemetry settings of the user."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folders["home"]),
        "TMPDIR": str(folders["tmp"]),
        "ORT_DISABLE_TELEMETRY": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "FACESETS_MODELS_DIR": str(folders["models"]),
        "FACESETS_MODEL_PACK": PACK,
        "FACESETS_DATA_DIR": str(folders["work"] / "data"),
        "FACESETS_LISTEN": "127.0.0.1:0",
        "FACESETS_EMBEDDER_LISTEN": "127.0.0.1:0",
        "FACESETS_EMBEDDER_THREADS": "1",
    }


def check(trace: Trace, folders: Mapping[str, Path], *, remotes: frozenset[int] = frozenset()) -> None:
    """Only the loopback address was asked, the ``remotes`` (ports) or the child there, and no name was looked up."""
    assert trace.looked_up == (), trace.looked_up[:3]
    assert {host for host, _ in trace.connected} <= {"127.0.0.1"}
    assert remotes <= {port for _, port in trace.connected}
    ours = [folders["work"] / "data", folders["work"] / "demo", folders["tmp"]]
    assert trace.written_outside(ours) == set()
    assert [path.name for path in folders["home"].rglob("*")] == []
    assert [path.name for path in folders["tmp"].rglob("*")] == []


def test_a_trace_shows_a_look_up_a_connection_and_a_file(
    environ: Mapping[str, str], folders: Mapping[str, Path]
) -> None:
    code = """import contextlib, pathlib, socket
with contextlib.suppress(OSError): socket.getaddrinfo("name.invalid", 80)
with contextlib.suppress(OSError): socket.create_connection(("127.0.0.2", 9), 1)
pathlib.Path.home().joinpath("folder").mkdir(exist_ok=True)
pathlib.Path("file").touch()"""
    found = trace("timeit", "-n", "1", "-r", "1", code, environ=environ, log=folders["work"] / "trace")
    assert found.code == 0, found.output
    assert any("/etc/hosts" in line for line in found.looked_up)
    assert ("127.0.0.2", 9) in found.connected
    outside = found.written_outside([folders["work"] / "data"])
    assert outside == {str(folders["home"] / "folder"), str(folders["work"] / "file")}


async def beside_immich(
    environ: Mapping[str, str], folders: Mapping[str, Path], *arguments: str, seconds: float | None = None
) -> FakeImmich:
    """The service has done this beside a fake Immich and asked it and its own embedder alone."""
    async with FakeImmich("3.1.0") as immich:
        anna = immich.add_user("anna")
        face = FakeFace((300, 250, 460, 450), 1280, 960)
        for number in range(3):
            data = draw().photo + bytes(number)
            add_picture(immich, f"{number}.jpg", data=data, width=1280, height=960, faces=[face])
        settings = {**environ, "IMMICH_URL": immich.url, "IMMICH_API_KEY": anna.api_key}
        found = await asyncio.to_thread(
            trace, "service", *arguments, environ=settings, log=folders["work"] / "trace", seconds=seconds
        )
        assert found.code == 0, found.output[-3000:]
        check(found, folders, remotes=frozenset({httpx.URL(immich.url).port or 0}))
        return immich


async def test_a_sync_asks_immich_and_its_own_embedder_alone(
    environ: Mapping[str, str], folders: Mapping[str, Path]
) -> None:
    immich = await beside_immich(environ, folders, "sync")
    assert immich.requests.count("original") == 3
    assert (folders["work"] / "data" / "crops").is_dir()


@pytest.mark.slow
async def test_a_check_of_the_settings_asks_the_same(environ: Mapping[str, str], folders: Mapping[str, Path]) -> None:
    await beside_immich(environ, folders, "config", "check")


@pytest.mark.slow
def test_a_benchmark_asks_nobody(environ: Mapping[str, str], folders: Mapping[str, Path]) -> None:
    found = trace("embedder", "bench", "--seconds", "0.2", environ=environ, log=folders["work"] / "trace")
    assert found.code == 0, found.output[-3000:]
    check(found, folders)


@pytest.mark.slow
def test_the_demo_asks_only_its_own_fake_immich(environ: Mapping[str, str], folders: Mapping[str, Path]) -> None:
    small = ("--once", "--people", "2", "--pictures", "12", "--folder", str(folders["work"] / "demo"))
    found = trace("service", "demo", *small, environ=environ, log=folders["work"] / "trace")
    assert found.code == 0, found.output[-3000:]
    check(found, folders)


@pytest.mark.slow
async def test_a_service_that_runs_for_a_minute_asks_the_same(
    environ: Mapping[str, str], folders: Mapping[str, Path]
) -> None:
    immich = await beside_immich(environ, folders, "serve", seconds=LONG_SECONDS)
    assert immich.requests.count("original") == 3


@pytest.mark.slow
def test_an_embedder_that_runs_for_a_minute_asks_nobody(
    environ: Mapping[str, str], folders: Mapping[str, Path]
) -> None:
    found = trace("embedder", environ=environ, log=folders["work"] / "trace", seconds=LONG_SECONDS)
    assert found.code == 0, found.output[-3000:]
    check(found, folders)
