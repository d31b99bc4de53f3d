"""The routes that decide, over a real store: answers, refusals, keys, ETags, and who may call them."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession
from builders import NOON
from moderated_library import Moderated
from sqlalchemy import Connection, func, insert, select
from web_scene import BEARER, TOKEN, Scene, visit

from immich_facesets.errors import RequestError, SetupError
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import LockIdentity, NameIdentity
from service.files.export_tree import ExportTree
from service.files.references import ReferenceFolder
from service.moderation.over_api import ApiDecisions
from service.moderation.over_api import kept_answers as kept
from service.reports.library import library_reads
from service.settings import Settings
from service.store import exports, kept_answers
from service.store import tables as t
from service.store.database import Store
from service.store.decided_once import decide_once
from service.store.identities import all_memberships
from service.store.kept_answers import KEPT_FOR, MOST_KEPT, Key, keep_answer, kept_answer
from service.web.json_bodies import MOST_DECISIONS_BYTES, decode_json
from service.web.library.decisions import DecisionsQuestion
from service.web.schemas import JobQuestion
from service.web.server import MAX_BODY_BYTES

LOCK = {"action": "lock", "identity": 1}
PROBLEM = "application/problem+json"


@pytest.fixture
def library(store: Store) -> Moderated:
    """Two people with six and five pictures, as identities 1 and 2."""
    found = Moderated(store)
    for person, count in ((1, 6), (2, 5)):
        found.add(person, count=count)
    found.group()
    return found


def grown(tx: Connection, many: int) -> None:
    """Give identity 1 so many further faces, each in a picture of its own."""
    picture = {"sha1": "0" * 40, "size_bytes": 1, "width": 1000, "height": 1000}
    tx.execute(insert(t.contents), [{"sha256": f"{100 + n:064x}", **picture} for n in range(many)])
    like = dict(tx.execute(select(t.faces).limit(1)).mappings().one())
    like |= {"x1": 1.0, "y1": 1.0, "x2": 200.0, "y2": 200.0}
    tx.execute(insert(t.faces), [{**like, "face_id": 1000 + n, "sha256": f"{100 + n:064x}"} for n in range(many)])
    member = {"identity": 1, "distance": 0.3, "how": "matched"}
    tx.execute(insert(t.memberships), [{"face_id": 1000 + n, **member} for n in range(many)])


def scene_of(library: Moderated, folder: Path) -> Scene:
    scene = Scene()
    own = Settings(data_dir=folder, export_dir=folder / "exports")
    own.export_dir.mkdir(exist_ok=True)
    scene.library = library_reads(library.store, own, scene.board)
    scene.answers = kept(library.store, lambda: NOON)
    scene.decisions = ApiDecisions(
        library.store,
        ExportTree(own.export_dir),
        own.data_dir / "crops",
        ReferenceFolder(own.data_dir / "references"),
        lambda: NOON,
    ).calls()
    return scene


@pytest.fixture
async def client(library: Moderated, tmp_path: Path) -> AsyncIterator[ClientSession]:
    async with visit(scene_of(library, tmp_path)) as found:
        yield found


@asynccontextmanager
async def posted(client: ClientSession, path: str, body: Any = None, **headers: str) -> AsyncIterator[tuple[int, Any]]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(f"/api/decisions{path}", json=body, headers=BEARER | sent) as answer:
        assert answer.content_type == ("application/json" if answer.status == 200 else PROBLEM)
        yield answer.status, await answer.json()


async def asked(client: ClientSession, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    async with posted(client, path, body, **headers) as answer:
        return answer


async def tag_of(client: ClientSession, number: int) -> str:
    async with client.get(f"/api/identities/{number}", headers=BEARER) as answer:
        return answer.headers["ETag"]


async def test_a_batch_is_made_in_one_step_and_listed_with_its_author_and_reason(
    library: Moderated, client: ClientSession
) -> None:
    batch = {"decisions": [{"action": "label", "identity": 1, "label": "Zoe"}, LOCK], "reason": "complete"}
    status, preview = await asked(client, "/preview", batch)
    assert (status, preview["decisions"], preview["kinds"]) == (200, [], ["label", "lock"])
    assert library.records() == []
    status, made = await asked(client, "", batch)
    assert (status, made["decisions"], made["effect"]) == (200, [1, 2], preview["effect"])
    first, second = library.records()
    assert (first.made_by, first.made_from, first.reason) == ("token", "api", "complete")
    assert first.batch == second.batch
    async with client.get("/api/decisions?limit=1", headers=BEARER) as answer:
        page = await answer.json()
    (newest,) = page["decisions"]
    assert (newest["id"], newest["kind"], newest["made_from"], newest["reason"]) == (2, "lock", "api", "complete")
    async with client.get(f"/api/decisions?cursor={page['next']}", headers=BEARER) as answer:
        assert [one["id"] for one in (await answer.json())["decisions"]] == [1]
    async with client.get("/api/decisions?identity=2", headers=BEARER) as answer:
        assert await answer.json() == {"decisions": [], "next": None}


async def test_of_a_batch_with_one_impossible_decision_none_is_made(library: Moderated, client: ClientSession) -> None:
    status, problem = await asked(client, "", {"decisions": [LOCK, {"action": "lock", "identity": 99}]})
    assert (status, problem["reason"]) == (404, "not_found")
    assert "99" in problem["detail"]
    assert library.records() == []


async def test_to_forget_a_person_takes_the_number_twice_and_answers_what_went(
    library: Moderated, client: ClientSession
) -> None:
    ask = {"action": "forget", "identity": 2, "confirm": 1}
    assert (await asked(client, "", {"decisions": [ask]}))[0] == 400
    assert (await asked(client, "", {"decisions": [{**ask, "confirm": 2}, LOCK]}))[0] == 400
    status, _ = await asked(client, "", {"decisions": [{"action": "forget", "identity": 2}]})
    assert status == 400
    body = {"decisions": [{**ask, "confirm": 2}]}
    status, preview = await asked(client, "/preview", body)
    assert (status, preview["erased"]["faces"]) == (200, 5)
    status, made = await asked(client, "", body, Idempotency_Key="forget")
    assert (status, made["erased"], made["remark"]) == (200, preview["erased"], "")
    assert (await asked(client, "", body, Idempotency_Key="forget"))[1] == made
    assert (await asked(client, "", body))[0] == 410
    assert (await asked(client, f"/{made['decisions'][0]}/undo", {}))[0] == 410
    assert set(library.store.read_now(all_memberships).values()) == {1}


async def test_undo_and_redo(library: Moderated, client: ClientSession) -> None:
    await asked(client, "", {"decisions": [LOCK]})
    assert (await asked(client, "/1/undo", {"reason": "a slip"}))[0] == 200
    assert library.records()[1].reason == "a slip"
    status, problem = await asked(client, "/1/undo")
    assert (status, problem["detail"]) == (409, "decision 1 is undone already")
    assert (await asked(client, "/1/redo"))[1]["effect"]["settings"] == [[1, "lock"]]
    for path in ("/9/undo", "/0/undo", "/x/redo"):
        assert (await asked(client, path))[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"decisions": []}, 400, "decisions"),
        ({"decisions": [LOCK] * 101}, 400, "decisions"),
        ({"decisions": [{"action": "praise"}]}, 400, "praise"),
        ({"decisions": [{"action": "lock", "identity": 1, "colour": 2}]}, 400, "colour"),
        ({"decisions": [LOCK], "reason": "x" * 2001}, 400, "reason"),
        ({"decisions": [LOCK], "reason": "a\0b"}, 400, "character 0"),
        ({"decisions": [{"action": "move", "faces": [1], "into": 2}]}, 423, "locked"),
        ({"decisions": [{"action": "lock", "identity": 2}]}, 409, "locked already"),
        ({"decisions": [{"action": "confirm", "faces": [99999]}]}, 404, "99999"),
        (None, 400, "`decisions`"),
    ],
)
async def test_a_refusal_is_a_problem_that_names_the_cause(
    library: Moderated, client: ClientSession, body: Any, status: int, told: str
) -> None:
    library.decide(LockIdentity(identity=2))
    for path in ("", "/preview"):
        found, problem = await asked(client, path, body)
        assert (found, problem["status"]) == (status, status)
        assert told in problem["detail"]
    assert len(library.records()) == 1


@pytest.mark.parametrize("kind", [DecisionsQuestion, JobQuestion])
def test_a_body_nested_without_end_is_refused(kind: Any) -> None:
    for body in (b'{"x":' + b"[" * 60_000, b'{"decisions":[{"x":' + b"[" * 60_000, b'{"kind":"\\u0000"}'):
        with pytest.raises(RequestError) as error:
            decode_json(body, kind)
        assert error.value.status == 400
    with pytest.raises(RequestError, match="body is wrong"):
        decode_json(b'{"kind":"a\\\\u0000","decisions":1}', kind)


# the same request twice


async def test_a_repeated_request_is_done_once_and_answered_alike_after_a_restart(
    library: Moderated, client: ClientSession, tmp_path: Path
) -> None:
    body, key = {"decisions": [LOCK]}, {"Idempotency_Key": "k-1"}
    first = await asked(client, "", body, **key)
    assert first[0] == 200
    assert await asked(client, "", body, **key) == first
    async with visit(scene_of(library, tmp_path)) as another:
        assert await asked(another, "", body, **key, If_Match='"old"') == first, "before it is compared with ETags"
    assert len(library.records()) == 1
    status, problem = await asked(client, "", {"decisions": [LOCK], "reason": "x"}, **key)
    assert (status, problem["reason"]) == (422, "key_used")
    assert (await asked(client, "/1/undo", None, **key))[0] == 422
    assert (await asked(client, "", body))[0] == 409, "without a key it is another request"


@pytest.mark.parametrize("many", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
async def test_a_decision_names_as_many_faces_as_a_person_has(
    library: Moderated, client: ClientSession, many: int
) -> None:
    library.store.write_now(grown, many)
    by_place = [{"sha256": f"{100 + n:064x}", "box": {"x1": 1, "y1": 1, "x2": 200, "y2": 200}} for n in range(many)]
    large = json.dumps({"decisions": [{"action": "not_for_sets", "faces": by_place}]}).encode()
    assert len(large) > 3 * MAX_BODY_BYTES
    headers = BEARER | {"Content-Type": "application/json"}
    async with client.post("/api/decisions/preview", data=io.BytesIO(large), headers=headers) as answer:
        assert answer.status == 200
    body = {"decisions": [{"action": "reject", "faces": list(range(1000, 1000 + many))}]}
    status, made = await asked(client, "", body, Idempotency_Key="many")
    assert (status, made["effect"]["released"]) == (200, many)
    endless = io.BytesIO(b" " * (MOST_DECISIONS_BYTES + 1))
    async with client.post("/api/decisions", data=endless, headers=headers) as answer:
        assert answer.status == 413


async def test_a_repeated_request_for_a_sync_starts_one(library: Moderated, tmp_path: Path) -> None:
    scene = scene_of(library, tmp_path)
    key = BEARER | {"Idempotency-Key": "k"}
    async with visit(scene) as client:
        for _ in range(2):
            async with client.post("/api/jobs", json={"kind": "faces"}, headers=key) as answer:
                assert (answer.status, await answer.json()) == (202, {"result": "accepted", "id": 42})
        async with client.post("/api/jobs", json={"kind": "full"}, headers=key) as answer:
            assert answer.status == 422
        assert (await asked(client, "", {"decisions": [LOCK]}, Idempotency_Key="k"))[0] == 422
        async with client.post("/api/jobs", json={"kind": "faces"}, headers=BEARER) as answer:
            assert answer.status == 409
    assert scene.wishes == [("faces", None)]


async def test_many_at_once_under_one_key_are_one(library: Moderated, client: ClientSession) -> None:
    body = {"decisions": [{"action": "split", "faces": [1, 2]}]}
    answers = await asyncio.gather(*(asked(client, "", body, Idempotency_Key="k") for _ in range(8)))
    assert {status for status, _ in answers} == {200}
    assert {json.dumps(answer) for _, answer in answers} == {json.dumps(answers[0][1])}
    assert len(library.records()) == 1


async def test_a_refusal_is_not_kept_under_its_key(library: Moderated, client: ClientSession) -> None:
    library.decide(LockIdentity(identity=1))
    assert (await asked(client, "", {"decisions": [LOCK]}, Idempotency_Key="k"))[0] == 409
    library.decide(LockIdentity(identity=1, is_on=False))
    assert (await asked(client, "", {"decisions": [LOCK]}, Idempotency_Key="k"))[0] == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
async def test_a_strange_key_is_refused(client: ClientSession, key: str) -> None:
    assert (await asked(client, "", {"decisions": [LOCK]}, Idempotency_Key=key))[0] == 400


def test_kept_answers_are_bounded_by_number_and_age(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_KEPT >= 100
    monkeypatch.setattr(kept_answers, "MOST_KEPT", 3)
    for number in range(6):
        store.write_now(keep_answer, Key(f"k{number}", "d"), b"%d" % number, NOON)
    assert [store.read_now(kept_answer, Key(f"k{number}", "d")) for number in (2, 3, 5)] == [None, b"3", b"5"]
    store.write_now(keep_answer, Key("new", "d"), b"", NOON + KEPT_FOR + timedelta(seconds=1))
    assert store.read_now(_count) == 1


def _count(tx: Connection) -> int:
    return tx.scalar(select(func.count()).select_from(t.kept_answers)) or 0


# two tabs


async def test_a_tab_that_saw_an_older_identity_is_told_what_changed(library: Moderated, client: ClientSession) -> None:
    seen, other = await tag_of(client, 1), await tag_of(client, 2)
    name = {"decisions": [{"action": "label", "identity": 1, "label": "Zoe"}]}
    assert (await asked(client, "", name, If_Match=seen))[0] == 200
    rename = {"decisions": [{"action": "label", "identity": 1, "label": "Ada"}]}
    for stale in (seen, f"{seen}, {other}", f"W/{await tag_of(client, 1)}", "nonsense"):
        status, problem = await asked(client, "", rename, If_Match=stale)
        assert (status, problem["reason"]) == (412, "changed")
        (changed,) = problem["changed"]
        assert changed["etag"] == await tag_of(client, 1)
        assert changed["now"]["identity"]["label"] == "Zoe"
        assert changed["latest"]["body"]["label"] == "Zoe"
    assert len(library.records()) == 1
    assert (await asked(client, "", rename, If_Match=changed["etag"]))[0] == 200
    assert (await asked(client, "/1/undo", None, If_Match="*"))[0] in {200, 409}


async def test_every_identity_that_changes_needs_its_tag(library: Moderated, client: ClientSession) -> None:
    move = {"decisions": [{"action": "move", "faces": [library.face("p0")], "into": 2}]}
    status, problem = await asked(client, "", move, If_Match=await tag_of(client, 2))
    assert (status, [one["number"] for one in problem["changed"]]) == (412, [1])
    both = f"{await tag_of(client, 1)}, {await tag_of(client, 2)}"
    assert (await asked(client, "", move, If_Match=both))[0] == 200
    merge = {"decisions": [{"action": "merge", "numbers": [2], "into": 1}]}
    assert (await asked(client, "", merge, If_Match=both))[0] == 412
    split = {"decisions": [{"action": "split", "faces": [library.face("p1")]}]}
    assert (await asked(client, "", split, If_Match=await tag_of(client, 1)))[0] == 200, "a new identity has no tag"


def test_what_was_decided_between_the_look_and_the_write_stops_the_write(library: Moderated) -> None:
    by = Author("token", "api")
    library.decide(LockIdentity(identity=1))
    rename = [NameIdentity(identity=1, label="Ada")]
    assert library.store.write_now(decide_once, rename, by, NOON, key=Key("k", "d"), after=0) is None
    assert library.store.write_now(decide_once, rename, by, NOON, key=Key("k", "d"), after=1) is not None


async def test_one_of_two_tabs_at_once_wins(library: Moderated, client: ClientSession) -> None:
    seen = await tag_of(client, 1)
    names = [{"decisions": [{"action": "label", "identity": 1, "label": f"N{number}"}]} for number in range(6)]
    answers = await asyncio.gather(*(asked(client, "", name, If_Match=seen) for name in names))
    assert sorted(status for status, _ in answers) == [200, *[412] * 5]
    assert len(library.records()) == 1


# exports


async def test_exports_go_at_once_and_a_repeated_request_removes_what_a_full_disk_left(
    library: Moderated, client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"identity": 1, "faces": 3}
    library.store.write_now(
        exports.record_export, "faceset_001", digest="d", entry=entry, identity=1, made_by="sync", now=NOON
    )

    def refuse(*_: object) -> bool:
        raise SetupError("the disk is full")

    body = {"decisions": [{"action": "never_export", "identity": 1}]}
    with monkeypatch.context() as patched:
        patched.setattr(ExportTree, "remove_directory", refuse)
        status, made = await asked(client, "", body, Idempotency_Key="k")
    assert (status, made["decisions"]) == (200, [1])
    assert "the disk is full" in made["remark"]
    status, again = await asked(client, "", body, Idempotency_Key="k")
    assert (status, again) == (200, made | {"remark": ""})
    assert library.store.read_now(exports.recorded) == {}


# who may call


async def test_a_write_by_cookie_comes_from_our_own_pages_and_one_by_token_from_anywhere(
    library: Moderated, client: ClientSession
) -> None:
    evil = {"Origin": "http://evil.test", "Sec-Fetch-Site": "cross-site"}
    async with client.post("/login", data={"token": TOKEN}, allow_redirects=False) as answer:
        assert answer.status == 303
    for path in ("", "/preview", "/1/undo", "/1/redo"):
        for headers in (evil, {"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}):
            async with client.post(f"/api/decisions{path}", json={"decisions": [LOCK]}, headers=headers) as answer:
                assert (answer.status, answer.content_type) == (403, PROBLEM)
    assert library.records() == []
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        body = json.dumps({"decisions": [LOCK]})
        async with client.post("/api/decisions", data=body, headers={"Content-Type": kind}) as answer:
            assert answer.status == 415, "the types that a form of another site can send"
    own = {"Sec-Fetch-Site": "same-origin"}
    async with client.post("/api/decisions", json={"decisions": [LOCK]}, headers=own) as answer:
        assert answer.status == 200
    client.cookie_jar.clear()
    async with client.post("/api/decisions/1/undo", headers=own) as answer:
        assert answer.status == 401
    async with client.post("/api/decisions/1/undo", headers=BEARER | evil) as answer:
        assert answer.status == 200


async def test_no_name_and_no_reason_is_in_the_log(client: ClientSession) -> None:
    with structlog.testing.capture_logs() as lines:
        body = {"decisions": [{"action": "label", "identity": 1, "label": "Zoe"}], "reason": "told by Ada"}
        assert (await asked(client, "", body))[0] == 200
    assert [line["event"] for line in lines] == ["decided"]
    assert "Zoe" not in str(lines)
    assert "Ada" not in str(lines)
