"""View of one identity: its faces, their sources, how they joined, and other possible identities."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.grouping.alternatives import Alternative, alternatives
from immich_facesets.names import name_key
from service.computation import compute
from service.passes.context import PassContext
from service.passes.group_inputs.inputs import space_in_use
from service.passes.group_inputs.operating_points import points_in_use
from service.store import face_tables, identities, members
from service.store.browsing.identity_details import survivor
from service.store.database import Store
from service.store.export_folder import barred_identities
from service.store.folders import StoredSource, stored_sources
from service.store.members import MemberRow, members_of

_MOST_DIGITS = 10
"""Of a number that a database holds."""


async def require_identity(store: Store, number: int) -> None:
    """Raise a ``RequestError`` (404) unless an identity has this number now."""
    current = await store.read(survivor, number)
    if current is None:
        raise RequestError(f"there is no identity {number}; 'immich-facesets identities list' lists them", status=404)
    if current != number:
        raise RequestError(f"identity {number} was merged: it is identity {current} now", status=404)


async def exportable_person(store: Store, text: str) -> int:
    """
    Return the number of the person whom a user means by number or by name, and who may be exported.

    Otherwise raise a ``RequestError`` that says what to do.
    """
    if text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS:
        number = int(text)
        await require_identity(store, number)
    else:
        rows = await store.read(members.list_identities)
        named = [row.number for row in rows if row.label is not None and name_key(row.label) == name_key(text)]
        if not named:
            raise RequestError("nobody has that name; 'immich-facesets identities list' lists everybody", status=404)
        if len(named) > 1:
            raise RequestError(f"several people have that name: say which number, {', '.join(map(str, named))}")
        number = named[0]
    if number in await store.read(barred_identities):
        raise RequestError(f"identity {number} must never be exported, so there is nothing to write")
    return number


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """
    Contribution of one source: ``kind`` immich or folder, ``mode`` of a folder.

    ``how``: how faces joined the identity, with counts. A face whose picture lies in several sources counts in each.
    """

    source: str
    kind: str
    mode: str | None
    faces: int
    pictures: int
    how: dict[str, int]


class ShownFace(MemberRow, frozen=True, kw_only=True):
    """
    One face; ``candidates`` are the other identities within the match distance, nearest first.

    The face belongs to its identity because that was nearest, or by a user's decision.
    """

    candidates: tuple[Alternative, ...]


class NameView(msgspec.Struct, frozen=True, kw_only=True):
    """A name that a source gives to an identity."""

    source: str
    name: str
    is_shown: bool


class IdentityView(msgspec.Struct, frozen=True, kw_only=True):
    """
    All facts about one identity; ``faces`` are sorted by distance to its centroid, nearest first.

    ``names``: those that sources give to it. A name stays the one that is shown until its source changes it.
    """

    number: int
    label: str | None
    names: tuple[NameView, ...]
    provenance: tuple[Provenance, ...]
    faces: tuple[ShownFace, ...]


async def view_identity(context: PassContext, number: int) -> IdentityView | None:
    """Return the current view of an identity; None when it has no faces."""
    store = context.store
    members = await store.read(members_of, number)
    if not members:
        return None
    space = await space_in_use(context)
    table = await store.read(face_tables.face_table, space.space, space.dimension)
    others = await compute(
        alternatives,
        table,
        await store.read(identities.all_memberships),
        number,
        await points_in_use(context, space),
        context.settings.grouping_rules(table.picture_count),
    )
    sources = {source.name: source for source in await store.read(stored_sources)}
    names = await store.read(identities.given_names)
    return IdentityView(
        number=number,
        label=(await store.read(identities.labels)).get(number),
        names=msgspec.convert(names.get(number, ()), tuple[NameView, ...], from_attributes=True),
        provenance=provenance_of(members, sources),
        faces=tuple(_shown(member, others.get(member.face_id, ())) for member in members),
    )


def provenance_of(members: Sequence[MemberRow], sources: Mapping[str, StoredSource]) -> tuple[Provenance, ...]:
    """Return the contribution of each source, by name."""
    brought: dict[str, list[MemberRow]] = {}
    for member in members:
        for source in sorted({source for source, _, _ in member.places}):
            brought.setdefault(source, []).append(member)
    return tuple(
        Provenance(
            source=name,
            kind=sources[name].kind if name in sources else "",
            mode=sources[name].mode if name in sources else None,
            faces=len(several),
            pictures=len({member.sha256 for member in several}),
            how=dict(sorted(Counter(member.how for member in several).items())),
        )
        for name, several in sorted(brought.items())
    )


def _shown(member: MemberRow, candidates: tuple[Alternative, ...]) -> ShownFace:
    return ShownFace(**msgspec.structs.asdict(member), candidates=candidates)
