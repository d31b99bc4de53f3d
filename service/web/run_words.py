"""The words for a sync or an export that has run: its kind, and what came of it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from immich_facesets.wording import counted
from service.progress import JobKind

KINDS: Final[Mapping[JobKind, str]] = {
    "incremental": "Sync",
    "faces": "Sync, all faces read",
    "full": "Full sync",
    "export": "Export",
}


def _some(one: str, after: str = "", *, many: str | None = None) -> Callable[[int], str]:
    """Return the phrase for a count: ``3 face sets written``."""
    return partial(_phrase, one, many, after)


def _phrase(one: str, many: str | None, after: str, count: int) -> str:
    return f"{counted(count, one, many)} {after}".rstrip()


_PHRASES: Final[Mapping[str, Callable[[int], str]]] = {
    "discover_new": _some("new picture"),
    "discover_changed": _some("changed picture"),
    "discover_gone": _some("picture", "gone"),
    "discover_failed": _some("picture", "without an answer"),
    "embed_embedded": _some("picture", "read"),
    "embed_faces": _some("new face"),
    "group_new_identities": _some("new person", many="new people"),
    "group_joined": _some("face", "given to people"),
    "group_left": _some("face", "taken from people"),
    "group_undecided": _some("face", "between two people"),
    "publish_written": _some("face set", "written"),
    "publish_forms": _some("form", "for other programs written"),
    "publish_removed": _some("face set", "removed"),
    "publish_kept": _some("file", "of others kept"),
}

_UNTOLD: Final = frozenset(
    {
        "discover_listed",
        "discover_looked",
        "discover_bad_spots",
        "embed_fetched",
        "embed_fetched_bytes",
        "embed_reused",
        "embed_aliases",
        "embed_failed",
        "embed_unread",
        "group_nearly_there",
        "group_dropped_contents",
        "publish_facesets",
        "publish_checked",
        "publish_enriched",
        "publish_cut",
    }
)
"""The counts that say how the work was done, or that the message of the run has. The API has all of them."""


def kind_words(kind: str) -> str:
    """Return the words for a kind of job; an unknown one as it is."""
    return {str(name): words for name, words in KINDS.items()}.get(kind, kind)


def came_of(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what came of a job, a phrase for each count that matters to a person, in the order of the stages."""
    told = [phrase(counts[name]) for name, phrase in _PHRASES.items() if counts.get(name)]
    unknown = sorted(counts.keys() - _PHRASES.keys() - _UNTOLD)
    return (*told, *(f"{counts[name]:,} {name.replace('_', ' ')}" for name in unknown if counts[name]))
