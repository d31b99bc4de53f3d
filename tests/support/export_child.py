"""
Write into an export folder in a child process that is killed at a chosen step.

Each line of standard input is JSON: [folder, "write" | "remove" | "file", "swap" | "moves" (a file system that cannot
exchange names), number of the step to die at]. Each is done in a fork; the line printed is how it ended: 9 when it
died there, 0 when there were fewer steps.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from immich_facesets.exports.profile import Content
from service.files.durable import exchange
from service.files.export_tree import ExportTree

DIED = 9
NAME = "_thin/faceset_001_era_2007"


def manifest(version: str) -> bytes:
    files = [{"file": f"faces/{number}.png", "version": version} for number in range(3)]
    value = {
        "schema": 1,
        "name": NAME.rsplit("/", 1)[-1],
        "version": version,
        "faces": files,
        "bundles": {"all": "all.fsz"},
    }
    return json.dumps(value).encode()


def files(version: str) -> Iterator[tuple[str, Content]]:
    """A small face set whose every file contains its version."""
    for number in range(3):
        yield f"faces/{number}.png", version.encode()

    def bundle(file: BinaryIO, read_back: Callable[[str], bytes]) -> None:
        file.write(b"".join(read_back(f"faces/{number}.png") for number in range(3)))

    yield "all.fsz", bundle
    yield "manifest.json", manifest(version)


def die_at(step: int) -> Callable[[str], None]:
    seen = 0

    def count(_: str) -> None:
        nonlocal seen
        if seen == step:
            os._exit(DIED)
        seen += 1

    return count


def write(root: str, action: str, way: str, step: int) -> None:
    swap = exchange if way == "swap" else lambda _one, _other: False
    tree = ExportTree(Path(root), step=die_at(step), swap=swap)
    if action == "write":
        tree.write_directory(NAME, files("new"))
    elif action == "remove":
        tree.remove_directory(NAME)
    else:
        tree.write_file("manifest.json", b'{"schema": 1, "facesets": ["new"]}')


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            write(*json.loads(line))
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
