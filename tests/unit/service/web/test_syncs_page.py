"""The pages of syncs, exports and failures."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from invented_reads import NOBODY
from web_scene import BEARER, HTML, Scene, busy_scene, visit

from service.progress import JobKind, StageProgress
from service.store.embedding_work import WAITING
from service.store.failures import AT_CRASH, CRASHES_EMBEDDER, OWN_EXPORT, TOO_SLOW, UNAVAILABLE
from service.sync.unread import WORDS
from service.web import examples
from service.web.library.service import FailuresQuery, Job, JobsAnswer, JobsQuery
from service.web.pages.failure_words import REASONS, reason_words
from service.web.pages.syncs import KINDS
from service.web.schemas import FailuresAnswer, ReasonCount

BROWSER = {**BEARER, **HTML}
ROOT = Path(__file__).parents[4]
OF_COMMANDS = {"not_a_file", "changed_sidecar", "unreadable_sidecar"}
"""Reasons that only commands have, which print their messages at once."""


def scene_with(*jobs: Job, failures: FailuresAnswer = examples.FAILURES) -> Scene:
    async def listed(query: JobsQuery) -> JobsAnswer:
        del query
        return JobsAnswer(jobs=jobs, next_sync_at=datetime.now(UTC) + timedelta(minutes=5), next="more")

    async def failed(query: FailuresQuery) -> FailuresAnswer:
        del query
        return failures

    scene = Scene()
    scene.library = replace(scene.library, jobs=listed, failures=failed)
    return scene


DONE = examples.JOBS.jobs[0]
RUNNING = msgspec.structs.replace(
    DONE,
    id=42,
    kind="full",
    started_at=datetime.now(UTC),
    ended_at=None,
    outcome=None,
    stages=(StageProgress(stage="embed", state="running", done=204, total=980, failed=2),),
)


async def page_of(scene: Scene, path: str) -> str:
    async with visit(scene) as client, client.get(path, headers=BROWSER) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def test_jobs_are_listed_with_what_came_of_them_and_lead_to_their_pages() -> None:
    page = await page_of(scene_with(RUNNING, DONE), "/syncs")
    assert '<a href="/syncs/41">Sync 41</a>' in page
    assert "21 faces" in words_of(page)
    assert "The next sync" not in page, "one is running"
    assert "Job 42 is running." in words_of(page)
    assert "204 of 980, 2 failed" in words_of(page)
    assert 'action="/syncs/42/cancel"' in page
    assert 'href="/syncs?cursor=more&amp;notice="' in page


async def test_failures_are_counted_by_reason_with_what_to_do() -> None:
    page = await page_of(scene_with(DONE), "/syncs")
    assert '<a href="/syncs/failures?reason=corrupt">Damaged picture</a>' in page
    assert REASONS["corrupt"].advice in page


async def test_an_empty_page_says_what_to_do() -> None:
    scene = scene_with(failures=FailuresAnswer(total=0, by_reason=(), failures=()))
    words = words_of(await page_of(scene, "/syncs"))
    assert "There was none yet. Start one, or wait for the schedule." in words
    assert "Nothing failed." in words
    assert "Nothing failed." in words_of(await page_of(scene, "/syncs/failures"))
    assert "Nothing failed for this reason." in words_of(await page_of(scene, "/syncs/failures?reason=corrupt"))


async def test_every_failure_can_be_reached_with_its_message() -> None:
    told = msgspec.structs.replace(examples.FAILURES, total=1234, next="more")
    page = await page_of(scene_with(failures=told), "/syncs/failures?reason=corrupt")
    words = words_of(page)
    assert "Damaged picture 1,234" in words
    assert "IMG_2041.jpg" in words
    assert "The file ends in the middle of the picture." in words
    assert REASONS["corrupt"].advice in words
    assert 'href="/syncs/failures?reason=corrupt&amp;cursor=more"' in page


async def test_a_reason_of_another_version_is_shown_as_text() -> None:
    evil = "<script>alert(1)</script>&x=1"
    told = FailuresAnswer(total=1, by_reason=(ReasonCount(reason=evil, count=1),), failures=())
    for path in ("/syncs", "/syncs/failures"):
        page = await page_of(scene_with(failures=told), path)
        assert "<script>alert" not in page
        assert "reason=%3Cscript%3Ealert%281%29%3C/script%3E%26x%3D1" in page
    assert reason_words("new_reason").title == "New reason"


def test_the_message_of_a_sync_has_words_for_every_reason_of_a_picture() -> None:
    of_references = {"lost", "no_crop", "no_face"}
    assert WORDS.keys() == REASONS.keys() - of_references | {WAITING}
    assert not [words for words in WORDS.values() if "_" in words or "corrupt" in words]


async def test_one_job_has_a_page() -> None:
    scene = Scene()
    words = words_of(await page_of(scene, "/syncs/41"))
    assert "Sync 41" in words
    assert "21 faces" in words
    assert "anna" in words
    async with visit(scene) as client:
        for path in (f"/syncs/{NOBODY}", "/syncs/x"):
            async with client.get(path, headers=BROWSER) as answer:
                assert answer.status == 404


@pytest.mark.parametrize(("kind", "source"), [("incremental", ""), ("full", "anna"), ("export", "")])
async def test_a_job_is_started_from_the_page_and_leads_back_to_it(kind: JobKind, source: str) -> None:
    scene = Scene()
    form = {"kind": kind, "source": source, "back": "/syncs"}
    async with visit(scene) as client:
        async with client.post("/sync", data=form, headers=BROWSER) as answer:
            assert answer.url.path_qs == "/syncs?notice=accepted"
            assert "The job is starting." in await answer.text()
        async with client.post("/sync", data=form | {"back": "//evil.example"}, headers=BROWSER) as answer:
            assert answer.status == 400
    assert scene.wishes == [(kind, source or None)]


async def test_a_job_is_cancelled_from_the_page_once() -> None:
    scene = busy_scene()
    async with visit(scene) as client:
        async with client.post("/syncs/42/cancel", headers=BROWSER) as answer:
            assert answer.url.path_qs == "/syncs?notice=ending"
            assert "Nothing that is done is lost" in await answer.text()
        async with client.post("/syncs/42/cancel", headers=BROWSER) as answer:
            assert "That job has ended already." in await answer.text()
        async with client.post(f"/syncs/{NOBODY}/cancel", headers=BROWSER) as answer:
            assert answer.status == 404
    assert scene.board.now.run_id is None


async def test_the_status_page_leads_to_what_it_counts() -> None:
    page = await page_of(busy_scene(), "/")
    assert '<a href="/people">132</a>' in page
    assert 'href="/syncs/failures?reason=too_large"' in page
    assert '<a href="/syncs">Recent syncs and exports</a>' in page


def test_every_kind_of_job_has_words() -> None:
    assert tuple(KINDS) == get_args(JobKind)


def reasons_in(tree: ast.AST) -> Iterator[str]:
    """The reasons that a module gives to errors as they stand in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {
            "ItemError",
            "AnswerError",
            "of_page",
        }:
            yield from (
                word.value.value
                for word in node.keywords
                if word.arg == "reason" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str)
            )


def test_every_reason_of_the_program_has_words_and_advice() -> None:
    found = {UNAVAILABLE, AT_CRASH, CRASHES_EMBEDDER, TOO_SLOW, OWN_EXPORT, "not_json", "link_outside"}
    for package in ("service", "embedder", "immich_facesets"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "reason=" in text:
                found |= set(reasons_in(ast.parse(text)))
    assert len(found) > 30
    assert found - OF_COMMANDS == REASONS.keys()
