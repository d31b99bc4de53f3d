"""The face set of a person as it would be written now: on the person's page, and after a decision that changes it."""

from typing import Any

from aiohttp import web

from immich_facesets.errors import SetupError
from service.web.library.facesets import PlannedSet, PlannedSetQuery
from service.web.pages.export_words import reason_words
from service.web.pages.shell import just_made
from service.web.pages.wording import era_title
from service.web.viewers import library_of

_OF_SETS = frozenset({"for_sets", "not_for_sets"})
"""The kinds of decisions after which pages show the face set."""

MOST_BESIDE = 6
"""The faces of each kind that a page about something else shows."""


async def planned_view(request: web.Request, number: int, era: str = "") -> dict[str, Any]:
    """
    Return what the template of a planned face set needs; nothing is planned before the first grouping.

    ``era``: its name, empty for all years.
    """
    try:
        planned: PlannedSet | None = await library_of(request).planned_set(number, PlannedSetQuery(era=era))
    except SetupError:
        planned = None
    return {
        "planned": planned,
        "planned_of": number,
        "planned_most": None,
        "reason_words": reason_words,
        "era_title": era_title,
    }


async def planned_after_decision(request: web.Request, number: int | None) -> dict[str, Any]:
    """Return the same where the page shows a decision about face sets that was just made or undone, else nothing."""
    step = None if number is None else await just_made(request)
    if number is None or step is None or step.made.kind not in _OF_SETS:
        return {}
    return await planned_view(request, number) | {"planned_most": MOST_BESIDE}
