"""The demonstration as a new user starts it: no network, no weights, no Immich."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import httpx
import pytest
from demo_process import bare_environment, served_demo, start_demo


@pytest.mark.slow
async def test_the_demo_ends_with_face_sets(tmp_path: Path) -> None:
    process = await start_demo(tmp_path / "demo", "--once")
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()[-2000:]
    manifest = json.loads((tmp_path / "demo" / "facesets" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["facesets"]
    assert {"anna", "ben"} == {path.name for path in (tmp_path / "demo" / "facesets" / "users").iterdir()}
    assert "Face sets:" in stdout.decode()


@pytest.mark.slow
async def test_the_usual_demo_has_questions_of_every_kind(tmp_path: Path) -> None:
    process = await start_demo(tmp_path / "demo", "--once", pictures=150, people=12)
    _, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()[-2000:]
    environ = {"FACESETS_DATA_DIR": str(tmp_path / "demo" / "data"), "FACESETS_EXPORT_DIR": str(tmp_path / "sets")}
    review = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "review", "--json",
        cwd=tmp_path, env={**bare_environment(), **environ}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    stdout, _ = await review.communicate()
    kinds = [item["kind"] for item in json.loads(stdout)]
    assert set(kinds) == {"merge", "mixed", "member", "ambiguous", "nearly"}
    assert 8 <= len(kinds) <= 20
    assert kinds.count("merge") == 2  # the sisters, and one person with and without a muffler


@pytest.mark.slow
async def test_the_demo_serves_its_status_page_and_stops_when_asked(tmp_path: Path) -> None:
    process = await start_demo(tmp_path / "demo", "--listen", "127.0.0.1:0")
    address, token = await served_demo(process)
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        for _ in range(100):
            try:
                answer = await client.get("/api/status", headers={"Authorization": f"Bearer {token}"})
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
        assert answer.status_code == 200
        assert answer.json()["facts"]["library"]["facesets"] > 0
        assert (await client.get("/api/status")).status_code == 401
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0


async def test_the_demo_deletes_nothing_that_it_did_not_make(tmp_path: Path) -> None:
    mine = tmp_path / "demo" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    process = await start_demo(tmp_path / "demo", "--once")
    _, stderr = await process.communicate()
    assert process.returncode == 3
    assert "choose another folder" in stderr.decode()
    assert mine.read_text(encoding="utf-8") == "mine"
