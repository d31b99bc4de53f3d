"""One route, as data: what the router, the guard of the doors and the OpenAPI document all read."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(Enum):
    """Who may come in: everybody, or callers who show the token."""

    EVERYBODY = "everybody"
    TOKEN = "token"  # noqa: S105  a word, not a secret


@dataclass(frozen=True, slots=True)
class Answer:
    """One possible answer: a JSON struct, or a body of another media type."""

    meaning: str
    body: type[msgspec.Struct] | None = None
    media_type: str = ""
    redirects: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    A door: where it is, who may use it, what it takes and what it answers.

    ``question`` is the JSON body, ``form`` the fields of an HTML form (name -> what it is); path parameters are read
    from ``path``. ``streams`` answers never end by themselves, so they have no HEAD.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    summary: str
    access: Access = Access.TOKEN
    answers: dict[int, Answer]
    question: type[msgspec.Struct] | None = None
    form: dict[str, str] = field(default_factory=dict)
    streams: bool = False


def json_answer(value: msgspec.Struct, *, status: int = 200) -> web.Response:
    """A struct as a JSON response."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
