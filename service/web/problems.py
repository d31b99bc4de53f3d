"""Errors of the API as problem details (RFC 9457)."""

from http import HTTPStatus

import msgspec
from aiohttp import hdrs, web

PROBLEM_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """
    An error as RFC 9457 describes it.

    ``type`` is always ``about:blank``: ``title`` then is the phrase of the status. ``reason`` is a stable code for
    programs, ``detail`` a sentence for the user, which says what to do.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str


REASONS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    410: "gone",
    412: "changed",
    413: "too_large",
    415: "unsupported",
    421: "unknown_host",
    422: "key_used",
    423: "locked",
    429: "too_many_requests",
    503: "unavailable",
}
"""The usual codes of statuses."""


def problem_of(status: int, detail: str, reason: str = "") -> Problem:
    """Return a problem; without a reason it has the usual one of its status."""
    reason = reason or REASONS.get(status, "refused")
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, reason=reason)


def problem_response(status: int, reason: str, detail: str, *, retry_after: float | None = None) -> web.Response:
    """Return an error response of the API."""
    problem = problem_of(status, detail, reason)
    headers = {} if retry_after is None else {hdrs.RETRY_AFTER: str(max(1, round(retry_after)))}
    return web.Response(status=status, body=msgspec.json.encode(problem), content_type=PROBLEM_TYPE, headers=headers)
