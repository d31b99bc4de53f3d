"""The only conversion of errors to HTTP responses: problem details in the API, else a page for browsers or JSON."""

import aiohttp_jinja2
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from immich_facesets.errors import FacesetsError, ItemError, RequestError, TransientError
from immich_facesets.runtime.health import error_response
from service.web.base_path import is_of_api, outside_base
from service.web.pages.shell import frame_of
from service.web.problems import REASONS, problem_response
from service.web.request_guard import REQUEST_ID, request_id, wants_html
from service.web.viewers import ADMINISTRATOR, VIEWER

log = structlog.get_logger(__name__)

MESSAGES = {
    401: "A token is required: send it as a bearer token, or log in.",
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The request is too large.",
}

NOT_NOW = "This cannot be done now. Try again later, and tell the administrator if it stays so."

TITLES = {
    403: "Not allowed",
    404: "Nothing here",
    422: "That cannot be read",
    500: "Something went wrong",
    503: "Not available now",
}


def error_answer(
    request: web.Request, status: int, reason: str, message: str, *, retry_after: float | None = None
) -> web.Response:
    """Return the response to a failed request: problem details in the API, else a page where HTML is accepted, or JSON."""
    if is_of_api(request):
        return problem_response(status, reason, message, retry_after=retry_after)
    if not wants_html(request):
        return error_response(request, status, reason, message, retry_after=retry_after)
    view = {
        **frame_of(request),
        "title": TITLES.get(status, "That did not work"),
        "status": status,
        "message": message,
        "number": request.get(REQUEST_ID, "") if status == 500 else "",
    }
    page = aiohttp_jinja2.render_template("error.html", request, view, status=status)
    if retry_after is not None:
        page.headers[hdrs.RETRY_AFTER] = str(max(1, round(retry_after)))
    return page


def _answer_refusal(request: web.Request, refusal: web.HTTPException) -> web.Response:
    status = refusal.status
    message = outside_base(request) if status == 404 else None
    message = message or MESSAGES.get(status, refusal.reason or "")
    answer = error_answer(request, status, REASONS.get(status, "refused"), message)
    for name in (hdrs.ALLOW, hdrs.WWW_AUTHENTICATE):
        if name in refusal.headers:
            answer.headers[name] = refusal.headers[name]
    return answer


def _answer_error(request: web.Request, error: FacesetsError) -> web.Response:
    """Return the response to an error. A user is not told what is away, or where it is."""
    message = str(error) if request.get(VIEWER, ADMINISTRATOR).is_administrator else NOT_NOW
    match error:
        case TransientError():
            return error_answer(request, 503, "unavailable", message, retry_after=error.retry_after or 5)
        case ItemError():
            return error_answer(request, 422, error.reason, str(error))
        case RequestError():
            return error_answer(request, error.status, REASONS.get(error.status, "refused"), str(error))
        case _:
            return error_answer(request, 503, "setup", message)


def _route_of(request: web.Request) -> str:
    """Return the route of a request for the log: its path may hold the name of a person or a file."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Assign the request an id for the log, and convert any exception to a response; outermost middleware."""
    request[REQUEST_ID] = request_id(request)
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]):
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            if refusal.status < 400:
                raise
            return _answer_refusal(request, refusal)
        except FacesetsError as error:
            return _answer_error(request, error)
        except Exception:
            log.exception("bug", method=request.method, route=_route_of(request))
            message = f"This is a fault of ours. The log tells more under {request[REQUEST_ID]}."
            return error_answer(request, 500, "bug", message)
