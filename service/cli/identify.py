"""The ``identify`` command: whose faces are in these pictures, by the service that runs, or without one."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from immich_facesets.errors import ItemError, RequestError
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.wording import counted
from service.app import open_pool
from service.cli.over_api import identify_over_api
from service.cli.terminal import print_json, print_line, print_remark
from service.reports.identification import Identify
from service.settings import Settings, load_settings
from service.storage import open_reading
from service.web.library.identify import IdentifiedAs, IdentifiedFace, IdentifyAnswer
from service.web.uploads import MOST_PICTURE_BYTES

_WORTH_TELLING = 0.005
_OF_THE_PICTURE = frozenset({400, 413, 422})
"""The objections of a service that are about one picture, and not about the next one."""


class IdentifiedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of ``identify --json``: its answer, or the reason why there is none."""

    file: str
    answer: IdentifyAnswer | None
    problem: str = ""


def identify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures; they need not be in any source.")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many people are named for each face at most.")] = 5,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show whose faces are in pictures, with the probability of each person; nothing of them is stored."""
    settings = load_settings()
    configure_logging(level=settings.log_level if settings.log_level == "DEBUG" else "WARNING")
    found = asyncio.run(_identify_all(settings, files, limit))
    if json:
        print_json(found)
    else:
        for one in found:
            _print(one)
    failed = [one for one in found if one.answer is None]
    if failed:
        raise RequestError(f"{counted(len(failed), 'file')} of {len(found)} could not be read as a picture")


async def _identify_all(settings: Settings, files: Sequence[Path], limit: int) -> list[IdentifiedFile]:
    async with AsyncExitStack() as stack:
        asker = _Asker(settings, stack)
        return [await _identified(asker, file, limit) for file in files]


class _Asker:
    """The way to an answer: the service at the settings' address, or, where none answers, the store and an embedder."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._own: Identify | None = None

    async def ask(self, picture: bytes, limit: int) -> IdentifyAnswer:
        if self._own is None:
            answer = await identify_over_api(self._settings, picture, limit)
            if answer is not None:
                return answer
            store = await self._stack.enter_async_context(open_reading(self._settings))
            pool = await self._stack.enter_async_context(open_pool(self._settings))
            self._own = Identify(store, self._settings, pool)
        return await self._own.answer(picture, limit)


async def _identified(asker: _Asker, file: Path, limit: int) -> IdentifiedFile:
    try:
        picture = await asyncio.to_thread(read_picture, file)
        return IdentifiedFile(file=str(file), answer=await asker.ask(picture, limit))
    except ItemError as error:
        return IdentifiedFile(file=str(file), answer=None, problem=str(error))
    except RequestError as error:
        if error.status not in _OF_THE_PICTURE:
            raise
        return IdentifiedFile(file=str(file), answer=None, problem=str(error))


def read_picture(file: Path) -> bytes:
    """Return the bytes of a picture; ``ItemError`` where it cannot be read, or is larger than the API takes."""
    try:
        if file.is_dir():
            raise ItemError("it is a folder: name the files in it", reason="not_a_file")
        if not file.is_file():
            raise ItemError("there is no such file", reason="not_found")
        if file.stat().st_size > MOST_PICTURE_BYTES:
            raise ItemError(f"it has more than {MOST_PICTURE_BYTES // 2**20} MiB", reason="too_large")
        picture = file.read_bytes()
    except OSError as error:
        raise ItemError(f"it cannot be read ({error.strerror})", reason="unreadable") from error
    if not picture:
        raise ItemError("it is empty", reason="empty")
    return picture


def _print(found: IdentifiedFile) -> None:
    if found.answer is None:
        print_remark(f"{found.file}: {found.problem}")
        return
    print_line(f"{found.file}: {counted(len(found.answer.faces), 'face')}")
    for face in found.answer.faces:
        box = face.box
        print_line(f"  {box.x1:.0f},{box.y1:.0f},{box.x2:.0f},{box.y2:.0f}  {_told(face)}")


def _told(face: IdentifiedFace) -> str:
    """Return one line about a face; candidates far below one per cent are left out."""
    others = [one for one in face.identities if one.confidence >= _WORTH_TELLING]
    names = ", ".join(f"{_name(one)} {one.confidence:.1%}" for one in others)
    nobody = f"nobody we know {face.nobody:.1%}"
    told = f"{nobody}, {names}" if face.verdict == "nobody" and names else names or nobody
    doubt = "unsure: " if face.verdict == "unsure" else ""
    return f"{doubt}{told}{'' if face.is_clear else ' (a poor face)'}"


def _name(one: IdentifiedAs) -> str:
    return f"{one.label} (identity {one.number})" if one.label else f"identity {one.number}"
