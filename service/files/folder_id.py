"""The id of a data folder: a file in it, which moves and is restored with it."""

import secrets
from pathlib import Path

from service.files.durable import disk_trouble, replace_privately

NAME = "id"
_LONGEST = 100


def read_id(folder: Path) -> str | None:
    """Return the id of a data folder; None when it has none."""
    path = folder / NAME
    if not path.is_file():
        return None
    with disk_trouble(folder):
        return path.read_text(encoding="utf-8", errors="replace").strip()[:_LONGEST] or None


def ensure_id(folder: Path) -> str:
    """Return the id of a data folder, made at the first use. Blocks."""
    found = read_id(folder)
    if found is None:
        found = secrets.token_hex(8)
        with disk_trouble(folder):
            replace_privately(folder / NAME, f"{found}\n".encode())
    return found
