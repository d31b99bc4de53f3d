"""HTML pages, with and without scripts."""

import re
from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np
import pytest
from mixtures import table_of
from web_scene import BEARER, HTML, Scene, busy_scene, invented_facts, visit

from immich_facesets.calibration.thresholds import in_use, measure_thresholds
from immich_facesets.faces import Gate
from immich_facesets.spaces import OperatingPoints
from service.progress import JobKind, Progress, ProgressBoard, RemoteState
from service.web import formatting
from service.web.pages.static_files import FOLDER
from service.web.schemas import Failure, Objection, Readiness, ReasonCount, Run, StatusFacts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BROWSER = {**BEARER, **HTML}


async def page_of(scene: Scene, path: str = "/") -> str:
    async with visit(scene) as client, client.get(path, headers=BROWSER) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        return await answer.text()


async def test_the_status_page_tells_everything_without_scripts() -> None:
    page = await page_of(busy_scene())
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for phrase in (
        "Reading faces",
        "204 of 980",
        "2 failed",
        "Immich Connected",
        "41,556 Faces",
        "The file ends in the middle of the picture.",
        "Damaged picture 3",
        "Immich answered 503 twelve times in a row",
        "insightface models: non-commercial research only",
        "384 GiB",
    ):
        assert phrase in words or " ".join(reversed(phrase.split(" ", 1))) in words, phrase
    assert 'http-equiv="refresh"' in page


async def test_a_stage_shows_how_long_it_still_takes() -> None:
    scene = busy_scene()
    assert "left" not in await page_of(scene)
    scene.board.update_stage("embed", note="reading", seconds_left=743.0)
    assert "reading, about 12 min left" in await page_of(scene)


async def test_a_page_has_no_inline_script_or_style() -> None:
    page = await page_of(busy_scene())
    assert "<style" not in page
    assert " style=" not in page
    assert re.search(r"\son\w+=", page) is None
    scripts = re.findall(r"<script[^>]*>([^<]*)</script>", page)
    assert scripts
    assert not any(scripts)


async def test_what_others_wrote_is_shown_as_text() -> None:
    evil = "<script>alert(1)</script>"
    facts = StatusFacts(
        failures=(
            Failure(
                stage=evil,
                source=evil,
                name=evil,
                item=evil,
                reason=evil,
                message=evil,
                tries=1,
                retry_at=datetime.now(UTC),
                path=f'"{evil}',
            ),
        ),
        failures_by_reason=(ReasonCount(reason=evil, count=1),),
        guardrails=(evil,),
        runs=(Run(id=1, kind=evil, started_at=datetime.now(UTC), outcome=evil, message=evil, counts={evil: 1}),),
    )
    scene = Scene(facts=facts, readiness=Readiness(objections=(Objection(message=evil, advice=evil),)))
    scene.board.update_remote(RemoteState(name=evil, circuit="open", message=evil, advice=evil))
    page = await page_of(scene)
    assert "<script>" not in page
    assert page.lower().count("&lt;script&gt;alert(1)") >= 12


async def test_people_and_the_review_of_a_warning_are_links() -> None:
    told = "people 3 and 8 look alike: answer it in the review", "of person 5 <b>look</b>"
    page = await page_of(Scene(facts=StatusFacts(guardrails=told)))
    assert (
        'People <a href="/people/3">3</a> and <a href="/people/8">8</a> look alike: answer it in the <a href="/review">'
        in page
    )
    assert 'Of person <a href="/people/5">5</a> &lt;b&gt;look&lt;/b&gt;' in page


async def test_the_distances_in_use_are_drawn_and_said() -> None:
    page = await page_of(busy_scene())
    assert "Moved by -0.025" in page
    assert "Cut in use 0.625" in page
    assert "Default 0.650" in page
    assert "1 in 42,000" in page
    chart = re.search(r'<svg class="chart"[^>]*aria-label="([^"]+)"', page)
    assert chart is not None
    assert "Faces of two people: nine of ten pairs are 0.84 to 1.10 apart." in chart.group(1)


