"""The HTTP API: answers to programs, and error answers."""

import asyncio
import dataclasses
from http import HTTPStatus
from typing import get_args

import msgspec
import pytest
from web_scene import BEARER, HTML, Scene, busy_scene, visit

from immich_facesets.errors import FacesetsError, ItemError, RequestError, SetupError, TransientError
from service.progress import JobKind
from service.web import examples
from service.web.schemas import FailuresAnswer, Objection, Readiness, StatusAnswer


async def test_health_needs_no_token() -> None:
    async with visit(Scene()) as client:
        async with client.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "alive"})
        async with client.head("/healthz") as answer:
            assert answer.status == 200


async def test_readiness_is_open_but_its_reasons_need_the_token() -> None:
    scene = Scene()
    async with visit(scene) as client:
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ready"})
        scene.readiness = Readiness(objections=(Objection(message="The key is refused.", advice="Make a new one."),))
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (503, {"status": "not ready"})
        async with client.get("/readyz", headers=BEARER) as answer:
            assert answer.status == 503
            assert (await answer.json())["objections"] == [
                {"message": "The key is refused.", "advice": "Make a new one."}
            ]


async def test_the_status_is_whole_and_typed() -> None:
    scene = busy_scene()
    async with visit(scene) as client, client.get("/api/status", headers=BEARER) as answer:
        status = msgspec.json.decode(await answer.read(), type=StatusAnswer)
    assert status.facts == scene.facts
    assert status.progress == scene.board.now
    assert (status.version, status.ready) == ("1.2.3", True)


async def test_failures_have_a_route_of_their_own() -> None:
    async with visit(Scene()) as client:
        async with client.get("/api/failures", headers=BEARER) as answer:
            assert msgspec.convert(await answer.json(), FailuresAnswer) == examples.FAILURES
        async with client.get("/api/failures?resaon=corrupt", headers=BEARER) as answer:
            assert answer.status == 400


async def test_a_sync_starts_once() -> None:
    scene = Scene()
    async with visit(scene) as client:
        async with client.post("/api/jobs", headers=BEARER, json={"kind": "full", "source": "anna"}) as answer:
            assert (answer.status, await answer.json()) == (202, {"result": "accepted", "id": 42})
        async with client.post("/api/jobs", headers=BEARER) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (409, "already_running")
    assert scene.wishes == [("full", "anna")]


async def test_a_job_that_cannot_begin_is_answered_with_the_reason() -> None:
    scene = Scene(begins="the database is down")
    async with visit(scene) as client, client.post("/api/jobs", headers=BEARER) as answer:
        problem = await answer.json()
    assert (answer.status, problem["reason"], problem["detail"]) == (503, "not_begun", "the database is down")


async def test_a_running_job_is_cancelled_and_another_is_refused() -> None:
    scene = Scene()
    async with visit(scene) as client:
        async with client.post("/api/jobs", headers=BEARER) as answer:
            assert answer.status == 202
        async with client.post("/api/jobs/42/cancel", headers=BEARER) as answer:
            assert (answer.status, await answer.json()) == (202, {"cancelling": 42})
        async with client.post("/api/jobs/42/cancel", headers=BEARER) as answer:
            assert answer.status == 409
        for number in ("1000", "x", "0"):
            async with client.post(f"/api/jobs/{number}/cancel", headers=BEARER) as answer:
                assert answer.status == 404


async def test_a_sync_without_words_is_incremental_and_of_everything() -> None:
    scene = Scene()
    async with visit(scene) as client, client.post("/api/jobs", headers=BEARER) as answer:
        assert answer.status == 202
    assert scene.wishes == [("incremental", None)]


