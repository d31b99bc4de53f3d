"""The ``duplicates`` command: it finds identical files and near-duplicate pictures."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from immich_facesets.near_duplicates.pictures import MOST_BITS, PictureLikeness
from immich_facesets.wording import counted
from service.cli.terminal import print_json, print_line
from service.reports.duplicates.page import read_local_images, write_duplicates
from service.reports.duplicates.search import Duplicates, Group, find_duplicates
from service.settings import Settings, load_settings
from service.storage import open_reading

_GROUPS_SHOWN = 20  # of each kind
_USUAL = PictureLikeness()


def duplicates(
    page: Annotated[Path | None, typer.Option(help="Write a page with pictures to this file.")] = None,
    within: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_BITS,
            help="In how many of 64 bits the perceptual hashes of two similar pictures may differ.",
        ),
    ] = _USUAL.bits,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """
    Find byte-identical files, and pictures that look the same.

    Nothing is deleted and nothing is fetched; a service may run at the same time.
    """
    settings = load_settings()
    found = asyncio.run(_duplicates(settings, PictureLikeness(bits=within), page))
    if json:
        print_json(found)
        return
    _print(found)
    if page is not None:
        print_line(f"The page: {page}")


async def _duplicates(settings: Settings, likeness: PictureLikeness, page: Path | None) -> Duplicates:
    async with open_reading(settings) as store:
        found = await find_duplicates(store, likeness)
        if page is not None:
            await write_duplicates(page, found, await read_local_images(store, settings.data_dir / "crops"))
        return found


def _print(found: Duplicates) -> None:
    near, identical = found.of("near"), found.of("identical")
    print_line(
        f"{counted(found.places, 'picture')}; the looks of {found.looked_at:,} different ones compared, within "
        f"{found.within_bits} bits"
    )
    if found.without_hash:
        print_line(
            f"{counted(found.without_hash, 'picture')} embedded by an earlier version can only be compared byte by byte"
        )
    print_line(f"Pictures that show the same: {counted(len(near), 'group')}")
    _list(near)
    print_line(f"The same file in several places: {counted(len(identical), 'group')}")
    _list(identical)


def _list(groups: tuple[Group, ...]) -> None:
    for number, group in enumerate(groups[:_GROUPS_SHOWN], start=1):
        for place, picture in enumerate(group.pictures):
            size = "size unknown" if not picture.width else f"{picture.width} x {picture.height}"
            mark = "largest" if picture.is_largest and len(group.pictures) > 1 else ""
            where = "; ".join(f"{one.source}: {one.path}" for one in picture.places)
            print_line(f"  {number if not place else '':>4} {size:>13} {mark:7} {where}")
    if len(groups) > _GROUPS_SHOWN:
        print_line(f"  and {len(groups) - _GROUPS_SHOWN} more: --json lists all, --page shows them")
