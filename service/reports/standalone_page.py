"""Pages that are one file: they need no network, no script and no other file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from immich_facesets.wording import counted
from service.files.durable import disk_trouble, replace_privately, sync_folder


def render_page(template: str, **values: Any) -> str:
    """
    Return a page as text. Every template extends ``page.html``, which holds the stylesheet ``page.css``.

    ``template``: relative to this package. Beside ``values`` it gets ``written``, the time of the page.
    """
    return _environment().get_template(template).render(**values, written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def write_page(path: Path, html: str) -> None:
    """
    Write a page, readable by its owner only; readers see the whole new file or the previous one. Blocking.

    A disk error raises a ``SetupError``.
    """
    with disk_trouble(path.parent):
        replace_privately(path, html.encode(errors="backslashreplace"))
        sync_folder(path.parent)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.reports", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["share"] = lambda value: f"{value:.4f}"
    environment.filters["whole"] = lambda value: f"{value:,}"
    environment.filters["size"] = lambda count: f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"
    environment.globals["counted"] = counted
    return environment
