"""
A process that serves the pages of an invented library, and prints its address.

With a number as its argument, it opens files until only so many descriptors are left.
"""

import asyncio
import contextlib
import os
import sys

from web_scene import ANY_PORT, busy_scene

from immich_facesets.runtime.listen_address import Announcement
from immich_facesets.runtime.logging import configure_logging
from service.web.server import serve_web


def take_descriptors(left: int) -> None:
    taken = list[int]()
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    for descriptor in taken[:left]:
        os.close(descriptor)


async def serve() -> None:
    async with serve_web(busy_scene().context(), ANY_PORT) as listen:
        if len(sys.argv) > 1:
            take_descriptors(left=int(sys.argv[1]))
        print(Announcement.of(listen).line(), flush=True)  # noqa: T201  its parent reads it
        await asyncio.Event().wait()


if __name__ == "__main__":
    configure_logging(json=True)
    asyncio.run(serve())
