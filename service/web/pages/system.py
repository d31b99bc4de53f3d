"""The page about the service itself: models, sources, embedders, what is stored and why, backups, and settings."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from service.web.context import CONTEXT
from service.web.library.decisions import DecisionsQuery
from service.web.library.service import Source, StoredPart
from service.web.pages.shell import render_page
from service.web.routes import Answer, Route
from service.web.viewers import library_of


@dataclass(frozen=True, slots=True)
class PartWords:
    """A part of what is stored: its name, and why it is there."""

    name: str
    why: str


PARTS: Mapping[StoredPart, PartWords] = {
    "database": PartWords(
        "Database",
        "Which pictures there are, the vectors of their faces, people, and your decisions. Decisions cannot be computed again.",
    ),
    "crops": PartWords(
        "Crops",
        "The cut of every usable face, so that face sets are written and shown without fetching pictures again.",
    ),
    "staging": PartWords(
        "Pictures in work", "Originals that were fetched and are not read yet. They go once they are."
    ),
    "previews": PartWords("Pictures on their way", "Whole pictures that somebody looks at. They go at once."),
    "references": PartWords("Reference pictures", "Pictures that you gave to say what a person looks like."),
    "facesets": PartWords("Face sets", "What other programs read, and your own files beside it."),
    "other": PartWords(
        "Everything else", "The token of these pages, settings, and files that mark the folder as ours."
    ),
}


def source_words(source: Source) -> str:
    """Return what a source is."""
    if source.counts.kind == "immich":
        return "An account of Immich."
    sorted_by = "one person in each of its folders" if source.mode == "trusted" else "anybody anywhere in it"
    return f"A folder of pictures, with {sorted_by}."


async def show_system(request: web.Request) -> web.StreamResponse:
    context = request.app[CONTEXT]
    library = library_of(request)
    facts, sources, settings, storage, decisions = await asyncio.gather(
        context.status(),
        library.sources(),
        library.settings(),
        library.storage(),
        library.decisions(DecisionsQuery(limit=1)),
    )
    own = [one for one in settings.settings if not one.is_default]
    view = {
        "facts": facts,
        "sources": sources.sources,
        "source_words": source_words,
        "embedders": [one for one in context.board.now.remotes if one.name.startswith("embedder")],
        "storage": storage,
        "stored": [(PARTS[one.part], one) for one in storage.parts if one.bytes or one.part in {"database", "crops"}],
        "latest_decision": next(iter(decisions.decisions), None),
        "settings": (("Set by you", own), ("As they come", [one for one in settings.settings if one.is_default])),
        "version": context.version,
        "now": datetime.now(UTC),
    }
    return await render_page(request, "system.html", view)


ROUTES = (
    Route(
        method="GET",
        path="/system",
        handler=show_system,
        summary="The page about models, sources, storage, backups and settings",
        answers={200: Answer("The page", media_type="text/html"), 303: Answer("To the login", redirects=True)},
    ),
)
