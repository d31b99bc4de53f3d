"""Decisions of callers that may repeat a request, or may have seen an older state than the present one."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import Request
from service.store.decisions import last_id
from service.store.kept_answers import Key, keep_answer, kept_answer
from service.store.moderation import MadeDecisions, decide, preview_decisions


def decide_once(
    tx: Connection, requests: Sequence[Request], author: Author, now: datetime, *, key: Key | None, after: int | None
) -> MadeDecisions | None:
    """
    Make the decisions of these requests, unless it was done under this key: then return what was answered.

    None when another decision than the last known one, ``after``, was made meanwhile; nothing is changed then.
    """
    if key is not None and (known := decided_under(tx, key)) is not None:
        return known
    if after is not None and last_id(tx) != after:
        return None
    done = decide(tx, requests, author, now)
    if key is not None:
        keep_answer(tx, key, msgspec.json.encode(_without_places(done)), now)
    return done


def _without_places(done: MadeDecisions) -> MadeDecisions:
    """Return an answer without the places of copies, whose names may have that of a person who was forgotten."""
    if done.erased is None:
        return done
    return msgspec.structs.replace(done, erased=msgspec.structs.replace(done.erased, copies=()))


def decided_under(tx: Connection, key: Key) -> MadeDecisions | None:
    """Return what was answered under a key; ``RequestError`` (422) where it was another request."""
    known = kept_answer(tx, key)
    return None if known is None else msgspec.json.decode(known, type=MadeDecisions)


def preview_after(tx: Connection, requests: Sequence[Request]) -> tuple[int, MadeDecisions]:
    """Return the last decision, and what these requests would change after it."""
    return last_id(tx), preview_decisions(tx, requests)
