"""A service over a small drawn library after its first sync, and decisions made as the API makes them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from small_library import SmallLibrary, place

from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import Request
from service.app import App, open_app
from service.demo.immich import FakeImmich
from service.moderation.decisions import make_decisions, withdraw_exports, withdraws
from service.settings import Settings
from service.store.moderation import MadeDecisions
from service.sync.outcome import Outcome
from service.users import User

BY = Author("token", "api")
_SMALL = {"min_face_short": 40, "export_min_face_short": 40, "crop_size": 128, "min_faces": 3}


@contextlib.asynccontextmanager
async def opened_app(drawn: SmallLibrary, folder: Path, **fields: Any) -> AsyncIterator[App]:
    """Open a service with its data in a folder; ``fields``: further settings."""
    async with FakeImmich("3.1.0") as immich:
        placed = place(immich, drawn)
        settings = Settings(immich_url=immich.url, data_dir=folder / "data", **{**_SMALL, **fields})
        users = tuple(User(name=name, api_key=SecretStr(user.api_key)) for name, user in placed.users.items())
        environ = {"FACESETS_EMBEDDER_ENGINE": "synthetic"}
        async with open_app(settings, users, asyncio.Event(), embedder_environ=environ) as found:
            yield found


@contextlib.asynccontextmanager
async def synced_app(drawn: SmallLibrary, folder: Path, **fields: Any) -> AsyncIterator[App]:
    """Open a service with its data in a folder, and sync once; ``fields``: further settings."""
    async with opened_app(drawn, folder, **fields) as found:
        assert (await found.runner.run("full")).outcome is Outcome.DONE
        yield found


async def decide(app: App, *requests: Request) -> MadeDecisions:
    """Make decisions as the API does: in the store, and then in the export folder."""
    now = app.context.clock()
    done = await make_decisions(app.store, requests, BY, now)
    await withdraw_exports(app.store, app.tree, withdraws(done), BY, now)
    return done
