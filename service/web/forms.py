"""The forms of our own pages: URL-encoded, in UTF-8."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from aiohttp import web

from immich_facesets.errors import RequestError

FORM_TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 8


async def read_form(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a small form, the first of each name. A request without a body has none."""
    return dict(reversed(await read_fields(request, MOST_FIELDS)))


async def read_fields(request: web.Request, most: int) -> Sequence[tuple[str, str]]:
    """
    Return the fields of a form in their order, with repeated ones; at most ``most``.

    Another encoding is a 415, and what cannot be decoded a 400: aiohttp's own reader fails on both.
    """
    if request.body_exists and request.content_type != FORM_TYPE:
        raise RequestError(f"a form is sent as {FORM_TYPE}", status=415)
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise RequestError("a form is sent in UTF-8", status=415)
    body = await request.read()
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError as error:
        raise RequestError(
            f"the form cannot be read: it is UTF-8 in percent-encoding, with at most {most} fields", status=400
        ) from error
