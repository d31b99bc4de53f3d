"""JSON in the bodies of requests."""

from typing import TypeVar

import msgspec
from aiohttp import web

from immich_facesets.errors import RequestError
from immich_facesets.json_text import has_null_character

QuestionT = TypeVar("QuestionT", bound=msgspec.Struct)

JSON_TYPE = "application/json"


MOST_DECISIONS_BYTES = 8 * 1024 * 1024
"""The largest body with decisions: 50,000 faces by picture and box, or a million by id. Other bodies are far smaller."""


def with_room(request: web.Request) -> web.Request:
    """Return the same request, whose body may have as many bytes as one with decisions needs."""
    return request.clone(client_max_size=MOST_DECISIONS_BYTES)


async def read_json(request: web.Request, kind: type[QuestionT]) -> QuestionT:
    """
    Return the body of a request; an empty one is ``{}``.

    Another type is a 415: a form of another site can send only such. ``RequestError`` (400) for what is no such question.
    """
    body = await request.read()
    if body and request.content_type != JSON_TYPE:
        raise RequestError(f"the body is JSON: send it as {JSON_TYPE}", status=415)
    return decode_json(body, kind)


def decode_json(body: bytes, kind: type[QuestionT]) -> QuestionT:
    """Return a body as a value of this type; ``RequestError`` (400) for anything else."""
    if has_null_character(body):
        raise RequestError("the body has a character 0, which no text may have", status=400)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is wrong: {error}", status=400) from error
