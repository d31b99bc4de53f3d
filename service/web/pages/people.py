"""The page of all people: found, filtered, named, and several decided about at once."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from service.web.library.identities import IdentitiesQuery, IdentityOrder, PageQuery, Text
from service.web.pages.shell import Done, render_page
from service.web.pages.wording import years_of
from service.web.parameters import read_query
from service.web.routes import Access, Answer, Route
from service.web.viewers import VIEWER, library_of

Shown = Literal["all", "unnamed", "named", "doubtful", "new", "locked", "minors", "never"]

SHOWN: dict[Shown, str] = {
    "all": "Everybody",
    "unnamed": "Without a name",
    "named": "With a name",
    "doubtful": "With questions",
    "new": "New this month",
    "locked": "Locked",
    "minors": "Minors",
    "never": "Never exported",
}
SHOWN_TO_USERS: tuple[Shown, ...] = ("all", "unnamed", "named", "new")
"""The others are about decisions, questions and exports."""
SORTS: dict[IdentityOrder, str] = {
    "faces": "Most faces",
    "pictures": "Most pictures",
    "name": "Name",
    "number": "Number",
}
NEW_DAYS = 30
PEOPLE_OF_A_PAGE = 60


class PeopleQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which people are shown."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="the most entries of the page")] = PEOPLE_OF_A_PAGE
    q: Annotated[Text, msgspec.Meta(description="a part of a name, or a number")] = ""
    show: Annotated[Shown, msgspec.Meta(description="which people")] = "all"
    source: Annotated[Text, msgspec.Meta(description="seen in a picture of this user or folder")] = ""
    sort: Annotated[IdentityOrder, msgspec.Meta(description="the order")] = "faces"
    done: Done = ""

    def identities(self) -> IdentitiesQuery:
        """Return the query of the list."""
        return IdentitiesQuery(
            limit=self.limit,
            cursor=self.cursor,
            q=self.q,
            source=self.source,
            sort=self.sort,
            named={"named": True, "unnamed": False}.get(self.show),
            locked=True if self.show == "locked" else None,
            never_export=True if self.show == "never" else None,
            minor=True if self.show == "minors" else None,
            questions=True if self.show == "doubtful" else None,
            found_since=(datetime.now(UTC) - timedelta(days=NEW_DAYS)).date() if self.show == "new" else None,
        )


async def show_people(request: web.Request) -> web.StreamResponse:
    query, library = read_query(request, PeopleQuery), library_of(request)
    found = await library.identities(query.identities())
    shown = SHOWN if request[VIEWER].is_administrator else {name: SHOWN[name] for name in SHOWN_TO_USERS}
    view = {
        "query": query,
        "people": found.identities,
        "total": found.total,
        "next": None if found.next is None else str(request.rel_url.update_query(cursor=found.next)),
        "sources": await library.source_names(),
        "is_filtered": bool(query.q or query.source or query.show != "all"),
        "shown": shown,
        "sorts": SORTS,
        "years_of": years_of,
    }
    return await render_page(request, "people.html", view)


ROUTES = (
    Route(
        method="GET",
        path="/people",
        handler=show_people,
        summary="The page of all people",
        access=Access.USER,
        query=PeopleQuery,
        answers={200: Answer("The page", media_type="text/html"), 303: Answer("To the login", redirects=True)},
    ),
)
