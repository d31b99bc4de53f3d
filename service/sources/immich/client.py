"""
Immich over HTTP: one method per endpoint; no code outside this package uses Immich's names.

Every failure is raised as one of the project's four errors, every wait is limited, and the key is sent to one origin
only.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from pydantic import SecretStr

from immich_facesets.errors import SetupError
from service.remote.pacing import Pacer
from service.remote.transport import ROUTE, AiohttpTransport, CountRequest
from service.sources.immich.answer_bodies import ACCEPTED_CODINGS, AnswerBodies
from service.sources.immich.api_errors import AnswerError, ApiErrors, NoSuchRouteError
from service.sources.immich.payloads import (
    ApiKey,
    AssetPayload,
    AssetSection,
    FacePayload,
    FacePayloads,
    PeopleAnswer,
    PeoplePage,
    PersonPayload,
    SearchAnswer,
    ServerConfig,
    User,
    Version,
    people_of,
    section_of,
)
from service.sources.immich.server_address import base_url, origin

T = TypeVar("T")

USER_AGENT = "immich-facesets"
KEEP_ALIVE_SECONDS = 4.0
"""The lifetime of an idle connection: shorter than the some 6 seconds after which Immich closes it."""

LARGE_BODY_BYTES = 256 * 1024
"""JSON above this size is parsed in a thread: a page of 1000 assets would block the event loop for too long."""

MOST_REDIRECTS = 3
_SAME_METHOD = {307, 308}
"""Redirects after which a POST stays a POST (RFC 9110, 15.4)."""


class ImmichClient:
    """
    The connection of one source, under one API key.

    ``address`` is the API's base URL. ``requests`` counts the requests by route. The limits: ``answer_seconds`` for
    silence on a connection, ``total_seconds`` for a whole JSON answer, and ``download_seconds`` for a whole picture.
    """

    def __init__(
        self,
        source: str,
        url: str,
        api_key: SecretStr | str,
        *,
        pacer: Pacer,
        answer_seconds: float = 30.0,
        total_seconds: float = 90.0,
        download_seconds: float = 900.0,
        count: CountRequest | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        key = api_key if isinstance(api_key, str) else api_key.get_secret_value()
        if not key.strip() or not key.strip().isascii() or not key.strip().isprintable():
            raise SetupError(f"the API key of user {source!r} is empty or holds signs that no key has")
        base = base_url(url)
        self.name = f"Immich ({source})"
        self.requests: Counter[str] = Counter()
        self.errors = ApiErrors(source=source, place=base.netloc.decode())
        self._bodies = AnswerBodies(self.errors)
        self._last_date = ""
        self._pacer = pacer
        self._probe_pacer = Pacer(start=1, most=1)
        self._total_seconds = total_seconds
        self._download_seconds = download_seconds
        self.address = str(base)
        self._headers = {
            "x-api-key": key.strip(),
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": ", ".join(ACCEPTED_CODINGS),
        }
        self._timeout = httpx.Timeout(connect=5.0, read=answer_seconds, write=answer_seconds, pool=answer_seconds)
        # The transport is used directly: httpx.AsyncClient adds a third of a millisecond per picture.
        self._transport = transport or AiohttpTransport(
            keepalive_seconds=KEEP_ALIVE_SECONDS, trust_env=True, remote=self.name, count=count
        )

    async def close(self) -> None:
        await self._transport.aclose()

    @property
    def server_time(self) -> datetime | None:
        """The server's clock at its last answer, to the second (RFC 9110, 6.6.1); None where it sends no date."""
        try:
            moment = parsedate_to_datetime(self._last_date)
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    async def server_version(self) -> Version:
        """``GET /server/version``; needs no key."""
        return await self._json(Version, "GET", "server/version")

    async def own_key(self) -> ApiKey:
        """``GET /api-keys/me``: works with any valid key, and reads the database."""
        return await self._json(ApiKey, "GET", "api-keys/me")

    async def probe(self) -> None:
        """``GET /api-keys/me`` outside the request queue: hung calls must not make a live server appear down."""
        await self._json(ApiKey, "GET", "api-keys/me", pacer=self._probe_pacer)

    async def me(self) -> User:
        """``GET /users/me``; needs user.read."""
        return await self._json(User, "GET", "users/me")

    async def search(self, body: Mapping[str, Any]) -> AssetSection:
        """``POST /search/metadata``; needs asset.read."""
        return await asyncio.to_thread(section_of, await self._json(SearchAnswer, "POST", "search/metadata", body=body))

    async def asset(self, asset_id: str) -> AssetPayload:
        """``GET /assets/{id}``; an id that is unknown or not for this key is an ``ItemError`` not_found."""
        return await self._json(
            AssetPayload, "GET", f"assets/{quote(asset_id, safe='')}", route="assets/{id}", about_item=True
        )

    async def faces(self, asset_id: str) -> tuple[FacePayload, ...]:
        """``GET /faces?id=``; needs face.read."""
        return await self._json(FacePayloads, "GET", "faces", params={"id": asset_id}, about_item=True)

    async def people(self, page: int) -> PeoplePage:
        """``GET /people``, 1000 a page from page 1 on, hidden ones included; needs person.read."""
        params = {"page": page, "size": 1000, "withHidden": "true"}
        return people_of(await self._json(PeopleAnswer, "GET", "people", params=params))

    async def person(self, person_id: str) -> PersonPayload:
        """``GET /people/{id}``, also for people that the list omits; needs person.read."""
        return await self._json(
            PersonPayload, "GET", f"people/{quote(person_id, safe='')}", route="people/{id}", about_item=True
        )

    @asynccontextmanager
    async def original(self, asset_id: str, *, edited: bool = False) -> AsyncIterator[httpx.Response]:
        """``GET /assets/{id}/original``: the bytes as a stream; needs asset.download."""
        query = "?edited=true" if edited else ""
        async with self._picture(asset_id, f"original{query}", "assets/{id}/original") as response:
            yield response

    @asynccontextmanager
    async def fullsize(self, asset_id: str) -> AsyncIterator[httpx.Response]:
        """``GET /assets/{id}/thumbnail?size=fullsize``: Immich's largest JPEG of the asset; needs asset.view."""
        async with self._picture(asset_id, "thumbnail?size=fullsize", "assets/{id}/thumbnail") as response:
            yield response

    async def _json(
        self,
        kind: type[T],
        method: str,
        path: str,
        *,
        route: str = "",
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        about_item: bool = False,
        pacer: Pacer | None = None,
    ) -> T:
        request = self._request(method, path, params=params, body=body)
        exchange = self._exchange(
            request,
            route or path,
            about_item=about_item,
            total_seconds=self._total_seconds,
            pacer=pacer or self._pacer,
        )
        async with exchange as response:
            content = await self._bodies.whole(response)
            if len(content) > LARGE_BODY_BYTES:
                return await asyncio.to_thread(self._bodies.parse, kind, content, about_item=about_item)
            return self._bodies.parse(kind, content, about_item=about_item)

    @asynccontextmanager
    async def _picture(self, asset_id: str, what: str, route: str) -> AsyncIterator[httpx.Response]:
        # Uncompressed transfer: a compressed picture's length would differ from the one in its headers.
        request = self._request(
            "GET", f"assets/{quote(asset_id, safe='')}/{what}", headers={"Accept": "*/*", "Accept-Encoding": "identity"}
        )
        exchange = self._exchange(
            request, route, about_item=True, total_seconds=self._download_seconds, pacer=self._pacer
        )
        async with exchange as response:
            if response.headers.get("content-type", "").startswith("text/html"):
                raise self.errors.of_page("HTML", reason="not_a_picture")
            yield response

    @asynccontextmanager
    async def _exchange(
        self, request: httpx.Request, route: str, *, about_item: bool, total_seconds: float, pacer: Pacer
    ) -> AsyncIterator[httpx.Response]:
        """Send one request and yield its answer; failures, also while the body is read, raise the project's errors."""
        request.extensions[ROUTE] = f"/api/{route}"
        async with pacer.slot(route) as slot:
            self.requests[f"{request.method} /{route}"] += 1
            try:
                async with asyncio.timeout(total_seconds):
                    response = await self._send(request)
                    self._last_date = response.headers.get("date", "")
                    slot.answered()
                    try:
                        if not response.is_success:
                            await self._refuse(response, about_item=about_item)
                        yield response
                    finally:
                        await response.aclose()
            except httpx.HTTPError as error:
                raise self.errors.of_transport(error) from error
            except TimeoutError as error:
                raise self.errors.too_slow(total_seconds) from error

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> httpx.Request:
        return httpx.Request(
            method,
            self.address + path,
            headers=self._headers | dict(headers or {}),
            params=params,
            json=body,
            extensions={"timeout": self._timeout.as_dict()},
        )

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Return the answer with its body unread, after redirects within the configured origin."""
        here = request.url
        for _ in range(MOST_REDIRECTS + 1):
            try:
                response = await self._transport.handle_async_request(request)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # The server closed an idle connection; all requests here only read, so a retry is safe.
                response = await self._transport.handle_async_request(request)
            response.request = request
            if not response.has_redirect_location:
                return response
            await response.aclose()
            try:
                there = here.join(response.headers["location"])
            except httpx.InvalidURL as error:
                raise httpx.RemoteProtocolError("a redirect to what is no address") from error
            if origin(there) != origin(here) or (request.method != "GET" and response.status_code not in _SAME_METHOD):
                raise self.errors.of_redirect(there)
            request.url = here = there
        raise self.errors.of_redirect(here)

    async def _refuse(self, response: httpx.Response, *, about_item: bool) -> None:
        """Raise the error for an answer other than 2xx."""
        content = await self._bodies.of_error(response)
        error = self.errors.of_answer(response.status_code, response.headers, content, about_item=about_item)
        if not isinstance(error, NoSuchRouteError):
            raise error
        if await self._is_in_maintenance():
            raise self.errors.maintenance() from error
        raise self.errors.no_api() from error

    async def _is_in_maintenance(self) -> bool:
        """``GET /server/config``, outside the pacer: the caller holds a slot already."""
        self.requests["GET /server/config"] += 1
        response = await self._send(self._request("GET", "server/config"))
        try:
            return msgspec.json.decode(await self._bodies.whole(response), type=ServerConfig).maintenance_mode
        except (msgspec.MsgspecError, RecursionError, AnswerError):
            return False
        finally:
            await response.aclose()