async def test_a_library_with_too_few_pairs_is_told_so_without_a_drawing() -> None:
    nothing = measure_thresholds(table_of(np.zeros((0, 8))), defaults=OperatingPoints(), gate=Gate())
    used = in_use("s", "w600k_r50", nothing, fixed=(), is_wanted=True)
    page = await page_of(Scene(facts=StatusFacts(thresholds=used)))
    assert "The defaults are kept: 0 pairs of people were seen together, too few to measure by." in page
    assert "<figure>" not in page


async def test_an_empty_service_has_a_page_too() -> None:
    page = await page_of(Scene())
    assert "Ready for the first sync" in page
    assert "Nothing failed." in page
    assert "not known before the embedder answers" in page


async def test_a_failure_has_the_name_of_its_file_and_its_path_as_a_hint() -> None:
    page = await page_of(busy_scene())
    path = "/data/upload/anna/3f0d6c1e-8f5b-4a57-9d7b-1d5a3e0c7b11.jpg"
    assert f'<code title="{path}">IMG_2041.jpg</code>' in page
    assert "original:" not in page


async def test_long_lists_are_cut_and_say_so() -> None:
    now = datetime.now(UTC)
    failures = tuple(
        Failure(
            stage="embed", source="a", name=f"{n:03}.jpg", item="a", reason="corrupt", message="", tries=1, retry_at=now
        )
        for n in range(50)
    )
    runs = tuple(Run(id=n, kind="full", started_at=now, ended_at=now, outcome="done") for n in range(50))
    facts = StatusFacts(failures=failures, failures_by_reason=(ReasonCount(reason="corrupt", count=1234),), runs=runs)
    page = await page_of(Scene(facts=facts))
    assert "019.jpg" in page
    assert "020.jpg" not in page
    assert "The latest 20 of 1,234" in page
    assert page.count('class="outcome') == 10


@pytest.mark.parametrize("kind", get_args(JobKind))
async def test_the_buttons_work_without_scripts(kind: JobKind) -> None:
    scene = Scene()
    async with visit(scene) as client:
        async with client.post("/sync", data={"kind": kind}, headers=BROWSER) as answer:
            assert answer.url.path == "/"
            assert "The job is starting." in await answer.text()
        async with client.post("/sync", data={"kind": "full"}, headers=BROWSER) as answer:
            assert "A job is running already." in await answer.text()
        async with client.post("/sync", data={"kind": "half"}, headers=BROWSER) as answer:
            assert answer.status == 400
            assert "incremental, faces, full" in await answer.text()
    assert scene.wishes == [(kind, None)]


async def test_a_remote_that_is_down_is_named_with_what_to_do() -> None:
    scene = Scene()
    scene.board.update_remote(
        RemoteState(
            name="Immich",
            circuit="open",
            failures=12,
            message="It answered 503.",
            advice="Look at its log.",
            next_probe_at=datetime.now(UTC) + timedelta(minutes=4),
        )
    )
    page = await page_of(scene)
    assert "Immich cannot be reached" in page
    assert "Look at its log." in page
    assert "in 4 min" in page
    assert "after 12 failures" in page


async def test_a_remote_that_is_down_is_told_once() -> None:
    down = Objection(message="It answered 503.", advice="Look at its log.")
    scene = Scene(readiness=Readiness(objections=(down,)))
    scene.board.update_remote(RemoteState(name="Immich", circuit="open", message=down.message, advice=down.advice))
    page = await page_of(scene)
    assert "Immich cannot be reached" in page
    assert page.count("It answered 503.") == 1
    scene.readiness = Readiness(objections=(down, Objection(message="The key is refused.")))
    page = await page_of(scene)
    assert "Something needs you" in page
    assert "The key is refused." in page


