"""The pages of syncs and exports, and of what failed in them: lists, one job, a start, and a cancellation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from service.web.context import CONTEXT
from service.web.library.identities import Text
from service.web.library.service import FailuresQuery, JobsQuery
from service.web.pages import status
from service.web.pages.failure_words import reason_words
from service.web.pages.shell import render_page
from service.web.parameters import number_in, read_query
from service.web.routes import Answer, Route
from service.web.viewers import library_of

PLACE = "/syncs"
FAILURES_OF_A_PAGE = 50

Notice = Literal["", "accepted", "already_running", "ending", "ended"]
NOTICES: Mapping[str, str] = status.NOTICES | {
    "ending": "The job ends between two items. Nothing that is done is lost, and the next one goes on from there.",
    "ended": "That job has ended already.",
}


@dataclass(frozen=True, slots=True)
class KindWords:
    """A kind of job: the words of the button that starts it, and what it does."""

    button: str
    meaning: str


KINDS: Mapping[str, KindWords] = {
    "incremental": KindWords("Sync now", "reads what is new since the last sync"),
    "faces": KindWords("Read faces", "also asks for the faces of all pictures again"),
    "full": KindWords("Full sync", "lists everything, and so finds what was deleted"),
    "export": KindWords("Write face sets", "brings the face sets up to date with your decisions"),
}


class SyncsQuery(JobsQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs are shown."""

    notice: Annotated[Notice, msgspec.Meta(description="what became of a request")] = ""


class FailedQuery(FailuresQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which failures are shown."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="the most entries of the page")] = FAILURES_OF_A_PAGE
    reason: Annotated[Text, msgspec.Meta(description="of this reason alone")] = ""


async def show_syncs(request: web.Request) -> web.StreamResponse:
    query, library = read_query(request, SyncsQuery), library_of(request)
    jobs = await library.jobs(JobsQuery(limit=query.limit, cursor=query.cursor))
    failed = await library.failures(FailuresQuery(limit=1))
    view = {
        "query": query,
        "jobs": jobs.jobs,
        "next_sync_at": jobs.next_sync_at,
        "next": None if jobs.next is None else str(request.rel_url.update_query(cursor=jobs.next, notice="")),
        "running": next((job for job in jobs.jobs if job.outcome is None), None),
        "reasons": failed.by_reason,
        "failed": sum(one.count for one in failed.by_reason),
        "sources": await library.source_names(),
        "notice": NOTICES.get(query.notice, ""),
        "kinds": KINDS,
        "place": PLACE,
        **_words(),
    }
    return await render_page(request, "syncs.html", view)


async def show_job(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "job")
    job = await library_of(request).job(number)
    if job is None:
        raise RequestError(f"There is no job {number}.", status=404)
    return await render_page(request, "sync.html", {"job": job, **_words()})


async def show_failures(request: web.Request) -> web.StreamResponse:
    query = read_query(request, FailedQuery)
    found = await library_of(request).failures(query)
    view = {
        "query": query,
        "found": found,
        "next": None if found.next is None else str(request.rel_url.update_query(cursor=found.next)),
        **_words(),
    }
    return await render_page(request, "failures.html", view)


async def cancel_from_form(request: web.Request) -> web.StreamResponse:
    """End a job from the button of its page, and lead back to the list."""
    number, context = number_in(request, "job"), request.app[CONTEXT]
    if await library_of(request).job(number) is None:
        raise RequestError(f"There is no job {number}.", status=404)
    notice = "ending" if context.cancel_job(number) else "ended"
    raise web.HTTPSeeOther(f"{context.base_path}{PLACE}?notice={notice}")


def _words() -> Mapping[str, object]:
    return {"now": datetime.now(UTC), "reason_words": reason_words}


_PAGE = {200: Answer("The page", media_type="text/html"), 303: Answer("To the login", redirects=True)}
_NO_JOB = {404: Answer("No such job", media_type="text/html")}

ROUTES = (
    Route(
        method="GET",
        path=PLACE,
        handler=show_syncs,
        summary="The page of all syncs and exports, and of what failed",
        query=SyncsQuery,
        answers=_PAGE,
    ),
    Route(
        method="GET",
        path=f"{PLACE}/failures",
        handler=show_failures,
        summary="The page of all failures, or of those of one reason",
        query=FailedQuery,
        answers=_PAGE,
    ),
    Route(
        method="GET",
        path=f"{PLACE}/{{job}}",
        handler=show_job,
        summary="The page of one sync or export",
        answers=_PAGE | _NO_JOB,
    ),
    Route(
        method="POST",
        path=f"{PLACE}/{{job}}/cancel",
        handler=cancel_from_form,
        summary="End a job from its page",
        answers={303: Answer("To the list, which says what became of it", redirects=True)}
        | {404: Answer("No such job", body=ErrorBody)},
    ),
)
