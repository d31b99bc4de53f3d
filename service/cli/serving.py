"""One sync with its progress, then the pages: what ``run`` and ``demo`` have in common."""

import asyncio
import json
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from immich_facesets.errors import FacesetsError
from immich_facesets.exports.contact_sheet import SHEET
from immich_facesets.runtime.listen_address import Listen
from immich_facesets.runtime.shutdown import ExitCode
from service.app import App
from service.cli.sync import remarks_of, report
from service.cli.terminal import print_line, shown
from service.daemon import Service
from service.files.export_tree import ExportTree
from service.storage import web_token
from service.sync.outcome import Outcome, cut_off
from service.sync.stopping import unless_stopped
from service.web.login_links import LoginLinks

ONLY_DONE = frozenset({Outcome.DONE})


async def sync_and_serve(
    app: App,
    *,
    advice: Sequence[str],
    is_demo: bool = False,
    once: bool = False,
    goes_on_after: Collection[Outcome] = ONLY_DONE,
) -> int:
    """
    Sync, say what came of it and where the best face set is, and serve the pages until a stop.

    ``advice``: the last lines. ``is_demo``: a whole sync, and a token that protects nothing and is printed.
    """
    async with shown(app.board):
        found = await unless_stopped(app.runner.run("full" if is_demo else "incremental"), app.context.stop)
    result = cut_off({}) if found is None else found
    code = report(result, await remarks_of(app))
    print_line(f"Face sets: {app.settings.export_dir.absolute()}")
    sheet = await asyncio.to_thread(best_contact_sheet, app.tree, app.settings.export_dir.absolute())
    if sheet is not None:
        print_line(f"The contact sheet of the largest one: {sheet}")
    if once or result.outcome not in goes_on_after:
        return code

    def tell(bound: Listen) -> None:
        _tell(app, service.login_links, bound, is_demo=is_demo)
        for line in advice:
            print_line(line)

    service = Service(app, on_serving=tell)
    await service.run()
    return ExitCode.STOPPED


def _tell(app: App, links: LoginLinks, bound: Listen, *, is_demo: bool) -> None:
    """Print where the pages are; a link that signs in only where a user of this machine looks at it."""
    pages = f"http://{bound}{app.settings.base_path}"
    print_line(f"Status page: {pages}")
    if sys.stdout.isatty() and bound.is_loopback:
        print_line(f"This link signs you in once, within ten minutes: {pages}/login#{links.issue()}")
    if is_demo:
        print_line(f"Its token: {web_token(app.settings)}")
    elif app.settings.token is None:
        print_line(f"Its token is in the file {(app.settings.data_dir / 'token').absolute()}")


def best_contact_sheet(tree: ExportTree, folder: Path) -> Path | None:
    """Return the contact sheet of the face set with the most faces; None where there is none."""
    try:
        body = tree.read_file("manifest.json")
        entries = [] if body is None else json.loads(body)["facesets"]
        ranked = sorted(entries, key=lambda entry: (-entry["faces"], entry["identity"], entry["name"]))
        sheets = (folder / entry["directory"] / SHEET for entry in ranked)
        return next((sheet for sheet in sheets if sheet.is_file()), None)
    except (FacesetsError, OSError, ValueError, TypeError, KeyError):  # somebody else's file in its place
        return None
