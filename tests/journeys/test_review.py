"""The review queue in a whole service: a sync asks, an answer settles it, and it stays settled."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from journey import Journey, Unkilled, ended, serving, until
from on_terminal import PATIENCE, OnTerminal, on_terminal
from sqlalchemy import Connection, insert, select, update

from service.store import tables as t
from service.store.database import Store, open_engine

NEW = 40


def split_in_secret(tx: Connection) -> int:
    """Make two fifths of an identity without a name another one, as a wrong grouping would; return the first's number."""
    is_unnamed = select(t.identities.c.number).where(t.identities.c.origin == "discovered")
    members = select(t.memberships).where(t.memberships.c.identity.in_(is_unnamed))
    rows = tx.execute(members.order_by(t.memberships.c.identity, t.memberships.c.face_id)).all()
    numbers = [row.identity for row in rows]
    number = max(set(numbers), key=lambda one: (numbers.count(one), -one))
    faces = [row.face_id for row in rows if row.identity == number]
    now = tx.scalar(select(t.identities.c.created_at).limit(1))
    tx.execute(insert(t.identities).values(number=NEW, origin="discovered", created_at=now))
    some = faces[: 2 * len(faces) // 5]
    tx.execute(update(t.memberships).where(t.memberships.c.face_id.in_(some)).values(identity=NEW))
    return int(number)


async def planted(journey: Journey, unkilled: Unkilled) -> int:
    """A library with one person in two identities that a user has named, so that grouping leaves both as they are."""
    journey.begin_from(unkilled.synced)
    store = Store(open_engine(f"sqlite:///{journey.data / 'facesets.db'}"))
    number = store.write_now(split_in_secret)
    store.close()
    for one, name in ((number, "The one"), (NEW, "The other")):
        service = journey.start("identities", "label", str(one), name)
        assert await ended(service) == 0, service.stderr
    assert (await journey.sync()).code == 0
    return number


async def queue(journey: Journey, *arguments: str) -> list[Mapping[str, Any]]:
    service = journey.start("review", "--json", *arguments)
    assert await ended(service) == 0, service.stderr
    found: list[Mapping[str, Any]] = json.loads(service.stdout)
    return found


async def pairs(journey: Journey) -> list[tuple[int, ...]]:
    return [tuple(one["number"] for one in item["identities"]) for item in await queue(journey, "--kind", "merge")]


async def pressed(shown: OnTerminal, keys: str, told: str, code: int | None = None) -> None:
    """Press keys until the answer is printed; a terminal drops those from before it waits for one. ``code``: the exit code."""

    async def ask() -> bool:
        if "q: stop]" in shown.printed and shown.process.returncode is None:
            os.write(shown.ours, keys.encode())
            await asyncio.sleep(0.2)
        return told in shown.printed if code is None else shown.process.returncode is not None

    await until(ask, PATIENCE)
    assert told in shown.printed
    assert code in {None, shown.process.returncode}, shown.printed[-3000:]


@pytest.mark.slow
async def test_a_question_is_answered_over_the_api_and_never_comes_back(journey: Journey, unkilled: Unkilled) -> None:
    number = await planted(journey, unkilled)
    (first, *_) = await queue(journey)
    assert (first["kind"], [one["number"] for one in first["identities"]]) == ("merge", [number, NEW])
    assert all(one["evidence"] for one in first["identities"])
    async with serving(journey) as (_, client):
        page = (await client.get("api/review", params={"kind": "merge", "limit": 1})).json()
        assert page["items"][0]["id"] == first["id"]
        crop = page["items"][0]["identities"][0]["evidence"][0]["face"]["crop"]["crop"]
        assert (await client.get(crop)).headers["content-type"] == "image/jpeg"
        answers = {one["key"]: one["requests"] for one in page["items"][0]["answers"]}
        later = await client.post("api/decisions", json={"decisions": answers["?"]})
        assert later.status_code == 200, later.text
        assert (await client.get("api/review", params={"kind": "merge"})).json()["items"] == []
        undone = await client.post(f"api/decisions/{later.json()['decisions'][0]}/undo", json={})
        assert undone.status_code == 200
        back = (await client.get("api/review", params={"kind": "merge"})).json()["items"]
        assert [one["id"] for one in back] == [first["id"]], "undone, it is asked again at once"
    assert (await journey.sync()).code == 0
    assert await pairs(journey) == [(number, NEW)], "undone, it is asked again"
    async with serving(journey) as (_, client):
        made = await client.post("api/decisions", json={"decisions": answers["n"]})
        assert made.json()["kinds"] == ["keep_apart"]
        assert (await client.get("api/review", params={"kind": "merge"})).json()["total"] == 0
    for action, left in (("undo", [(number, NEW)]), ("redo", [])):
        service = journey.start("decisions", action, str(made.json()["decisions"][0]))
        assert await ended(service) == 0, service.stderr
        assert await pairs(journey) == left
    for kind in ((), ("--full",)):
        assert (await journey.sync(*kind)).code == 0
        assert await pairs(journey) == []


@pytest.mark.slow
async def test_one_key_on_a_terminal_merges_two_halves_of_a_person(journey: Journey, unkilled: Unkilled) -> None:
    number = await planted(journey, unkilled)
    piped = journey.start("review")
    assert await ended(piped) == 3
    assert "with --json it lists them" in piped.stderr
    command = (sys.executable, "-m", "service", "review", "--kind", "merge")
    async with on_terminal(journey.environ, journey.data.parent, *command, "--dry-run") as shown:
        await pressed(shown, "y", "this was a preview")
        await pressed(shown, "q", "", code=0)
    async with on_terminal(journey.environ, journey.data.parent, *command) as shown:
        await pressed(shown, "\x03", "", code=130)
    async with on_terminal(journey.environ, journey.data.parent, *command) as shown:
        await pressed(shown, "s", "1 question left: 'immich-facesets review' asks again.", code=0)
    assert await pairs(journey) == [(number, NEW)]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {"FACESETS_LISTEN": f"127.0.0.1:{port}", "FACESETS_TOKEN": "a token for the tests alone"}
    async with serving(journey, own) as (_, client):
        async with on_terminal({**journey.environ, **own}, journey.data.parent, *command) as shown:
            await pressed(shown, "x", "no answer has this key; there are: y, n, ?, s, q")
            await pressed(shown, "?", "There is nothing more to review.", code=0)
            assert "the face sets" not in shown.printed, "nothing of them changes"
            assert f"http://127.0.0.1:{port}/api/crops/" in shown.printed
        (made, *_) = (await client.get("api/decisions")).json()["decisions"]
        assert (made["kind"], made["made_from"]) == ("later", "api")
        assert (await client.post(f"api/decisions/{made['id']}/undo", json={})).status_code == 200
    assert (await journey.sync()).code == 0
    assert await pairs(journey) == [(number, NEW)]
    async with on_terminal(journey.environ, journey.data.parent, *command) as shown:
        await pressed(shown, "y", "There is nothing more to review.", code=0)
        assert f"1 of 1: Are identity {number} and identity {NEW} one person?" in shown.printed
        assert str(journey.data / "crops") in shown.printed.replace("\r\n", "")
        assert "Identity " + str(NEW) + f" is identity {number}." in shown.printed
    assert await pairs(journey) == []


@pytest.mark.kill
async def test_a_kill_before_the_queue_is_written_leaves_it_to_the_next_sync(
    journey: Journey, unkilled: Unkilled
) -> None:
    await planted(journey, unkilled)
    store = Store(open_engine(f"sqlite:///{journey.data / 'facesets.db'}"))
    store.write_now(lambda tx: tx.execute(t.review_items.delete()))
    store.close()
    killed = await journey.sync("--full", die_at=("write_queue", "before", 1))
    assert killed.code == -signal.SIGKILL
    assert await queue(journey) == []
    assert (await journey.sync()).code == 0
    assert len(await pairs(journey)) == 1
