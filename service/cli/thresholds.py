"""The ``thresholds`` command: it shows the distances in use and the evidence for them."""

import asyncio
from typing import Annotated

import msgspec
import typer

from immich_facesets.calibration.thresholds import BIN_WIDTH, PointsInUse
from immich_facesets.wording import counted
from service.cli.terminal import print_json, print_line
from service.settings import load_settings
from service.storage import open_reading
from service.store.named_values import read_thresholds
from service.web.histogram import percent, rate

_BINS_OF_A_LINE = 2
_BAR = 26


def thresholds(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the distance thresholds in use, and what they were measured on."""
    used = asyncio.run(_read())
    if json:
        print_json(used)
        return
    if used is None:
        print_line("Nothing was measured yet: run 'immich-facesets sync' first.")
        return
    _draw(used)
    _explain(used)


async def _read() -> PointsInUse | None:
    async with open_reading(load_settings()) as store:
        return await store.read(read_thresholds)


def _draw(used: PointsInUse) -> None:
    """Print both histograms side by side, one line per 0.04 of distance, from the first to the last filled line."""
    genuine, impostor = (
        [sum(shares[start : start + _BINS_OF_A_LINE]) for start in range(0, len(shares), _BINS_OF_A_LINE)]
        for shares in (used.measured.genuine.shares, used.measured.impostor.shares)
    )
    highest = max(*genuine, *impostor)
    if not highest:
        return
    print_line(f"{'distance':>8}  {'faces of one person':{_BAR}}  faces of two people")
    lines = [place for place, shares in enumerate(zip(genuine, impostor, strict=True)) if any(shares)]
    width = BIN_WIDTH * _BINS_OF_A_LINE
    for place in range(min(lines), max(lines) + 1):
        bars = [_bar(shares[place] / highest) for shares in (genuine, impostor)]
        mark = "  <- cut" if place * width <= used.points.cluster < (place + 1) * width else ""
        print_line(f"{place * width:8.2f}  {bars[0]:{_BAR}}  {bars[1]}{mark}")
    print_line("")


def _bar(share: float) -> str:
    """Return a bar of ``#``; a dot for a share above 0 that is too small for one."""
    return "#" * round(_BAR * share) or ("." if share else "")


def _explain(used: PointsInUse) -> None:
    measured, points = used.measured, used.points
    impostor, genuine = measured.impostor, measured.genuine
    print_line(f"Model family {used.family}, space {used.space}")
    print_line(measured.reason)
    if used.fixed:
        names = ", ".join(f"FACESETS_{name.upper()}_DISTANCE" for name in used.fixed)
        print_line(f"Set by you, and obeyed as they are: {names}")
    if not used.is_applied:
        print_line(
            "The measured distances are only shown: FACESETS_THRESHOLDS or FACESETS_CLUSTER_DISTANCE fix the distances."
        )
    print_line("")
    print_line(f"{'':8}  in use  default")
    for name, value in msgspec.to_builtins(points).items():
        print_line(f"{name:8}  {value:6.3f}  {getattr(measured.defaults, name):7.3f}")
    print_line("")
    print_line(
        f"Two people: {counted(impostor.pairs, 'pair')} of {impostor.people:,} people seen together, worth "
        f"{impostor.effective:,.0f} independent ones; {counted(impostor.set_aside, 'pair')} of faces set aside as one "
        "person seen twice"
    )
    at = "the measured cut" if not used.is_applied else "the cut in use"
    print_line(f"  taken for one, estimated: {rate(impostor.chosen)} at {at}, {rate(impostor.default)} at the default")
    print_line(f"  wanted: {rate(measured.target)} (FACESETS_TARGET_FMR)")
    named = counted(genuine.people, "named person", "named people")
    print_line(f"One person: {named}; {counted(genuine.set_aside, 'pair')} of one moment left out")
    print_line(f"  pairs beyond the cut: {percent(genuine.chosen)} at {at}, {percent(genuine.default)} at the default")
    print_line("")
    print_line(
        f"To keep the model's distances: FACESETS_THRESHOLDS=fixed. To pin this cut: "
        f"FACESETS_CLUSTER_DISTANCE={points.cluster:g}; then the other distances are not adjusted either."
    )
