"""Selections of faces in requests: resolved when a decision is made, and only as many as the caller saw."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, exists, func, select

from immich_facesets.dates import EVIDENCE
from immich_facesets.errors import RequestError
from immich_facesets.moderation.facts import current_number
from immich_facesets.moderation.requests import FaceSelection, Request, selection_of, with_faces
from service.store.decisions import all_records, constraints_of
from service.store.tables import assets, faces, identities, memberships


def resolve_selections(
    tx: Connection, requests: Sequence[Request], *, is_preview: bool
) -> tuple[list[Request], tuple[int, ...]]:
    """
    Return the requests with the faces that they select, and how many each selection has.

    All selections are those before the first request; a number that was merged stands for the other. ``RequestError`` for one
    without a face, of nobody (404), or of a person whose data was erased (410). Unless it is a preview, also for one that has
    not as many faces as its caller saw (409), or whose caller saw none (400).
    """
    asked = any(selection_of(request) is not None for request in requests)
    decided = constraints_of(all_records(tx, with_eras=False) if asked else (), lambda _: None)
    found: list[Request] = []
    counts: list[int] = []
    for request in requests:
        selection = selection_of(request)
        if selection is None:
            found.append(request)
            continue
        selection = msgspec.structs.replace(selection, identity=current_number(selection.identity, decided))
        if tx.scalar(select(identities.c.number).where(identities.c.number == selection.identity)) is None:
            raise RequestError(f"there is no identity {selection.identity}", status=404)
        chosen = selected_faces(tx, selection)
        if not is_preview:
            _refuse_unseen(selection, len(chosen))
        if not chosen:
            raise RequestError(f"no face of identity {selection.identity} is within these limits")
        counts.append(len(chosen))
        found.append(with_faces(request, chosen))
    return found, tuple(counts)


def selected_faces(tx: Connection, selection: FaceSelection) -> list[int]:
    """Return the ids of the faces that a selection has now, ascending."""
    return list(tx.scalars(members_within(selection, memberships.c.face_id).order_by(memberships.c.face_id)))


def members_within(selection: FaceSelection, *columns: Any) -> Select[Any]:
    """Return the statement for columns of the members of an identity within the limits of a selection."""
    members = select(*columns).select_from(memberships).join(faces, faces.c.face_id == memberships.c.face_id)
    return members.where(memberships.c.identity == selection.identity, *_limits(selection))


def _limits(selection: FaceSelection) -> list[ColumnElement[bool]]:
    limits: list[ColumnElement[bool]] = []
    if selection.farther_than is not None:
        limits.append(memberships.c.distance > selection.farther_than)
    if selection.nearer_than is not None:
        limits.append(memberships.c.distance < selection.nearer_than)
    shows = (assets.c.content == faces.c.sha256, assets.c.is_gone.is_(False))
    dated: Any = select(func.min(assets.c.local_date)).where(*shows, assets.c.date_kind.in_(EVIDENCE)).correlate(faces)
    if selection.taken_since is not None:
        limits.append(dated.scalar_subquery() >= selection.taken_since)
    if selection.taken_before is not None:
        limits.append(dated.scalar_subquery() < selection.taken_before)
    if selection.source is not None:
        limits.append(exists().where(*shows, assets.c.source == selection.source).correlate(faces))
    return limits


def _refuse_unseen(selection: FaceSelection, count: int) -> None:
    if selection.count is None:
        raise RequestError(
            f"a selection needs its count, which a preview answers: identity {selection.identity} has {count} such faces now",
            status=400,
        )
    if selection.count != count:
        raise RequestError(
            f"the selection has {count} faces of identity {selection.identity} now, and not {selection.count}: preview it again"
        )
