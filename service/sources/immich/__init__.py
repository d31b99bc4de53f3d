"""Immich as a source: the only package with code specific to Immich's names, routes and versions."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping

import httpx

from service.progress import RemoteState
from service.remote.breaker import Breaker, Clock, steady_now
from service.remote.guard import Guard
from service.remote.pacing import Pacer
from service.remote.transport import CountRequest
from service.settings import Settings
from service.sources.immich.client import ImmichClient
from service.sources.immich.source import ImmichSource
from service.users import User

__all__ = ["ImmichSource", "ServerGuards", "build_immich_source"]


ServerGuards = MutableMapping[str, Guard]
"""The guard of each Immich server, by its address. A server that one user found down is down for its other users too."""


def build_immich_source(
    user: User,
    settings: Settings,
    *,
    guards: ServerGuards | None = None,
    on_change: Callable[[RemoteState], None] | None = None,
    count: CountRequest | None = None,
    clock: Clock = steady_now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    transport: httpx.AsyncBaseTransport | None = None,
) -> ImmichSource:
    """
    Return one user's unopened source; nothing is sent yet. ``settings.immich_url`` is set if there is a user.

    ``guards`` holds the guards of the servers so far, and gets that of a further server; None: the source has its own.
    """
    client = ImmichClient(
        user.name,
        settings.immich_url or "",
        user.api_key,
        # Reading faces may use twice the pictures in flight; the embed pass limits concurrent downloads itself.
        pacer=Pacer(start=settings.fetch_concurrency, most=2 * settings.fetch_concurrency),
        answer_seconds=settings.request_timeout,
        count=count,
        transport=transport,
    )
    guard = Guard(
        f"Immich at {client.errors.place}",
        Breaker(clock=clock, threshold=settings.breaker_failures),
        client.probe,
        advice=f"Check that Immich runs and answers at {client.errors.place}; what is done stays done.",
        clock=clock,
        sleep=sleep,
        on_change=on_change,
    )
    if guards is not None:
        guard = guards.setdefault(client.address, guard)
    return ImmichSource(
        client,
        guard,
        name=user.name,
        max_file_bytes=settings.max_file_bytes,
        include_renditions=settings.include_renditions,
    )
