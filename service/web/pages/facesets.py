"""The pages of face sets: what is written for which program, one directory, who has none, and the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any

import msgspec
from aiohttp import web

from immich_facesets.errors import RequestError
from immich_facesets.exports.registry import SWITCHABLE
from immich_facesets.exports.requests import ExportRequest, read_export_requests
from immich_facesets.wording import counted
from service.web.library.addresses import name_from_path, path_name
from service.web.library.facesets import ExportedQuery, LedgerEntry, LedgerQuery
from service.web.library.identities import IdentityOrder, PageQuery, Text
from service.web.pages import export_words as words
from service.web.pages.person import PartQuery, person_of
from service.web.pages.planned_sets import planned_view
from service.web.pages.program_words import PROFILE_WORDS, ProfileWords, profile_words
from service.web.pages.shell import Done, render_page
from service.web.pages.wording import WHY_NOT, Names, name_of, named
from service.web.pages.writing_sets import NOTICES, Notice, writing_view
from service.web.parameters import read_query
from service.web.routes import Answer, Route
from service.web.viewers import library_of

SORTS: dict[IdentityOrder, str] = {
    "faces": "Most faces",
    "pictures": "Most pictures",
    "name": "Name",
    "number": "Number",
}
PEOPLE_OF_A_PAGE = 24
ENTRIES_OF_A_PAGE = 100
MOST_PICTURES = 24
"""Of a form without a contact sheet; each is shown as it is."""

PROFILES_SETTING = "FACESETS_EXPORT_PROFILES"


class SetsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose face sets are shown."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="the most people of the page")] = PEOPLE_OF_A_PAGE
    q: Annotated[Text, msgspec.Meta(description="a part of a name, or a number")] = ""
    profile: Annotated[Text, msgspec.Meta(description="written for this program alone")] = ""
    sort: Annotated[IdentityOrder, msgspec.Meta(description="the order")] = "faces"
    notice: Notice = ""
    done: Done = ""

    def exported(self, *, is_written: bool) -> ExportedQuery:
        """Return the query of the people with a face set, or of those without one."""
        return ExportedQuery(
            limit=self.limit,
            cursor=self.cursor,
            q=self.q,
            sort=self.sort,
            profile=self.profile,
            exported=None if self.profile else is_written,
        )


class EntriesQuery(LedgerQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries of the ledger are shown."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="the most entries of the page")] = ENTRIES_OF_A_PAGE
    done: Done = ""


class SetsOfPersonQuery(PartQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The face sets of a person."""

    era: Annotated[Text, msgspec.Meta(description="whose planned face set is shown; empty for all years")] = ""
    notice: Notice = ""


class OneSetQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The page of one directory."""

    notice: Notice = ""
    done: Done = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A form of face sets. ``request``: how it is written now; None where it is not."""

    name: str
    words: ProfileWords
    directories: int
    request: ExportRequest | None

    @property
    def is_switchable(self) -> bool:
        """Whether it is written, and can be switched off for a person."""
        return self.request is not None and self.name in SWITCHABLE

    @property
    def limits(self) -> str:
        """The numbers of the request in words; "" where it takes all faces as they are."""
        if self.request is None or self.name == "fsz":
            return ""
        faces = "all faces" if self.request.faces is None else f"{self.request.faces} faces each"
        return faces if self.request.pixels is None else f"{faces}, {self.request.pixels} pixels"


async def show_facesets(request: web.Request) -> web.StreamResponse:
    query, library = read_query(request, SetsQuery), library_of(request)
    found = await library.exported(query.exported(is_written=True))
    programs = await programs_of(request, found.directories)
    view = {
        "query": query,
        "found": found,
        "programs": [one for one in programs if one.request is not None or one.directories],
        "others": [one for one in programs if one.request is None and not one.directories],
        "switchable": [one for one in programs if one.is_switchable],
        "setting": PROFILES_SETTING,
        "profile_words": profile_words,
        "is_filtered": bool(query.q or query.profile or query.cursor),
    }
    return await render_page(request, "facesets.html", view | _shared(request, query, found.next))


async def show_without(request: web.Request) -> web.StreamResponse:
    query, library = read_query(request, SetsQuery), library_of(request)
    found = await library.exported(query.exported(is_written=False))
    view = {
        "query": query,
        "found": found,
        "why_not": WHY_NOT,
        "advice": words.ADVICE,
        "is_filtered": bool(query.q or query.cursor),
    }
    return await render_page(request, "facesets_without.html", view | _shared(request, query, found.next))


async def show_ledger(request: web.Request) -> web.StreamResponse:
    query, library = read_query(request, EntriesQuery), library_of(request)
    found = await library.ledger(query)
    names = await library.labels({one.identity for one in found.exports if one.identity is not None})
    days = groupby(found.exports, key=lambda one: one.made_at.date())
    view = {
        "days": [(day, [(one, entry_words(one, names)) for one in entries]) for day, entries in days],
        "of": None if query.identity is None else named(query.identity, await library.labels({query.identity})),
        "next": None if found.next is None else str(request.rel_url.update_query(cursor=found.next)),
    }
    return await render_page(request, "facesets_ledger.html", view | writing_view(request))


