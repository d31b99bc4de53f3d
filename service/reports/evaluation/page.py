"""HTML page of an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import make_folder
from service.files.durable import disk_trouble, replace_privately
from service.reports.evaluation.histogram import Plot, plot
from service.reports.evaluation.results import Findings, Histogram
from service.reports.standalone_page import render_page, write_page
from service.reports.thumbnails import thumbnail
from service.store.faces import StoredLibrary

PAGE, FIGURES = "evaluation.html", "evaluation.json"

_THUMB = 112
"""Side of a face on the page, in pixels."""


@dataclass(frozen=True, slots=True)
class _Face:
    """A face on the page: its picture as a ``data:`` URL (None: it has no crop), and its origin."""

    image: str | None
    title: str


def prepare_folder(folder: Path) -> None:
    """Create the folder of a page, accessible by its owner only; failure raises a ``SetupError``. Blocking."""
    try:
        with disk_trouble(folder):
            make_folder(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise SetupError(f"the page cannot be written to {folder}: a file is in the way") from error


def write_report(folder: Path, findings: Findings, library: StoredLibrary, crops: Path) -> Path:
    """
    Write the page and its figures into a prepared folder, and return the page's path. Blocking.

    Both contain faces and names, so only their owner can read them. Readers see the whole new file or the previous one.
    A disk error raises a ``SetupError``.
    """
    html = render(findings, library, crops)
    with disk_trouble(folder):
        replace_privately(folder / FIGURES, msgspec.json.format(msgspec.json.encode(findings)))
    write_page(folder / PAGE, html)
    return folder / PAGE


def render(findings: Findings, library: StoredLibrary, crops: Path) -> str:
    """Return the page. ``crops``: the folder in the data folder with the face crops."""
    best = max((method.standing.bcubed.f for method in findings.methods if method.standing is not None), default=0.0)
    return render_page(
        "evaluation/page.html",
        found=findings,
        best=best,
        faces=_faces(findings, library, crops),
        plot=_plot(findings.histogram),
    )


def _plot(histogram: Histogram) -> Plot:
    marks = {"joins": histogram.match, "cut": histogram.cut}
    return plot(histogram.edges, histogram.same, histogram.different, marks)


def _faces(findings: Findings, library: StoredLibrary, crops: Path) -> Mapping[int, _Face]:
    files = {face.face_id: face.crop for face in library.faces}
    return {
        one.face_id: _Face(_thumb(crops, files.get(one.face_id)), f"{one.source}: {one.path}")
        for one in findings.examples
    }


def _thumb(crops: Path, name: str | None) -> str | None:
    """Return the thumbnail of a crop; None when it is absent, lost or damaged."""
    return None if name is None else thumbnail(crops / name, _THUMB)
