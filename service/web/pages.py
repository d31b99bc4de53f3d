"""The HTML pages. Live updates are rendered by the same templates."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web

from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from immich_facesets.wording import counted
from service.progress import JobKind, Progress
from service.web import formatting, histogram
from service.web.context import CONTEXT, WebContext
from service.web.forms import read_form
from service.web.routes import Access, Answer, Route
from service.web.schemas import Objection, Run, StatusFacts

FOLDER = Path(__file__).parent
SHOWN_RUNS = 10
SHOWN_FAILURES = 20
YEAR_SECONDS = 365 * 24 * 3600

NOTICES = {
    "accepted": "The job is starting.",
    "already_running": "A job is running already.",
}


@dataclass(frozen=True, slots=True)
class PageState:
    """The rarely changing content of the status page, read from the store and reused while only progress changes."""

    facts: StatusFacts
    objections: tuple[Objection, ...]

    @property
    def last_run(self) -> Run | None:
        """The latest run that ended."""
        return next((run for run in self.facts.runs if run.ended_at is not None and run.kind != "export"), None)


async def page_state(context: WebContext) -> PageState:
    facts, readiness = await asyncio.gather(context.status(), context.ready())
    return PageState(facts, readiness.objections)


@dataclass(frozen=True, slots=True)
class StatusView:
    """The complete content of the status page."""

    progress: Progress
    state: PageState
    now: datetime
    version: str
    notice: str = ""

    @property
    def objections(self) -> tuple[Objection, ...]:
        """The objections without those that the state of a connection already shows."""
        shown = {remote.message for remote in self.progress.remotes if remote.circuit != "closed"}
        return tuple(objection for objection in self.state.objections if objection.message not in shown)

    @property
    def headline(self) -> formatting.Headline:
        return formatting.headline(self.progress, self.state.last_run, self.objections, self.now)

    @property
    def runs(self) -> tuple[Run, ...]:
        return self.state.facts.runs[:SHOWN_RUNS]

    @property
    def is_running(self) -> bool:
        return self.progress.run_id is not None


def status_view(context: WebContext, progress: Progress, state: PageState, notice: str = "") -> StatusView:
    return StatusView(progress, state, datetime.now(UTC), context.version, notice)


Part = Literal["progress", "standing"]
"""A part of the status page that is sent live; also the id of its element and the name of its event."""

_TEMPLATES: Mapping[Part, str] = {"progress": "_progress.html", "standing": "_library_status.html"}


def render_part(request: web.Request, part: Part, view: StatusView) -> str:
    return aiohttp_jinja2.render_string(_TEMPLATES[part], request, {"view": view})


async def show_status(request: web.Request) -> web.StreamResponse:
    context = request.app[CONTEXT]
    state = await page_state(context)
    notice = NOTICES.get(request.query.get("notice", ""), "")
    view = status_view(context, context.board.now, state, notice)
    return aiohttp_jinja2.render_template("status.html", request, {"view": view})


async def sync_from_form(request: web.Request) -> web.StreamResponse:
    """Start a sync from the button of the status page, for browsers without scripts."""
    asked = (await read_form(request)).get("kind", "incremental")
    kind = next((known for known in get_args(JobKind) if known == asked), None)
    if kind is None:
        raise RequestError(f"there is no such kind of sync; there are: {', '.join(get_args(JobKind))}", status=400)
    context = request.app[CONTEXT]
    raise web.HTTPSeeOther(f"{context.base_path}/?notice={context.request_job(kind, None)}")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A static file. Its URL contains ``digest``, so that browsers may cache it permanently."""

    path: Path
    digest: str


STATIC = web.AppKey("static", Mapping[str, StaticFile])


def read_static(folder: Path) -> dict[str, StaticFile]:
    return {
        path.name: StaticFile(path, hashlib.sha256(path.read_bytes()).hexdigest()[:12])
        for path in sorted(folder.iterdir())
    }


async def serve_static(request: web.Request) -> web.StreamResponse:
    file = request.app[STATIC].get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    is_current = request.query.get("v") == file.digest
    keep = f"public, max-age={YEAR_SECONDS}, immutable" if is_current else "no-cache"
    return web.FileResponse(file.path, headers={hdrs.CACHE_CONTROL: keep})


def install_pages(app: web.Application) -> None:
    """Set up the templates with their filters and globals."""
    files, base = read_static(FOLDER / "static"), app[CONTEXT].base_path
    app[STATIC] = files
    filters: dict[str, Callable[..., Any]] = {
        "number": formatting.number,
        "counted": counted,
        "spaced": formatting.spaced,
        "size": formatting.size,
        "duration": formatting.duration,
        "relative": formatting.relative,
        "stage_note": formatting.stage_note,
        "exact": formatting.exact,
        "rate": histogram.rate,
        "percent": histogram.percent,
    }
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        filters=filters,
        default_helpers=False,
    )
    environment.globals |= {
        "base": base,
        "static": lambda name: f"{base}/static/{name}?v={files[name].digest}",
        "stage_words": formatting.STAGE_WORDS,
        "stage_state": formatting.stage_state,
        "circuit_states": formatting.CIRCUIT_STATES,
        "chart_of": histogram.chart_of,
        "chart_size": (histogram.WIDTH, histogram.HEIGHT),
        "chart_ticks": histogram.TICKS,
        "outcome_words": formatting.outcome_words,
        "shown_failures": SHOWN_FAILURES,
        "has_login": app[CONTEXT].token is not None,
    }


ROUTES = (
    Route(
        method="GET",
        path="/",
        handler=show_status,
        summary="The status page",
        answers={200: Answer("The page", media_type="text/html"), 303: Answer("To the login", redirects=True)},
    ),
    Route(
        method="POST",
        path="/sync",
        handler=sync_from_form,
        summary="Start a sync from the status page",
        form={"kind": " or ".join(get_args(JobKind))},
        answers={
            303: Answer("To the status page, which says what became of it", redirects=True),
            400: Answer("No such kind of sync, or a malformed request", body=ErrorBody),
        },
    ),
    Route(
        method="GET",
        path="/static/{name}",
        handler=serve_static,
        summary="Styles, scripts and pictures of the pages",
        access=Access.EVERYBODY,
        answers={
            200: Answer("The file", media_type="application/octet-stream"),
            206: Answer("The part that was asked for", media_type="application/octet-stream"),
            304: Answer("Not changed"),
            404: Answer("No such file", body=ErrorBody),
            412: Answer("Changed", body=ErrorBody),
            416: Answer("It has no such part", body=ErrorBody),
        },
    ),
)
