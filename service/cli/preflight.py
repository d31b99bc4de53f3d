"""The ``preflight`` command: it prints the shortcomings of the exported face sets."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from immich_facesets.errors import RequestError
from immich_facesets.exports.fsz import PREFLIGHT
from service.cli.terminal import print_json, print_line
from service.files.export_tree import ExportTree
from service.files.ownership import object_in
from service.settings import load_settings


def preflight(
    identity: Annotated[int | None, typer.Argument(min=1, help="Only this person, by number.")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the face sets in the export folder lack, and how many faces were left out for which reason."""
    reports = asyncio.run(asyncio.to_thread(_reports, load_settings().export_dir))
    if identity is not None:
        reports = {directory: report for directory, report in reports.items() if report["identity"] == identity}
    if not reports:
        whose = "" if identity is None else f" of identity {identity}"
        raise RequestError(
            f"there is no face set{whose} in the export folder: 'immich-facesets export' writes them", status=404
        )
    if json:
        print_json(reports)
        return
    for directory, report in reports.items():
        events = report["events"]
        print_line(f"{directory}: faces {report['faces']}, days {events['count']}, undated {events['undated']}")
        for finding in report["findings"]:
            print_line(f"  - {finding['message']}")
        for reason, count in report["left_out"].items():
            print_line(f"    left out, {reason.replace('_', ' ')}: {count}")


def _reports(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the preflight reports by directory; a directory without one is left out. Blocks."""
    found = {}
    for directory in sorted(ExportTree(folder).on_disk()):
        path = folder / directory / PREFLIGHT
        report = object_in(path.read_bytes()) if path.is_file() else {}
        if "findings" in report:
            found[directory] = report
    return found
