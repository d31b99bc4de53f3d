"""The status page. Its live updates are rendered by the same templates."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

import aiohttp_jinja2
from aiohttp import web

from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from service.progress import JobKind, Progress
from service.web import formatting
from service.web.context import CONTEXT, WebContext
from service.web.forms import read_form
from service.web.pages.shell import render_page
from service.web.routes import Access, Answer, Route
from service.web.schemas import Objection, Run, StatusFacts
from service.web.viewers import VIEWER

SHOWN_RUNS = 10
BACK = ("/", "/syncs")
"""The pages that start jobs."""

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
    """Show the state of the service; a user has no part in it, and is led to the people."""
    context = request.app[CONTEXT]
    if not request[VIEWER].is_administrator:
        raise web.HTTPSeeOther(f"{context.base_path}/people")
    state = await page_state(context)
    notice = NOTICES.get(request.query.get("notice", ""), "")
    view = status_view(context, context.board.now, state, notice)
    return await render_page(request, "status.html", {"view": view})


async def sync_from_form(request: web.Request) -> web.StreamResponse:
    """Start a job from a button of a page, and lead back to that page."""
    form = await read_form(request)
    asked, back = form.get("kind", "incremental"), form.get("back", BACK[0])
    kind = next((known for known in get_args(JobKind) if known == asked), None)
    if kind is None:
        raise RequestError(f"there is no such kind of sync; there are: {', '.join(get_args(JobKind))}", status=400)
    if back not in BACK:
        raise RequestError(f"a start leads back to one of these: {', '.join(BACK)}", status=400)
    context = request.app[CONTEXT]
    begun = context.request_job(kind, form.get("source") or None, None)
    notice = "already_running" if begun is None else "accepted"
    raise web.HTTPSeeOther(f"{context.base_path}{back}?notice={notice}")


ROUTES = (
    Route(
        method="GET",
        path="/",
        handler=show_status,
        summary="The status page",
        access=Access.USER,
        answers={
            200: Answer("The page", media_type="text/html"),
            303: Answer("To the login, or to the people for a user", redirects=True),
        },
    ),
    Route(
        method="POST",
        path="/sync",
        handler=sync_from_form,
        summary="Start a job from a page",
        form={"kind": " or ".join(get_args(JobKind)), "source": "this source alone", "back": " or ".join(BACK)},
        answers={
            303: Answer("To the page, which says what became of it", redirects=True),
            400: Answer("No such kind of sync, or a malformed request", body=ErrorBody),
            404: Answer("No such source", body=ErrorBody),
        },
    ),
)
