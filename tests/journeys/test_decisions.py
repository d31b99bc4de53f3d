"""Decisions by command: what they print, that a service must not run beside them, kills, and another installation."""

import asyncio
import json
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fork_server import KILLED
from journey import NOTHING, Journey, Unkilled, ended, serving


async def told(
    journey: Journey,
    *arguments: str,
    code: int = 0,
    die_at: tuple[Any, ...] = (),
    settings: Mapping[str, str] = NOTHING,
) -> str:
    """Run a command, and return what it printed."""
    service = journey.start(*arguments, die_at=die_at, settings=settings)
    assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
    assert "Traceback" not in service.stderr
    return service.stdout if code == 0 else service.stderr


async def listed(journey: Journey, *arguments: str) -> Any:
    return json.loads(await told(journey, *arguments, "--json"))


async def members(journey: Journey) -> dict[str, int]:
    """The number of faces of each identity, and the decisions, as the commands list them."""
    found = {f"{one['number']} {one['label']}": one["faces"] for one in await listed(journey, "identities", "list")}
    return found | {"decisions": len(await listed(journey, "decisions", "list"))}


async def faces_of(journey: Journey, number: int) -> list[str]:
    return [str(one["face_id"]) for one in (await listed(journey, "identities", "show", str(number)))["faces"]]


async def test_decisions_stay_after_a_sync_and_move_to_another_installation(
    journey: Journey, unkilled: Unkilled, tmp_path: Path
) -> None:
    journey.begin_from(unkilled.synced)
    numbers = [one["number"] for one in await listed(journey, "identities", "list")]
    faces = await faces_of(journey, numbers[0])
    before = await members(journey)
    preview = await listed(journey, "identities", "split", *faces[:2], "--dry-run")
    assert (preview["decisions"], preview["effect"]["new"]) == ([], [max(numbers) + 1])
    assert await members(journey) == before
    await told(journey, "identities", "split", *faces[:2], "--reason", "two brothers")
    await told(journey, "identities", "label", str(max(numbers) + 1), "The brother")
    await told(journey, "identities", "never-export", str(numbers[0]))
    assert not list((journey.data / "exports").glob(f"faceset_{numbers[0]:03d}*"))
    decided = await members(journey)
    assert decided[f"{max(numbers) + 1} The brother"] == 2
    assert (await journey.sync("--full")).code == 0
    assert await members(journey) == decided
    (row, *_) = await listed(journey, "decisions", "list")
    assert (row["kind"], row["reason"], row["made_from"]) == ("split", "two brothers", "command")

    file = tmp_path / "decisions.jsonl"
    await told(journey, "decisions", "export", str(file))
    assert file.stat().st_mode & 0o077 == 0
    assert "0 decisions added, 3 here already" in await told(journey, "decisions", "import", str(file))
    shutil.rmtree(journey.data)
    journey.begin_from(unkilled.synced)
    assert "3 decisions would be added" in await told(journey, "decisions", "import", str(file), "--dry-run")
    await told(journey, "decisions", "import", str(file))
    assert await members(journey) == decided
    file.write_bytes(file.read_bytes() + b'{"kind": "praise"}\n')
    assert "line 4 is no decision" in await told(journey, "decisions", "import", str(file), code=3)


async def test_proposals_are_shown_and_made_only_when_asked_for(journey: Journey, unkilled: Unkilled) -> None:
    journey.begin_from(unkilled.synced)

    numbers = [row["number"] for row in await listed(journey, "identities", "list")]
    one, two = sorted(numbers)[2:4]  # their pictures are three years apart
    assert "seems to be one person" in await told(journey, "identities", "parts", str(one))
    refused = await told(journey, "identities", "parts", str(one), "--split", "2", code=3)
    assert "there is no part 2" in refused
    assert "No face of nobody looks like" in await told(journey, "identities", "similar", str(one))
    refused = await told(journey, "identities", "similar", str(one), "--add", code=3)
    assert "nothing was changed" in refused
    theirs = await faces_of(journey, two)
    await told(journey, "identities", "merge", str(two), "--into", str(one))
    before = await members(journey)
    found = json.loads(await told(journey, "identities", "parts", str(one), "--json"))
    assert {str(face) for face in found["parts"][1]} <= set(theirs)
    assert await members(journey) == before
    await told(journey, "identities", "parts", str(one), "--split", "2")
    after = {row["number"]: row["faces"] for row in await listed(journey, "identities", "list")}
    assert after[max(after)] == len(found["parts"][1])
    assert f"identity {two} was merged: it is identity {one} now" in await told(
        journey, "identities", "similar", str(two), code=3
    )


async def test_beside_a_service_only_previews_are_made(journey: Journey, unkilled: Unkilled) -> None:
    journey.begin_from(unkilled.synced)
    async with serving(journey):
        (one, *_) = await listed(journey, "identities", "list")
        refused = await told(journey, "identities", "lock", str(one["number"]), code=3)
        assert "decisions by command need it stopped" in refused
        assert (await listed(journey, "identities", "lock", str(one["number"]), "--dry-run"))["kinds"] == ["lock"]


