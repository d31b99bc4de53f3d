"""Routes as data, shared by the router, the request guard and the OpenAPI document."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(Enum):
    """The access to a route: every caller, the administrator and users, or the administrator alone."""

    EVERYBODY = "everybody"
    USER = "user"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Answer:
    """One possible response: a JSON struct, or a body of another media type; ``example``: such a struct."""

    meaning: str
    body: type[msgspec.Struct] | None = None
    media_type: str = ""
    redirects: bool = False
    example: msgspec.Struct | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """A header that a route understands, and what it is for."""

    name: str
    meaning: str
    is_required: bool = False
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One endpoint: its address, access, request body and possible responses.

    ``question`` is the JSON body, ``upload`` the media type of another one. ``query`` holds the parameters behind the path,
    ``form`` the fields of an HTML form (name -> meaning); path parameters are read from ``path``, and are in ``PATH_PARAMETERS``. All paths begin with the base path, if there is one; with ``at_root`` the route also answers without
    it, for programs that do not come through the reverse proxy. Responses with ``streams`` do not end on their own, so these routes have no HEAD.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    summary: str
    access: Access = Access.ADMINISTRATOR
    answers: dict[int, Answer]
    question: type[msgspec.Struct] | None = None
    upload: str = ""
    query: type[msgspec.Struct] | None = None
    form: dict[str, str] = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    streams: bool = False
    at_root: bool = False


def json_answer(value: msgspec.Struct, *, status: int = 200) -> web.Response:
    """Return a struct as a JSON response."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