async def show_faceset(request: web.Request) -> web.StreamResponse:
    query, library = read_query(request, OneSetQuery), library_of(request)
    directory = name_from_path(request.match_info["directory"])
    found = await library.faceset(directory)
    if found is None:
        raise RequestError(f"There is no face set {directory} any more.", status=404)
    number = found.faceset.identity
    person = None if number is None else await library.identity(number)
    others = () if number is None else await library.facesets_of(number)
    view = {
        "one": next((one for one in others if one.faceset.directory == directory), None),
        "found": found,
        "person": person,
        "others": [one for one in others if one.faceset.directory != directory],
        "name": None if person is None else name_of(person.identity),
        "profile": profile_words(found.faceset.profile),
        "aspects": words.ASPECTS,
        "bin_words": words.BIN_WORDS,
        "pictures": [one for one in found.artifacts if one.name.endswith((".png", ".jpg", ".webp"))],
        "most_pictures": MOST_PICTURES,
        "notice": NOTICES.get(query.notice, ""),
    }
    return await render_page(request, "faceset.html", view | set_view() | writing_view(request))


async def show_sets_of_person(request: web.Request) -> web.StreamResponse:
    person, query = await person_of(request), read_query(request, SetsOfPersonQuery)
    view = {
        "person": person,
        "facesets": await library_of(request).facesets_of(person.number),
        "advice": words.ADVICE[person.answer.why_not_exported],
        "switchable": [one for one in await programs_of(request, {}) if one.is_switchable],
        "profile_words": profile_words,
        "notice": NOTICES.get(query.notice, ""),
    }
    view |= await planned_view(request, person.number, query.era)
    return await render_page(request, "person_sets.html", view | set_view() | writing_view(request))


def set_view() -> dict[str, Any]:
    """Return what the templates of a face set need."""
    return {
        "set_title": words.set_title,
        "part_title": words.part_title,
        "verdict_of": words.verdict_of,
        "left_out_of": words.left_out_of,
        "sentence": words.sentence,
        "path_name": path_name,
    }


def _shared(request: web.Request, query: SetsQuery, cursor: str | None) -> dict[str, Any]:
    return {
        "next": None if cursor is None else str(request.rel_url.update_query(cursor=cursor)),
        "sorts": SORTS,
        "notice": NOTICES.get(query.notice, ""),
        **set_view(),
        **writing_view(request),
    }


async def programs_of(request: web.Request, directories: Mapping[str, int]) -> list[Program]:
    """Return every form of face sets: those that are written, with how, and the others."""
    settings = (await library_of(request).settings()).settings
    text = next((one.value for one in settings if one.name == PROFILES_SETTING), None) or "fsz"
    requests = {one.profile.name: one for one in read_export_requests(text)}
    requests.setdefault("fsz", read_export_requests("fsz")[0])
    return [Program(name, told, directories.get(name, 0), requests.get(name)) for name, told in PROFILE_WORDS.items()]


def entry_words(entry: LedgerEntry, names: Names) -> str:
    """Return an entry of the ledger in words."""
    whose = "" if entry.identity is None else f"{named(entry.identity, names)}: "
    what = f"{whose}{words.directory_title(entry.directory, entry.profile)} {entry.action}"
    text = f"{what}, {counted(entry.faces, 'face')}" if entry.action == "written" else what
    return f"{text[:1].upper()}{text[1:]}"


_PAGE = Answer("The page", media_type="text/html")
_LOGIN = Answer("To the login", redirects=True)

ROUTES = (
    Route(
        method="GET",
        path="/facesets",
        handler=show_facesets,
        summary="The page of all face sets, by person",
        query=SetsQuery,
        answers={200: _PAGE, 303: _LOGIN},
    ),
    Route(
        method="GET",
        path="/facesets/without",
        handler=show_without,
        summary="The page of the people without a face set, and why",
        query=SetsQuery,
        answers={200: _PAGE, 303: _LOGIN},
    ),
    Route(
        method="GET",
        path="/facesets/ledger",
        handler=show_ledger,
        summary="The page of what was written and removed",
        query=EntriesQuery,
        answers={200: _PAGE, 303: _LOGIN},
    ),
    Route(
        method="GET",
        path="/facesets/{directory}",
        handler=show_faceset,
        summary="The page of one directory of the export folder",
        query=OneSetQuery,
        answers={200: _PAGE, 303: _LOGIN, 404: Answer("No such directory", media_type="text/html")},
    ),
    Route(
        method="GET",
        path="/people/{number}/sets",
        handler=show_sets_of_person,
        summary="The face sets of a person",
        query=SetsOfPersonQuery,
        answers={200: _PAGE, 303: _LOGIN, 404: Answer("No such person", media_type="text/html")},
    ),
)
