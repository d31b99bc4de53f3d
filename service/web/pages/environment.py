"""The templates of the pages, with their filters and globals."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web

from immich_facesets.wording import counted
from service.web import formatting, histogram
from service.web.context import CONTEXT
from service.web.pages import static_files
from service.web.pages.documents import install_manual
from service.web.pages.failure_words import reason_words
from service.web.pages.static_files import STATIC, address_of, read_static
from service.web.pages.wording import made_by, name_of, trouble_words, with_people
from service.web.run_words import came_of, kind_words

FOLDER = Path(__file__).parents[1] / "templates"
SHOWN_FAILURES = 20


def install_pages(app: web.Application) -> None:
    """Set up the templates with their filters and globals."""
    files, base = read_static(static_files.FOLDER), app[CONTEXT].base_path
    app[STATIC] = files
    install_manual(app, base)
    filters: dict[str, Callable[..., Any]] = {
        "number": formatting.number,
        "person_name": name_of,
        "made_by": made_by,
        "counted": counted,
        "spaced": formatting.spaced,
        "size": formatting.size,
        "duration": formatting.duration,
        "relative": formatting.relative,
        "stage_note": formatting.stage_note,
        "trouble_words": trouble_words,
        "with_people": partial(with_people, base),
        "exact": formatting.exact,
        "rate": histogram.rate,
        "percent": histogram.percent,
    }
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        filters=filters,
        default_helpers=False,
    )
    environment.globals |= {
        "base": base,
        "static": partial(address_of, base, files),
        "stage_words": formatting.STAGE_WORDS,
        "stage_states": formatting.STAGE_STATES,
        "circuit_states": formatting.CIRCUIT_STATES,
        "chart_of": histogram.chart_of,
        "chart_size": (histogram.WIDTH, histogram.HEIGHT),
        "chart_ticks": histogram.TICKS,
        "outcome_words": formatting.outcome_words,
        "came_of": came_of,
        "kind_words": kind_words,
        "failure_words": reason_words,
        "shown_failures": SHOWN_FAILURES,
        "has_login": app[CONTEXT].token is not None,
    }