@pytest.mark.parametrize("kind", get_args(JobKind))
async def test_every_kind_of_sync_can_be_asked_for(kind: JobKind) -> None:
    scene = Scene()
    async with visit(scene) as client:
        async with client.post("/api/jobs", headers=BEARER, json={"kind": kind}) as answer:
            assert answer.status == 202
        async with client.get("/api/openapi.json", headers=BEARER) as answer:
            question = (await answer.json())["components"]["schemas"]["JobQuestion"]
        async with client.get("/", headers=BEARER) as answer:
            page = await answer.text()
    assert scene.wishes == [(kind, None)]
    assert kind in question["properties"]["kind"]["enum"]
    assert f"``{kind}``" in question["description"]
    assert f'name="kind" value="{kind}"' in page


@pytest.mark.parametrize("body", [b"{", b'{"kind": "half"}', b'{"sauce": "anna"}', b"[]", b"\xff\xfe"])
async def test_a_sync_that_makes_no_sense_is_refused(body: bytes) -> None:
    scene = Scene()
    async with visit(scene) as client, client.post("/api/jobs", headers=BEARER, data=body) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (400, "bad_request")
    assert scene.wishes == []


async def test_a_request_of_endless_length_is_refused() -> None:
    async with visit(Scene()) as client, client.post("/api/jobs", headers=BEARER, data=b" " * 100_000) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("trouble", "status", "reason"),
    [
        (TransientError("The database is busy.", retry_after=7), 503, "unavailable"),
        (ItemError("It cannot be read.", reason="corrupt"), 422, "corrupt"),
        (SetupError("The key is refused."), 503, "setup"),
        (RequestError("There is no source 'bob'.", status=404), 404, "not_found"),
        (RequestError("It is locked."), 409, "conflict"),
    ],
)
async def test_each_kind_of_error_has_its_answer(trouble: FacesetsError, status: int, reason: str) -> None:
    scene = Scene(trouble=trouble)
    async with visit(scene) as client:
        async with client.get("/api/status", headers=BEARER) as answer:
            assert answer.status == status
            assert answer.content_type == "application/problem+json"
            assert await answer.json() == {
                "type": "about:blank",
                "title": HTTPStatus(status).phrase,
                "status": status,
                "detail": str(trouble),
                "reason": reason,
            }
            assert answer.headers.get("Retry-After") == ("7" if reason == "unavailable" else None)
        async with client.get("/", headers={**BEARER, **HTML}) as answer:
            assert answer.status == status
            assert answer.content_type == "text/html"
            assert str(trouble).split("'")[0] in await answer.text()


async def test_a_bug_is_logged_with_its_number_and_tells_nothing_else(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(trouble=ZeroDivisionError("the innermost secret"))
    headers = {**BEARER, "X-Request-Id": "number-9"}
    async with visit(scene) as client:
        async with client.get("/api/status", headers=headers) as answer:
            told = await answer.json()
            assert (answer.status, told["reason"]) == (500, "bug")
        async with client.get("/", headers={**headers, **HTML}) as answer:
            page = await answer.text()
    assert "number-9" in told["detail"]
    assert "number-9" in page
    assert "secret" not in told["detail"] + page
    logged = caplog.text + "".join(capsys.readouterr())
    assert "ZeroDivisionError" in logged
    assert "number-9" in logged


async def test_unknown_addresses_and_methods_are_told_in_the_form_that_was_asked_for() -> None:
    async with visit(Scene()) as client:
        async with client.get("/api/nothing", headers=HTML) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (404, "not_found")
        async with client.get("/nothing", headers=HTML) as answer:
            assert answer.status == 404
            assert "<h1" in await answer.text()
        async with client.get("/api/decisions/17/undo", headers=BEARER) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_caller_who_leaves_stops_the_work() -> None:
    scene = Scene()
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def slow_ready() -> Readiness:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return Readiness()

    async with visit(scene, dataclasses.replace(scene.context(), ready=slow_ready)) as client:
        asking = asyncio.create_task(client.get("/readyz").__aenter__())
        await asyncio.wait_for(begun.wait(), 5)
        asking.cancel()
        await asyncio.wait_for(stopped.wait(), 5)
