"""The fake server: its start and stop, its injected faults, and the handling of a request."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from aiohttp import web

from service.demo.immich.api_version import Dialect
from service.demo.immich.error_responses import RefusedError, new_correlation_id
from service.demo.immich.faults import Fault, FaultPlan
from service.demo.immich.library import (
    ALL_NEEDED,
    FakeAsset,
    FakeFace,
    FakePerson,
    FakeUser,
    Key,
    Library,
    new_id,
    new_secret,
)
from service.demo.immich.listener import NODE_KEEPALIVE_SECONDS, Listener, break_off
from service.demo.immich.request_log import Asked, RequestLog
from service.demo.immich.routes import JSON, Ask, Reply, Routes
from service.demo.immich.routing import MAINTENANCE, PERMISSIONS, PUBLIC, decoded, route_of
from service.demo.immich.validation import UUID


class FakeImmich:
    """
    A fake Immich server that behaves like a real one of this version.

    ``page_limit`` caps every page below the requested size, so that few assets make many pages. ``keepalive_timeout``
    is in seconds. Routes in the request log and in faults: ping, version, config, features, media-types, about,
    statistics, key, me, search, faces, asset, original, thumbnail, people, person, unknown.
    """

    def __init__(
        self,
        version: str = "3.1.0",
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        page_limit: int = 1000,
        minimum_faces: int = 3,
        keepalive_timeout: float = NODE_KEEPALIVE_SECONDS,
    ) -> None:
        self.dialect = Dialect.of(version)
        self.library = Library(clock, minimum_faces)
        self.requests = RequestLog()
        self.faults = FaultPlan()
        self.bytes_sent = 0
        """Bytes of response bodies sent so far."""
        self.maintenance = False
        self.url = ""
        self._routes = Routes(self.library, self.dialect, page_limit)
        self._handlers: dict[str, Callable[[Ask], Awaitable[Reply]]] = {
            name: getattr(self._routes, name.replace("-", "_")) for name in PUBLIC | PERMISSIONS.keys() | {"key"}
        }
        self._listener = Listener(keepalive_timeout)

    # the library

    def add_user(
        self,
        name: str,
        permissions: Iterable[str] = ALL_NEEDED,
        api_key: str | None = None,
        shares_with: Iterable[str] = (),
        *,
        is_admin: bool = False,
        user_id: str | None = None,
    ) -> FakeUser:
        """Add an account with one API key; ``shares_with`` names users whose timelines also show its assets."""
        user = FakeUser(name, api_key or new_secret(), frozenset(permissions), set(shares_with), is_admin)
        user.user_id = user_id or user.user_id
        return self.library.add_user(user)

    def add_key(self, user: FakeUser, permissions: Iterable[str], api_key: str | None = None) -> str:
        """Add another key of the same user, with other permissions; return its secret."""
        return self.library.add_key(user, permissions, api_key)

    def revoke_key(self, api_key: str) -> None:
        del self.library.keys[api_key]

    def add_asset(self, asset: FakeAsset | None = None, **fields: Any) -> FakeAsset:
        """Add an asset, either given or made from the fields of `FakeAsset`."""
        asset = FakeAsset(**fields) if asset is None else asset
        if not UUID.fullmatch(asset.asset_id):
            raise ValueError("an asset id must be a version 4 UUID: the servers refuse any other")
        return self.library.add_asset(asset)

    def asset(self, asset: FakeAsset | str) -> FakeAsset:
        return asset if isinstance(asset, FakeAsset) else self.library.assets[asset]

    def delete_asset(self, asset: FakeAsset | str) -> None:
        """Delete an asset permanently, as when the trash is emptied."""
        self.library.delete_asset(self.asset(asset).asset_id)

    def trash_asset(self, asset: FakeAsset | str) -> FakeAsset:
        trashed = self.asset(asset)
        trashed.is_trashed = True
        return self.touch(trashed)

    def touch(self, asset: FakeAsset | str) -> FakeAsset:
        """Set `updatedAt` to now, as every change does except one of faces."""
        touched = self.asset(asset)
        touched.updated_at = self.library.clock()
        self.library.revision += 1
        return touched

    def add_face(self, asset: FakeAsset | str, face: FakeFace | None = None, **fields: Any) -> FakeFace:
        """Add a face; as in every version, this does not change `updatedAt`."""
        face = FakeFace(**fields) if face is None else face
        self.asset(asset).faces.append(face)
        return face

    def add_person(
        self, person: FakePerson | None = None, *, owner: str = "", name: str = "", **fields: Any
    ) -> FakePerson:
        """Add a person, either given or made from the fields of `FakePerson`; a missing id is generated."""
        if person is None:
            person = FakePerson(fields.pop("person_id", None) or new_id(), name, owner, **fields)
        return self.library.add_person(person)

    # start and stop

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Listen and return the base URL (without ``/api``)."""
        self.url = await self._listener.start(self._handle, host, port)
        return self.url

    async def stop(self) -> None:
        self.faults.clear()
        await self._listener.stop()

    async def refuse(self) -> None:
        """Start an outage: open connections are reset, new ones refused."""
        await self._listener.refuse()

    async def resume(self) -> None:
        """End an outage: listen again, on the same port."""
        await self._listener.resume()

    def die_after(self, requests: int) -> None:
        """Answer this many further requests, then reset connections and refuse new ones until `resume`."""
        self._listener.die_after(requests)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # request handling

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        route, item_id = route_of(request.method, path)
        sent = await request.read() if request.body_exists else b""
        body, malformed = decoded(sent)
        asset_id = item_id if route in {"asset", "original", "thumbnail"} else None
        if route == "faces":
            asset_id = ",".join(parse_qs(query).get("id", ())) or None
        self.requests.arrived(Asked(request.method, route, asset_id, query, body))
        try:
            await self._listener.live_or_die(request)
            fault = self.faults.strike(route, asset_id, query, body) if self.faults.faults else None
            if fault is not None and fault.kind in {"reset", "hang", "slow", "status", "html"}:
                spoilt = await self._spoil(request, fault)
                if spoilt is not None:
                    return self._response(spoilt)
            reply = await self._answer(request, route, item_id, query, body, malformed=malformed)
            return await self._deliver(request, reply, fault)
        finally:
            self.requests.left()

    async def _spoil(self, request: web.BaseRequest, fault: Fault) -> Reply | None:
        """Apply a fault that precedes the response; return None when the regular response follows."""
        match fault.kind:
            case "reset":
                await break_off(request)
            case "hang":
                await self.faults.released.wait()
            case "slow":
                await asyncio.sleep(fault.delay)
            case "html":
                page = f"<html><head><title>{fault.status}</title></head><body><center>nginx</center></body></html>"
                return Reply(fault.status, page.encode(), {"Content-Type": "text/html"} | retry_after(fault))
            case _:
                message = "Internal server error" if fault.status == 500 else f"Fault {fault.status}"
                reply = self._refusal(RefusedError(fault.status, message))
                reply.headers |= retry_after(fault)
                return reply
        return None

    async def _answer(
        self, request: web.BaseRequest, route: str, item_id: str, query: str, body: object, *, malformed: str | None
    ) -> Reply:
        if route == "unknown" or (self.maintenance and route not in MAINTENANCE):
            return self._refusal(RefusedError(404, f"Cannot {request.method} {request.raw_path}"))
        if self.maintenance and route == "config":
            return Reply(body=b'{"maintenanceMode":true}')
        if malformed is not None:
            return self._refusal(RefusedError(400, malformed))
        try:
            key = None if route in PUBLIC else self._admit(request, route)
            ask = Ask(key, request.raw_path, query, request.headers, body, item_id)
            return await self._handlers[route](ask)
        except RefusedError as refusal:
            return self._refusal(refusal)

    def _admit(self, request: web.BaseRequest, route: str) -> Key:
        """Return the API key; refuse a missing or unknown one (401), or one without the route's permission (403)."""
        secret = request.headers.get("x-api-key") or next(
            iter(parse_qs(request.raw_path.partition("?")[2]).get("apiKey", ())), None
        )
        if secret is None:
            raise RefusedError(401, "Authentication required")
        key = self.library.keys.get(secret)
        if key is None:
            raise RefusedError(401, "Invalid API key")
        permission = PERMISSIONS.get(route)
        if permission is not None and not key.may(permission):
            raise RefusedError(403, f"Missing required permission: {permission}")
        return key

    def _refusal(self, refusal: RefusedError) -> Reply:
        correlation_id = new_correlation_id()
        headers = {"Content-Type": JSON, "X-Correlation-ID": correlation_id} | refusal.headers
        return Reply(refusal.status, refusal.body(self.dialect, correlation_id).encode(), headers)

    async def _deliver(self, request: web.BaseRequest, reply: Reply, fault: Fault | None) -> web.StreamResponse:
        match None if fault is None else fault.kind:
            case "corrupt":
                reply.body = bytes(byte ^ 0x55 for byte in reply.body)
            case "wrong_length":
                reply.body = reply.body[: len(reply.body) // 2]
            case "truncate":
                await self._send_half(request, reply)
        return self._response(reply)

    async def _send_half(self, request: web.BaseRequest, reply: Reply) -> None:
        """Send headers with the full length and half of the body, then reset the connection."""
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        response.content_length = len(reply.body)
        await response.prepare(request)
        half = reply.body[: len(reply.body) // 2]
        self.bytes_sent += len(half)
        await response.write(half)
        await asyncio.sleep(0.01)  # the half must be sent before the reset
        await break_off(request)

    def _response(self, reply: Reply) -> web.Response:
        self.bytes_sent += len(reply.body)
        date = {"Date": format_datetime(self.library.clock().astimezone(UTC), usegmt=True)}
        return web.Response(status=reply.status, body=reply.body, headers=date | reply.headers)


def retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
