"""The documents as pages: a table of contents, and a page for each."""

import asyncio
from collections.abc import Mapping, Sequence

from aiohttp import web

from immich_facesets.errors import RequestError
from service.web.manual import Document, Manual, installed_manual
from service.web.pages.shell import render_page
from service.web.routes import Access, Answer, Route

MANUAL = web.AppKey("manual", Manual)

GROUPS: Mapping[str, Sequence[str]] = {
    "Using it": ("pages", "review", "decisions", "references", "eras", "exports", "moving-here"),
    "Running it": ("operations", "settings", "models", "commands", "api"),
    "How it works": ("grouping", "accuracy", "architecture", "licences"),
}
"""The documents in the order of the contents; one that no group names comes at the end of the first."""


def contents_of(manual: Manual) -> Mapping[str, Sequence[Document]]:
    """Return the documents of each group, and the guides to other programs."""
    named = {name for names in GROUPS.values() for name in names}
    others = [document for name, document in manual.documents.items() if name not in named]
    found = {
        title: [manual.documents[name] for name in names if name in manual.documents] for title, names in GROUPS.items()
    }
    found[next(iter(GROUPS))] += others
    return found | {"For other programs": list(manual.guides.values())}


async def show_help(request: web.Request) -> web.StreamResponse:
    return await render_page(request, "help.html", {"contents": contents_of(request.app[MANUAL])})


async def show_document(request: web.Request) -> web.StreamResponse:
    manual, name = request.app[MANUAL], request.match_info["page"]
    document = manual.document(name)
    if document is None:
        raise RequestError("There is no such document. The page Help lists all.", status=404)
    html = await asyncio.to_thread(manual.html_of, document)
    view = {"document": document, "html": html, "contents": contents_of(manual)}
    return await render_page(request, "document.html", view)


def install_manual(app: web.Application, base: str) -> None:
    """Read the documents."""
    app[MANUAL] = installed_manual(base)


ROUTES = (
    Route(
        method="GET",
        path="/help",
        handler=show_help,
        summary="The contents of the documents",
        access=Access.USER,
        answers={200: Answer("The page", media_type="text/html"), 303: Answer("To the login", redirects=True)},
    ),
    Route(
        method="GET",
        path="/help/{page}",
        handler=show_document,
        summary="One document as a page",
        access=Access.USER,
        answers={
            200: Answer("The page", media_type="text/html"),
            303: Answer("To the login", redirects=True),
            404: Answer("No such document", media_type="text/html"),
        },
    ),
)
