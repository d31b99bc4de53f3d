"""From a folder of pictures to face sets and a signed-in page in one command, as on a terminal."""

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import httpx
import pytest
from fork_server import ForkServer
from journey import ended, until
from on_terminal import PATIENCE, on_terminal
from small_library import ENVIRONMENT, SmallLibrary
from sync_result import read
from testdata import ROOT

from service.store.folders import stored_sources
from service.store.runs import census


@pytest.fixture
def environ(embedder_url: str, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))}
    kept |= {**ENVIRONMENT, "FACESETS_EMBEDDER_URLS": embedder_url, "FACESETS_DATA_DIR": str(tmp_path / "data")}
    return {**kept, "FACESETS_LISTEN": "127.0.0.1:0", "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def photos(drawn: SmallLibrary, tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "My $HOME 'Pictures' 2024"
    folder.mkdir(parents=True)
    for file in drawn.files:
        shutil.copy(file, folder)
    return folder


async def signed_in(link: str, client: httpx.AsyncClient) -> int:
    address, _, ticket = link.partition("/login#")
    answer = await client.post(f"{address}/login/link", data={"ticket": ticket})
    return answer.status_code


@pytest.mark.slow
async def test_a_folder_becomes_face_sets_and_a_link_that_signs_in_once(
    environ: dict[str, str], drawn: SmallLibrary, photos: Path, tmp_path: Path
) -> None:
    command = (sys.executable, "-m", "service", "run", f"--photos=~/{photos.name}")
    async with on_terminal(environ, tmp_path, *command) as shown:
        await shown.told("New pictures are taken in")
        link = await shown.told("This link signs you in once, within ten minutes: ")
        sheet = Path(await shown.told("The contact sheet of the largest one: "))
        assert sheet.name == "contact_sheet.jpg"
        assert await asyncio.to_thread(sheet.is_file)
        assert "nearly there" in shown.printed
        assert re.search(r"Recognising faces.* \d+/\d+", shown.printed)
        async with httpx.AsyncClient(trust_env=False) as browser, httpx.AsyncClient(trust_env=False) as other:
            assert await signed_in(link, browser) == 303
            assert await signed_in(link, other) == 401
            address = link.partition("/login")[0]
            assert (await browser.get(f"{address}/api/status")).status_code == 200
            assert (await other.get(f"{address}/api/status")).status_code == 401
        ticket = link.partition("#")[2]
        assert shown.printed.count(ticket) == 1
        assert await shown.end(signal.SIGTERM) == 0
    stored = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not [path for path in stored if ticket.encode() in path.read_bytes()]
    first = read(tmp_path / "data", census)
    assert (first.assets, [source.name for source in first.sources]) == (len(drawn.files), [photos.name])
    async with on_terminal(environ, tmp_path, *command) as again:
        await again.told("New pictures are taken in")
        assert f"belongs to the source {photos.name}." in re.sub(r"\s+", " ", again.printed)
        assert await again.end(signal.SIGTERM) == 0
    again_counted = read(tmp_path / "data", census)
    assert (again_counted.assets, again_counted.faces, len(again_counted.sources)) == (first.assets, first.faces, 1)


@pytest.mark.slow
async def test_a_link_does_not_outlive_its_service(
    environ: dict[str, str], drawn: SmallLibrary, tmp_path: Path
) -> None:
    (few := tmp_path / "few").mkdir()
    for file in drawn.files[:3]:
        shutil.copy(file, few)
    command = (sys.executable, "-m", "service", "run", "--photos=few")
    async with on_terminal(environ, tmp_path, *command) as shown:
        link = await shown.told("This link signs you in once, within ten minutes: ")
        used = link.partition("#")[2]
        await shown.end(signal.SIGKILL)
    listen = link.removeprefix("http://").partition("/")[0]
    async with on_terminal({**environ, "FACESETS_LISTEN": listen}, tmp_path, *command) as again:
        fresh = await again.told("This link signs you in once, within ten minutes: ")
        async with httpx.AsyncClient(trust_env=False) as browser:
            assert await signed_in(link, browser) == 401
            assert await signed_in(fresh, browser) == 303
        assert used not in again.printed


async def test_without_a_terminal_no_link_is_printed(
    environ: dict[str, str], drawn: SmallLibrary, photos: Path, forks: ForkServer
) -> None:
    for file in drawn.files[3:]:
        (photos / file.name).unlink()
    service = forks.start("service", "run", f"--photos={photos}", environ=environ)
    await until(lambda: '"serving"' in service.stderr or not service.is_running, PATIENCE)
    service.signal(signal.SIGTERM)
    assert await ended(service) == 0, service.stderr[-3000:]
    assert "Status page: http://127.0.0.1:" in service.stdout
    assert "/login#" not in service.stdout + service.stderr
    assert "Recognising faces: done, 3 of 3" in service.stderr


@pytest.mark.parametrize("path", ["~/nowhere", "data"])
async def test_a_folder_that_cannot_be_a_source_is_told(
    environ: dict[str, str], forks: ForkServer, tmp_path: Path, path: str
) -> None:
    place = path.replace("data", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    service = forks.start("service", "run", f"--photos={place}", environ=environ)
    assert await ended(service) == 3
    assert "is no folder" in service.stderr or "a folder of this program" in service.stderr


async def test_a_folder_in_a_source_is_no_second_source(
    environ: dict[str, str], photos: Path, forks: ForkServer, tmp_path: Path
) -> None:
    for path in (photos, photos / "inner", tmp_path / "home" / "other" / photos.name):
        path.mkdir(parents=True, exist_ok=True)
        service = forks.start("service", "sources", "list", environ=environ)
        await ended(service)
        service = forks.start(
            "service", "run", f"--photos={path}", environ={**environ, "FACESETS_EMBEDDER_URLS": "http://127.0.0.1:9"}
        )
        await until(lambda service=service: " source " in service.stdout or not service.is_running, PATIENCE)
        service.signal(signal.SIGKILL)
        await ended(service)
    names = [source.name for source in read(tmp_path / "data", stored_sources)]
    assert names == [photos.name, f"{photos.name} in other"]