@pytest.mark.parametrize("name", ["pages.css", "live.js", "mark.svg"])
async def test_static_files_are_kept_while_they_stay_the_same(name: str) -> None:
    scene = Scene()
    page = await page_of(scene)
    address = re.search(rf'"(/static/\w+/{re.escape(name)})"', page)
    assert address is not None
    async with visit(scene) as client:
        async with client.get(address[1]) as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
            etag = answer.headers["ETag"]
            kind = {"css": "text/css", "js": "javascript", "svg": "image/svg+xml"}[name.rsplit(".", 1)[1]]
            assert kind in answer.headers["Content-Type"]
            assert answer.headers["Content-Encoding"] == "gzip"
            body = await answer.read()
        async with client.get(address[1], headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            assert await answer.read() == body == (FOLDER / name).read_bytes()
        async with client.get(f"/static/old/{name}", headers={"If-None-Match": etag}) as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (304, "no-cache")


@pytest.mark.parametrize("name", ["..%2fserver.py", "nothing.css", "%2e%2e%2ftemplates%2fbase.html"])
async def test_only_our_static_files_are_served(name: str) -> None:
    async with visit(Scene()) as client, client.get(f"/static/old/{name}") as answer:
        assert answer.status == 404


def run(outcome: str, **counts: int) -> Run:
    ended, began = NOW - timedelta(minutes=12), NOW - timedelta(minutes=13)
    return Run(id=1, kind="full", started_at=began, ended_at=ended, outcome=outcome, counts=counts)


def test_the_headline_tells_the_worst_first() -> None:
    down = Progress(
        remotes=(RemoteState(name="Immich", circuit="open"), RemoteState(name="embedder", circuit="probing"))
    )
    objection = Objection(message="The key is refused.")
    told = formatting.headline(down, run("done"), (objection,), NOW)
    assert (told.tone, told.title) == ("bad", "Something needs you")
    told = formatting.headline(down, run("done"), (), NOW)
    assert (told.tone, told.title) == ("bad", "Immich and embedder cannot be reached")
    told = formatting.headline(Progress(next_sync_at=NOW + timedelta(minutes=48)), run("done"), (), NOW)
    assert told == formatting.Headline("good", "Up to date", "Last sync 12 min ago · Next sync in 48 min")
    for outcome in ("outage", "stopped"):
        told = formatting.headline(Progress(), run(outcome), (), NOW)
        assert (told.tone, told.title) == ("warn", "The last sync did not finish")
    told = formatting.headline(Progress(), run("done", embed_unread=2), (), NOW)
    assert (told.tone, told.title) == ("warn", "2 pictures could not be read")


def test_an_export_waits_for_no_stage_of_a_sync() -> None:
    board = ProgressBoard()
    board.begin(run_id=4, kind="export", started_at=NOW)
    assert formatting.headline(board.now, None, (), NOW).title == "Writing face sets"
    assert [stage.state for stage in board.now.stages] == ["left_out", "left_out", "left_out", "waiting"]
    assert formatting.STAGE_STATES["left_out"] == "Not in this job"
    board.begin(run_id=5, kind="full", started_at=NOW)
    assert formatting.headline(board.now, None, (), NOW).title == "Syncing"
    assert {stage.state for stage in board.now.stages} == {"waiting"}


def test_moments_and_spans_read_like_speech() -> None:
    for seconds, words in [
        (0, "just now"),
        (-4, "just now"),
        (-59.6, "60 s ago"),
        (-12 * 60 - 2, "12 min ago"),
        (3 * 3600 - 1, "in 3 h"),
        (-40 * 3600, "2 d ago"),
    ]:
        assert formatting.relative(NOW + timedelta(seconds=seconds), NOW) == words
    for left, words in [(0.2, "about 1 s left"), (743, "about 12 min left"), (7300, "about 2 h left")]:
        assert formatting.time_left(left) == words
    for seconds, words in [
        (0, "0 s"),
        (59, "59 s"),
        (252, "4 min 12 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ]:
        assert formatting.duration(timedelta(seconds=seconds)) == words
    assert [formatting.size(n) for n in (0, 1023, 1024, 1_500_000, 412_300_000_000)] == [
        "0 B", "1,023 B", "1.0 KiB", "1.4 MiB", "384 GiB",
    ]  # fmt: skip


async def test_the_facts_of_a_real_library_render_every_stage() -> None:
    page = await page_of(Scene(facts=invented_facts(datetime.now(UTC))))
    assert [f'id="stage-{stage}"' in page for stage in ("discover", "embed", "group", "publish")] == [True] * 4
