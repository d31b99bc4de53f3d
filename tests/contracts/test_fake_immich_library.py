"""Libraries described by a file, served by the fake Immich in this process or in one of its own."""

import asyncio
import io
import json
import signal
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from testdata import ROOT

from service.demo.immich import load_library

ANNA, BEN = "anna's key, thirty-two letters!!", "ben's key, also of thirty-two.!!"
SIDEWAYS = 6
"""An EXIF orientation that turns the picture by a quarter."""


def jpeg(width: int, height: int, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(jpeg(64, 48))
    (tmp_path / "b.jpg").write_bytes(jpeg(64, 48, SIDEWAYS))
    (tmp_path / "library.toml").write_text(
        f"""
        version = "2.7.5"
        [[users]]
        name = "anna"
        api_key = "{ANNA}"
        [[users]]
        name = "ben"
        api_key = "{BEN}"
        permissions = ["asset.read"]
        shares_with = ["anna"]
        [[people]]
        owner = "anna"
        name = "Anna"
        person_id = "5f1d7a52-2f2b-4c5c-9d0e-0d6f5e1c2a3b"
        [[assets]]
        file = "a.jpg"
        owner = "anna"
        taken_at = 2020-01-31T12:00:00Z
        [[assets.faces]]
        box = [6, 3, 9, 7]
        person_id = "5f1d7a52-2f2b-4c5c-9d0e-0d6f5e1c2a3b"
        [[assets]]
        file = "b.jpg"
        owner = "ben"
        taken_at = 2019-01-31
        """
    )
    return tmp_path


async def everything(client: httpx.AsyncClient, key: str) -> list[dict[str, Any]]:
    answer = await client.post("/api/search/metadata", json={"withPeople": True}, headers={"x-api-key": key})
    items: list[dict[str, Any]] = answer.json()["assets"]["items"]
    return items


async def test_a_described_library_is_served(folder: Path) -> None:
    async with load_library(folder) as immich, httpx.AsyncClient(base_url=immich.url) as client:
        first, second = await everything(client, ANNA)
        assert (first["width"], first["height"], first["originalMimeType"]) == (64, 48, "image/jpeg")
        assert (second["width"], second["height"]) == (48, 64)
        assert second["fileCreatedAt"] == "2019-01-31T00:00:00.000Z"
        (face,) = first["people"][0]["faces"]
        assert (face["boundingBoxX2"], face["imageWidth"]) == (9, 64)
        answer = await client.get(f"/api/assets/{first['id']}/original", headers={"x-api-key": ANNA})
        assert answer.content == (folder / "a.jpg").read_bytes()
        assert len(await everything(client, BEN)) == 1
        assert (await client.get("/api/people", headers={"x-api-key": BEN})).status_code == 403


async def test_a_second_start_serves_the_same_library(folder: Path) -> None:
    shown = []
    for version in (None, "2.7.5"):
        async with load_library(folder, version) as immich, httpx.AsyncClient(base_url=immich.url) as client:
            shown.append([item | {"people": str(item["people"])} for item in await everything(client, ANNA)])
    for one, other in zip(*shown, strict=True):
        assert {name for name in one if one[name] != other[name]} <= {"people"}  # a person has a date of change


async def test_json_describes_a_library_as_well(folder: Path) -> None:
    described = {
        "users": [{"name": "anna", "api_key": ANNA}],
        "assets": [{"file": "a.jpg", "owner": "anna", "taken_at": "2020-01-31T12:00:00", "width": 1, "height": 2}],
    }
    (folder / "other.json").write_text(json.dumps(described))
    immich = load_library(folder / "other.json", "3.3.5")
    (asset,) = immich.library.assets.values()
    assert (asset.width, asset.taken_at, immich.dialect.filters) == (1, datetime(2020, 1, 31, 12, tzinfo=UTC), True)


@pytest.mark.parametrize("wrong", ["[[assets]]\nfile = 'a.jpg'", "[[users]]\nname = 'x'\nage = 3"])
def test_a_wrong_description_is_a_value_error(folder: Path, wrong: str) -> None:
    (folder / "wrong.toml").write_text(wrong)
    with pytest.raises(ValueError, match=r"wrong\.toml"):
        load_library(folder / "wrong.toml")


@pytest.mark.kill
async def test_it_runs_as_a_process_of_its_own(folder: Path) -> None:
    keys = folder / "keys.json"
    command = [sys.executable, "-m", "service.demo.immich", "--library", str(folder), "--version", "3.1.0"]
    process = await asyncio.create_subprocess_exec(
        *command, "--keys-file", str(keys), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        told = json.loads(await process.stdout.readline())
        assert told["version"] == "3.1.0"
        async with httpx.AsyncClient(base_url=told["url"]) as client:
            assert len(await everything(client, json.loads(keys.read_text())["anna"])) == 2
        assert stat.S_IMODE(keys.stat().st_mode) == 0o600
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
