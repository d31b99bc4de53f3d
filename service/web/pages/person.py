"""The page of one person: who it is, all faces, the years of a life, and what a person can decide about it."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import hdrs, web

from immich_facesets.errors import RequestError
from service.web.deciding import etag_of
from service.web.library.decisions import DecisionsPage
from service.web.library.faces import FacesAnswer
from service.web.library.identities import (
    FaceOrder,
    FacesQuery,
    HistoryAnswer,
    IdentityAnswer,
    NearestQuery,
    PageQuery,
)
from service.web.library.proposals import SimilarQuery
from service.web.pages.charts import distance_chart, year_chart
from service.web.pages.kept_references import references_view
from service.web.pages.planned_sets import planned_after_decision
from service.web.pages.shell import Done, render_page
from service.web.pages.wording import WHY_NOT, decision_words, name_of, named, numbers_in, years_of
from service.web.parameters import number_in, read_query
from service.web.routes import Access, Answer, Route
from service.web.viewers import library_of

QueryT = TypeVar("QueryT", bound=msgspec.Struct)

SORTS: dict[FaceOrder, str] = {
    "distance": "Most typical first",
    "doubt": "Most doubtful first",
    "quality": "Best first",
    "time": "Oldest first",
}
HOW = {
    "asserted": "named by a source",
    "matched": "recognised",
    "discovered": "found together with the others",
    "decided": "decided by a person",
}
FACES_OF_A_PAGE = 120
NEIGHBOURS = 8
LIMITS = ("farther_than", "nearer_than", "taken_since", "taken_before", "source")


class PersonQuery(FacesQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which faces of a person are shown."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="the most entries of the page")] = FACES_OF_A_PAGE
    done: Done = ""


class PartQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a person's page."""

    done: Done = ""


@dataclass(frozen=True, slots=True)
class Person:
    """The person that a page is about. ``etag``: that of the identity as it is shown."""

    answer: IdentityAnswer
    etag: str

    @property
    def number(self) -> int:
        return self.answer.identity.number

    @property
    def name(self) -> str:
        return name_of(self.answer.identity)

    @property
    def years(self) -> str:
        return years_of(self.answer.identity.first_date, self.answer.identity.last_date)

    @property
    def why_not(self) -> str:
        return WHY_NOT[self.answer.why_not_exported]


async def show_person(request: web.Request) -> web.StreamResponse:
    person, query = await person_of(request), read_query(request, PersonQuery)
    library = library_of(request)
    faces, eras, figures, near, together = await asyncio.gather(
        library.faces(person.number, query),
        library.eras(person.number),
        library.figures(person.number),
        library.nearest(person.number, NearestQuery(limit=NEIGHBOURS)),
        library.together(person.number, PageQuery(limit=NEIGHBOURS)),
    )
    is_limited = any(getattr(query, name) is not None for name in LIMITS)
    view = {
        "person": person,
        "query": query,
        "faces": faces.faces,
        "total": faces.total,
        "is_limited": is_limited,
        "limits": {name: value for name in LIMITS if (value := getattr(query, name)) is not None},
        "limit_words": limit_words(query),
        "next": _next(request, faces),
        "sorts": SORTS,
        "how": HOW,
        "years": year_chart(figures, eras.eras),
        "distances": distance_chart(figures),
        "near": near.identities,
        "together": together.identities,
        "link_to": lambda **changed: _link(request, changed),
    }
    view |= await planned_after_decision(request, person.number) | await references_view(request, person.number)
    return await render_page(request, "person.html", view)


def limit_words(query: FacesQuery) -> str:
    """Return the limits of a selection in words; "" without any."""
    parts = []
    if query.taken_since is not None and query.taken_before is not None and _is_year(query):
        parts.append(f"of {query.taken_since}")
    else:
        parts += [] if query.taken_since is None else [f"taken since {query.taken_since}"]
        parts += [] if query.taken_before is None else [f"taken before {query.taken_before}"]
    parts += [] if query.farther_than is None else [f"farther than {query.farther_than:g}"]
    parts += [] if query.nearer_than is None else [f"nearer than {query.nearer_than:g}"]
    parts += [] if query.source is None else [f"of {query.source}"]
    return ", ".join(parts)


