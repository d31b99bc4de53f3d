"""The eras of a person: those in force, what a new split would make of them, and changes by hand."""

from typing import Annotated, Any

import msgspec
from aiohttp import web

from immich_facesets.eras import EraChange, SplitEras
from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from service.web.context import CONTEXT
from service.web.deciding import author_of
from service.web.forms import read_fields
from service.web.library.eras import EraQuestion
from service.web.library.facesets import FacesetSummary
from service.web.library.identities import Era
from service.web.pages.charts import year_chart
from service.web.pages.era_charts import group_charts, pair_chart, year_colours
from service.web.pages.facesets import set_view
from service.web.pages.person import PartQuery, Person, person_of
from service.web.pages.shell import DONE, Done, render_page
from service.web.pages.wording import era_title, years_of
from service.web.pages.writing_sets import writing_view
from service.web.parameters import read_query
from service.web.routes import Answer, Route
from service.web.viewers import library_of

MOST_FACES = 3000
"""More faces are compared on request only: the work grows with their square."""

MOST_FIELDS = 200


class ErasQuery(PartQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The eras of a person."""

    done: Done = ""


class CompareQuery(PartQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The comparison of the eras with a new split."""

    all: Annotated[bool, msgspec.Meta(description="compare however many faces there are")] = False


async def show_eras(request: web.Request) -> web.StreamResponse:
    person, query = await person_of(request), read_query(request, ErasQuery)
    library = library_of(request)
    eras = (await library.eras(person.number)).eras
    facesets = await library.facesets_of(person.number)
    in_eras = sum(era.faces for era in eras)
    view = {
        "person": person,
        "eras": [(era, _faceset_of(era, facesets)) for era in eras if era.faces],
        "outside": person.answer.identity.faces - in_eras,
        "by_age": any(era.kind != "years" for era in eras),
        "years": year_chart(await library.figures(person.number), eras),
        "is_changed": bool(query.done),
    }
    return await render_page(request, "eras.html", view | _shared(request))


async def show_comparison(request: web.Request) -> web.StreamResponse:
    person, query = await person_of(request), read_query(request, CompareQuery)
    calls, faces = request.app[CONTEXT].eras, person.answer.identity.faces
    view: dict[str, Any] = {"person": person, "faces": faces, "probe": None, "trouble": ""}
    if faces <= MOST_FACES or query.all:
        try:
            probe, plan = await calls.probe(person.number), await calls.plan(person.number, SplitEras())
        except RequestError:
            view["trouble"] = "No face of this person may be exported, so there is nothing to sort into eras."
        else:
            view |= {
                "probe": probe,
                "plan": plan,
                "pairs": pair_chart(probe),
                "groups": group_charts(probe),
                "colours": year_colours(probe),
            }
    return await render_page(request, "eras_compare.html", view | _shared(request))


async def change_eras(request: web.Request) -> web.StreamResponse:
    """Make the change of a form and lead back; show what a merge does before it is done."""
    person, fields = await person_of(request), await read_fields(request, MOST_FIELDS)
    form = dict(reversed(fields))
    change, calls = _change_of(fields), request.app[CONTEXT].eras
    if form.get("action") == "merge" and not form.get("is_seen"):
        plan = await calls.plan(person.number, change)
        view = {"person": person, "plan": plan, "fields": [*fields, ("is_seen", "true"), ("version", plan.version)]}
        return await render_page(request, "eras_question.html", view | _shared(request))
    question = EraQuestion(change=change, version=form.get("version") or None)
    made = await calls.make(person.number, question, author_of("page"))
    done = "" if made.decision is None else f"?{DONE}={made.decision}"
    raise web.HTTPSeeOther(f"{_address(request, person)}{done}")


def _change_of(fields: Any) -> EraChange:
    form = dict(reversed(fields))
    body: dict[str, Any] = {name: form[name] for name in ("action", "era", "name", "into") if form.get(name)}
    if names := [value for name, value in fields if name == "eras"]:
        body["eras"] = names
    try:
        return msgspec.convert(body, EraChange)  # type: ignore[no-any-return]  # a union is no type to mypy
    except msgspec.ValidationError as error:
        raise RequestError(f"this form asks for no change of eras: {error}", status=400) from error


def _faceset_of(era: Era, facesets: tuple[FacesetSummary, ...]) -> FacesetSummary | None:
    """Return the face set of an era, None where none was written under its name."""
    ends = f"_era_{era.name}"
    return next(
        (one for one in facesets if one.faceset.profile == "fsz" and one.faceset.directory.endswith(ends)), None
    )


def _address(request: web.Request, person: Person) -> str:
    return f"{request.app[CONTEXT].base_path}/people/{person.number}/eras"


def _shared(request: web.Request) -> dict[str, Any]:
    return {"years_of": _years, "era_title": era_title} | set_view() | writing_view(request)


def _years(era: Any) -> str:
    return years_of(*(None if year is None else f"{year:04d}" for year in (era.from_year, era.to_year)))


_PAGE = {
    200: Answer("The page", media_type="text/html"),
    303: Answer("To the login, or to the person that this number was merged into", redirects=True),
    404: Answer("No such person", media_type="text/html"),
}

ROUTES = (
    Route(
        method="GET",
        path="/people/{number}/eras",
        handler=show_eras,
        summary="The eras of a person",
        query=ErasQuery,
        answers=_PAGE,
    ),
    Route(
        method="GET",
        path="/people/{number}/eras/compare",
        handler=show_comparison,
        summary="What a new split would make of a person's eras, and why",
        query=CompareQuery,
        answers=_PAGE,
    ),
    Route(
        method="POST",
        path="/people/{number}/eras",
        handler=change_eras,
        summary="Change the eras of a person, and lead back to their page",
        form={
            "action": "split, rename or merge",
            "era": "The era to rename",
            "name": "Its new name",
            "eras": "The eras to merge; repeated",
            "into": "The era that they become part of",
            "version": "That of the eras as they were seen",
            "is_seen": "Not empty: the result of a merge was shown",
        },
        answers={
            200: Answer("What a merge does", media_type="text/html"),
            303: Answer("Back to the page", redirects=True),
            400: Answer("The form asks for no change", body=ErrorBody),
            404: Answer("No such person or era", body=ErrorBody),
            409: Answer("It cannot be; the message says what to do", body=ErrorBody),
            412: Answer("The eras are not as they were seen", body=ErrorBody),
        },
    ),
)
