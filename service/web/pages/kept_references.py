"""The reference pictures of a person on the person's page, and which of them wait."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from service.web.library.references import ReferenceShown
from service.web.library.service import Job, JobsQuery
from service.web.viewers import VIEWER, library_of

Standing = Literal["waiting", "asked", "used"]

WORDS: Mapping[Standing, str] = {"waiting": "waits", "asked": "in the review", "used": "in use"}
SENTENCES: Mapping[Standing, tuple[str, str]] = {
    "waiting": ("waits for the next sync", "wait for the next sync"),
    "asked": ("is asked about in the review", "are asked about in the review"),
    "used": ("is in use", "are in use"),
}
"""The words behind one reference picture, and behind several."""

_MOST_JOBS = 200
"""The latest jobs among which a sync is looked for: each writing of one person's face sets is a job, too."""


@dataclass(frozen=True, slots=True)
class KeptReference:
    """A reference picture as the page shows it."""

    picture: ReferenceShown
    standing: Standing

    @property
    def words(self) -> str:
        return WORDS[self.standing]


async def references_view(request: web.Request, number: int) -> dict[str, Any]:
    """Return what the template of reference pictures needs; nothing for a user, who is not shown them."""
    if not request[VIEWER].is_administrator:
        return {}
    library = library_of(request)
    found = (await library.references(number)).references
    jobs = (await library.jobs(JobsQuery(limit=_MOST_JOBS))).jobs if found else ()
    kept = [KeptReference(one, standing_of(one, jobs)) for one in found]
    counts = Counter(one.standing for one in kept)
    told = [(standing, counts[standing], SENTENCES[standing][counts[standing] > 1]) for standing in WORDS]
    return {"references": kept, "references_told": [part for part in told if part[1]]}


def standing_of(picture: ReferenceShown, jobs: Sequence[Job]) -> Standing:
    """Return whether a picture waits, is asked about or is used. A sync that ended well and began later has read it."""
    is_read = any(one.outcome == "done" and one.kind != "export" and one.started_at > picture.made_at for one in jobs)
    return "waiting" if picture.state == "used" and not is_read else picture.state
