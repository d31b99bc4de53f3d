"""A process that serves the pages of an invented library, and prints its address."""

import asyncio

from web_scene import ANY_PORT, busy_scene

from immich_facesets.runtime.listen_address import Announcement
from immich_facesets.runtime.logging import configure_logging
from service.web.server import serve_web


async def serve() -> None:
    async with serve_web(busy_scene().context(), ANY_PORT) as listen:
        print(Announcement.of(listen).line(), flush=True)  # noqa: T201  its parent reads it
        await asyncio.Event().wait()


if __name__ == "__main__":
    configure_logging(json=True)
    asyncio.run(serve())
