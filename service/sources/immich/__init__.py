"""Immich as a source: the only package that knows Immich's names, routes and versions."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from service.progress import RemoteState
from service.remote.breaker import Breaker, Clock, utc_now
from service.remote.guard import Guard
from service.remote.pacing import Pacer
from service.settings import Settings, User
from service.sources.immich.client import ImmichClient
from service.sources.immich.source import ImmichSource

__all__ = ["ImmichSource", "build_immich_source"]


def build_immich_source(
    user: User,
    settings: Settings,
    *,
    on_change: Callable[[RemoteState], None] | None = None,
    clock: Clock = utc_now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    transport: httpx.AsyncBaseTransport | None = None,
) -> ImmichSource:
    """One user's source, unopened: nothing is sent yet. ``settings.immich_url`` is set, or there would be no user."""
    client = ImmichClient(
        user.name,
        settings.immich_url or "",
        user.api_key,
        # Reading faces may go to twice the pictures in flight; what is fetched at once is the embed pass's decision.
        pacer=Pacer(start=settings.fetch_concurrency, most=2 * settings.fetch_concurrency),
        answer_seconds=settings.request_timeout,
        transport=transport,
    )
    guard = Guard(
        f"Immich ({user.name})",
        Breaker(clock=clock, threshold=settings.breaker_failures),
        client.probe,
        advice=f"Check that Immich runs and answers at {client.troubles.place}; what is done stays done.",
        clock=clock,
        sleep=sleep,
        on_change=on_change,
    )
    return ImmichSource(
        client,
        guard,
        name=user.name,
        max_file_bytes=settings.max_file_bytes,
        include_renditions=settings.include_renditions,
    )
