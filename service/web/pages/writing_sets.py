"""The buttons that write face sets, and what pages show while they are written."""

from typing import Annotated, Any

import msgspec
from aiohttp import web
from yarl import URL

from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from service.web.auth import local_path
from service.web.context import CONTEXT
from service.web.exportable_people import exportable_people
from service.web.forms import read_form
from service.web.routes import Answer, Route

_REFUSED = "already_running"
NOTICES = {
    "accepted": "The face sets are being written.",
    _REFUSED: "A job is running already. If the face sets are not up to date at its end, write them then.",
}
Notice = Annotated[str, msgspec.Meta(max_length=20, description="what became of the request to write")]


async def write_facesets(request: web.Request) -> web.StreamResponse:
    """Start an export of everybody, or of one person, and lead back to the page."""
    context, form = request.app[CONTEXT], await read_form(request)
    back = local_path(form.get("back", ""), context.base_path) if form.get("back") else f"{context.base_path}/facesets"
    people = await exportable_people(request, _numbers_in(form.get("person", "")))
    notice = _REFUSED if context.request_job("export", None, people) is None else "accepted"
    raise web.HTTPSeeOther(URL(back, encoded=True).update_query(notice=notice))


def writing_view(request: web.Request) -> dict[str, Any]:
    """Return what the templates need about a job that is running."""
    progress = request.app[CONTEXT].board.now
    stage = next((one for one in progress.stages if one.stage == "publish"), None)
    is_running = progress.run_id is not None
    is_refused = request.query.get("notice") == _REFUSED
    return {
        "writing": stage if is_running else None,
        "job": progress.kind if is_running else None,
        "refused": NOTICES[_REFUSED] if is_refused else "",
    }


def _numbers_in(text: str) -> tuple[int, ...]:
    if not text:
        return ()
    if not (text.isascii() and text.isdigit() and len(text) < len(str(2**31))):
        raise RequestError("the person must be a number", status=400)
    return (int(text),)


ROUTES = (
    Route(
        method="POST",
        path="/facesets",
        handler=write_facesets,
        summary="Write the face sets now, and lead back to the page",
        form={"back": "The page to go back to", "person": "The number of the only person whose face sets are written"},
        answers={
            303: Answer("Back to the page", redirects=True),
            400: Answer("A malformed request", body=ErrorBody),
            404: Answer("No such person", body=ErrorBody),
            409: Answer("A person who is never exported", body=ErrorBody),
        },
    ),
)
