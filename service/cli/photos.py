"""A folder of pictures that becomes a source by its path alone, under a name made from it."""

from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path

from immich_facesets.errors import RequestError
from immich_facesets.names import name_key
from service.cli.sources import checked_folder, immich_users
from service.cli.terminal import print_line
from service.setting_values import is_user_name
from service.settings import Settings
from service.storage import open_own_store, prepare_data_dir
from service.store.database import Store
from service.store.folders import Folder, StoredSource, add_folder, stored_sources
from service.store.sources import REMOVED

LONGEST_NAME = 60


def add_photos(path: Path, settings: Settings) -> None:
    """Make a folder a source, unless it is one or lies in one; print which source has its pictures."""
    root = checked_folder(path, settings)
    with open_own_store(settings, prepare_data_dir(settings), is_locked=False) as store:
        print_line(_add(store, root, immich_users(settings)))


def _add(store: Store, root: Path, users: Collection[str]) -> str:
    known = store.read_now(stored_sources)
    for source in _folders(known):
        if source.mode != REMOVED and _is_in(root, source.root):
            return f"{root} belongs to the source {source.name}."
    before = next(
        (source for source in _folders(known) if _is_in(root, source.root) and _is_in(source.root, root)), None
    )
    name = before.name if before is not None else source_name(root, {*users, *(source.name for source in known)})
    store.write_now(add_folder, Folder(name, root, "mixed", follow_links=False))
    return f"{root} is the source {name}."


def _folders(sources: Collection[StoredSource]) -> Iterator[StoredSource]:
    return (source for source in sources if source.root)


def _is_in(path: Path | str | None, folder: Path | str | None) -> bool:
    try:
        return Path(path or "").resolve().is_relative_to(Path(folder or "").resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        return False


def source_name(root: Path, taken: Collection[str]) -> str:
    """Return a name for a folder that no other source has: its own, with that of its parent or a number where needed."""
    own, parent = _usable(root.name) or "photos", _usable(root.parent.name)
    keys = {name_key(name) for name in taken}
    for name in _choices(own, parent):
        if name_key(name) not in keys:
            return name
    raise RequestError(f"there is no free name for {root}: give it one with 'immich-facesets sources add-folder'")


def _choices(own: str, parent: str) -> Iterator[str]:
    yield own
    if parent:
        yield f"{own} in {parent}"
    yield from (f"{own} {number}" for number in count(2))


def _usable(text: str) -> str:
    """Return the part of a folder's name that can be a source's name; empty where there is none."""
    name = "".join(char for char in text if char.isprintable())[:LONGEST_NAME].strip()
    return name if is_user_name(name) else ""