def _is_year(query: FacesQuery) -> bool:
    since, before = query.taken_since or "", query.taken_before or ""
    return len(since) == len(before) == 4 and int(before) == int(since) + 1


async def show_history(request: web.Request) -> web.StreamResponse:
    person, query = await person_of(request), read_query(request, PartQuery)
    library = library_of(request)
    found: HistoryAnswer = await library.history(person.number, query)
    view = await history_view(request, found) | {"person": person, "next": _next(request, found)}
    return await render_page(request, "history.html", view)


async def history_view(request: web.Request, found: HistoryAnswer | DecisionsPage) -> dict[str, Any]:
    """Return decisions with their words."""
    names = await library_of(request).labels(numbers_in(found.decisions))
    return {"decisions": [(one, decision_words(one, names)) for one in found.decisions]}


async def show_similar(request: web.Request) -> web.StreamResponse:
    person, _ = await person_of(request), read_query(request, PartQuery)
    library = library_of(request)
    found = await library.similar(person.number, SimilarQuery())
    names = await library.labels({one.rival for one in found.faces if one.rival is not None})
    view = {"person": person, "found": found, "named": lambda number: named(number, names)}
    return await render_page(request, "similar.html", view)


async def show_parts(request: web.Request) -> web.StreamResponse:
    person, _ = await person_of(request), read_query(request, PartQuery)
    found = await library_of(request).parts(person.number)
    return await render_page(request, "parts.html", {"person": person, "found": found, "years_of": years_of})


async def show_forget(request: web.Request) -> web.StreamResponse:
    person, _ = await person_of(request), read_query(request, PartQuery)
    return await render_page(request, "forget.html", {"person": person})


async def person_of(request: web.Request) -> Person:
    """Return the person of a page; a merged number leads to the page of the other."""
    number, library = number_in(request, "number"), library_of(request)
    survivor = await library.survivor(number)
    if survivor is not None and survivor != number and request.method == hdrs.METH_POST:
        raise RequestError(
            f"Person {number} was merged into {survivor} meanwhile: look there, and do it again.", status=409
        )
    if survivor is not None and survivor != number:
        path = request.path.replace(f"/people/{number}", f"/people/{survivor}", 1)
        raise web.HTTPSeeOther(request.rel_url.with_path(path, keep_query=True))
    found = None if survivor is None else await library.identity(survivor)
    if found is None:
        raise RequestError(f"There is no person {number}.", status=404)
    return Person(found, etag_of(found))


def _link(request: web.Request, changed: dict[str, Any]) -> str:
    """Return the address of this page with other parameters, from its first face on; None removes one."""
    query = {name: value for name, value in request.query.items() if name not in {"cursor", "done"}}
    query |= {name: str(value) for name, value in changed.items() if value is not None}
    kept = {name: value for name, value in query.items() if changed.get(name, "") is not None}
    return str(request.rel_url.with_query(kept))


def _next(request: web.Request, found: FacesAnswer | HistoryAnswer) -> str | None:
    return None if found.next is None else str(request.rel_url.update_query(cursor=found.next))


_ANSWERS = {
    200: Answer("The page", media_type="text/html"),
    303: Answer("To the login, or to the person that this number was merged into", redirects=True),
    404: Answer("No such person", media_type="text/html"),
}

ROUTES = tuple(
    Route(
        method="GET",
        path=f"/people/{{number}}{part}",
        handler=handler,
        summary=summary,
        access=access,
        query=query,
        answers=_ANSWERS,
    )
    for part, handler, summary, access, query in (
        ("", show_person, "The page of one person with all faces", Access.USER, PersonQuery),
        ("/similar", show_similar, "Faces of nobody that look like a person", Access.ADMINISTRATOR, PartQuery),
        ("/parts", show_parts, "The people that a person seems to be", Access.ADMINISTRATOR, PartQuery),
        ("/history", show_history, "The decisions about a person", Access.ADMINISTRATOR, PartQuery),
        ("/forget", show_forget, "What forgetting a person erases", Access.ADMINISTRATOR, PartQuery),
    )
)
