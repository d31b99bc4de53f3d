"""
The fake Immich as a process of its own: ``python -m service.demo.immich --library FOLDER``.

Prints one line of JSON with URL and version when it listens, and serves until SIGINT or SIGTERM.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from service.demo.immich.manifest import load_library
from service.demo.immich.server import FakeImmich


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m service.demo.immich", description="A fake Immich server.")
    parser.add_argument("--library", type=Path, required=True, help="manifest (TOML or JSON), or the folder of one")
    parser.add_argument("--version", help="the version to play, instead of the manifest's")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--page-limit", type=int, default=1000, help="no page holds more than this")
    parser.add_argument("--keys-file", type=Path, help="write {user: API key} here, readable only by you")
    return parser.parse_args()


def write_keys(immich: FakeImmich, file: Path) -> None:
    keys = {user.name: user.api_key for user in immich.library.users.values()}
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(keys, out)


async def serve(immich: FakeImmich, host: str, port: int) -> None:
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    url = await immich.start(port, host)
    sys.stdout.write(json.dumps({"url": url, "version": str(immich.dialect)}) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    await immich.stop()


def main() -> None:
    asked = arguments()
    immich = load_library(asked.library, asked.version, page_limit=asked.page_limit)
    if asked.keys_file is not None:
        write_keys(immich, asked.keys_file)
    asyncio.run(serve(immich, asked.host, asked.port))


if __name__ == "__main__":
    main()