async def test_a_command_lets_a_running_service_decide(journey: Journey, unkilled: Unkilled) -> None:
    journey.begin_from(unkilled.synced)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {"FACESETS_LISTEN": f"127.0.0.1:{port}"}
    beside = {**own, "FACESETS_TOKEN": "a token for the tests alone"}
    async with serving(journey, own) as (_, client):
        (one, two, *_) = await listed(journey, "identities", "list")
        never = ("identities", "never-export", str(one["number"]), "--reason", "asked for")
        assert "Decision 1" in await told(journey, *never, settings=beside)
        assert not list((journey.data / "exports").rglob(f"faceset_{one['number']:03d}*"))
        assert "never exported already" in await told(journey, *never, code=3, settings=beside)
        assert "Decision 2" in await told(journey, "decisions", "undo", "1", settings=beside)
        stranger = {**own, "FACESETS_TOKEN": "another token than that one"}
        lock = ("identities", "lock", str(two["number"]))
        assert "with the token of these settings" in await told(journey, *lock, code=3, settings=stranger)
        made = (await client.get("api/decisions")).json()["decisions"]
    assert [(row["kind"], row["made_by"], row["made_from"]) for row in made] == [
        ("undo", "token", "api"),
        ("never_export", "token", "api"),
    ]
    assert made[1]["reason"] == "asked for"
    assert "Decision 3" in await told(journey, *lock), "without the service it decides itself"


@pytest.mark.kill
@pytest.mark.parametrize("moment", ["during", pytest.param("before", marks=pytest.mark.slow)])
async def test_a_decision_that_is_killed_is_made_wholly_or_not_at_all(
    journey: Journey, unkilled: Unkilled, tmp_path: Path, moment: str
) -> None:
    journey.begin_from(unkilled.synced)
    (one, two, *_) = [row["number"] for row in await listed(journey, "identities", "list")]
    merge = ("identities", "merge", str(two), "--into", str(one), "--label", "Ada")
    before = await members(journey)
    await told(journey, *merge, code=KILLED, die_at=("decide", moment, 1))
    assert await members(journey) == before
    await told(journey, *merge, code=KILLED, die_at=("decide", "after", 1))
    merged = await members(journey)
    assert merged != before
    assert "are identity" in await told(journey, *merge, code=3), "it was made"
    assert (await journey.sync("--full")).code == 0
    assert await members(journey) == merged
    file = tmp_path / "decisions.jsonl"
    await told(journey, "decisions", "export", str(file))
    await asyncio.to_thread(shutil.rmtree, journey.data)
    journey.begin_from(unkilled.synced)
    await told(journey, "decisions", "import", str(file), code=KILLED, die_at=("import_decisions", moment, 1))
    assert await members(journey) == before
    await told(journey, "decisions", "import", str(file))
    assert await members(journey) == merged


@pytest.mark.kill
@pytest.mark.parametrize(
    "moment", ["during", *(pytest.param(one, marks=pytest.mark.slow) for one in ("before", "after"))]
)
async def test_a_write_over_the_api_that_a_kill_cut_off_is_made_once_under_its_key(
    journey: Journey, unkilled: Unkilled, moment: str
) -> None:
    journey.begin_from(unkilled.synced)
    (one, *_) = await listed(journey, "identities", "list")
    body = {"decisions": [{"action": "lock", "identity": one["number"]}]}
    key = {"Idempotency-Key": "the-lock"}
    async with serving(journey, die_at=("decide_once", moment, 1)) as (service, client):
        with pytest.raises(httpx.TransportError):
            await client.post("api/decisions", json=body, headers=key)
        assert await ended(service) == KILLED
    assert len(await listed(journey, "decisions", "list")) == (moment == "after")
    async with serving(journey) as (_, client):
        first, again = [await client.post("api/decisions", json=body, headers=key) for _ in range(2)]
        assert (first.status_code, again.status_code) == (200, 200), first.text
        assert first.json() == again.json()
    assert [row["kind"] for row in await listed(journey, "decisions", "list")] == ["lock"]
    async with serving(journey, die_at=("keep_answer", moment, 1)) as (service, client):
        with pytest.raises(httpx.TransportError):
            await synced_under(client, "the-sync")
        assert await ended(service) == KILLED
    async with serving(journey) as (_, client):
        assert (await synced_under(client, "the-sync")).status_code == 202


async def synced_under(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Ask for a sync under a key, once the one of the start is over."""
    while True:
        answer = await client.post("api/jobs", json={"kind": "full"}, headers={"Idempotency-Key": key})
        if answer.status_code != 409:
            return answer
        await asyncio.sleep(0.1)
