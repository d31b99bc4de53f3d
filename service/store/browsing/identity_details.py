"""One identity with all that is known of it, its eras, and the identities in the same pictures."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, exists, func, select

from service.store.browsing.identity_lists import (
    ListedIdentity,
    exported_directories,
    files_of_crops,
    known_births,
    questions_about,
    shown_labels,
)
from service.store.browsing.kept import Kept, Now, about_people
from service.store.browsing.slices import Page, Slice, page_of
from service.store.browsing.standing import faces_at, standing
from service.store.chunks import chunks
from service.store.identities import GivenName, given_names
from service.store.spaces import active_space
from service.store.tables import assets, crops, era_faces, eras, exports, faces, identities, memberships

WhyNotExported = Literal["", "never_export", "no_faces", "no_face_large_enough", "nothing_exported_yet", "not_yet"]
"""Why no face set of an identity is there; empty where one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDetails:
    """One identity. ``is_minor``: a moderator marked it as such. ``profiles_off``: not written for it."""

    listed: ListedIdentity
    names: tuple[GivenName, ...]
    created_at: datetime
    birth_date: str | None
    is_minor: bool
    how: Mapping[str, int]
    sources: Mapping[str, int]
    is_stranger: bool
    profiles_off: tuple[str, ...]
    why_not_exported: WhyNotExported


@dataclass(frozen=True, slots=True)
class MergedNumber:
    """A number that was merged; ``into``: the number that leads to its faces now."""

    into: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EraRow:
    """One era of an identity; ``placed``: those of its faces that have no date of their own."""

    name: str
    kind: str
    from_year: int | None
    main_year: int | None
    to_year: int | None
    faces: int
    placed: int


@dataclass(frozen=True, slots=True)
class Companion:
    """Another identity, with the number of pictures that show both."""

    number: int
    label: str | None
    pictures: int


def identity_details(tx: Connection, number: int, kept: Kept) -> IdentityDetails | MergedNumber | None:
    """
    Return one identity; None for a number that no identity ever had, or whose data was erased.

    ``kept``: what the reader read before.
    """
    now = kept.at(tx)
    state = now.read(standing)
    if (into := state.effect.current(number)) != number:
        return MergedNumber(into)
    row = tx.execute(select(identities).where(identities.c.number == number)).one_or_none()
    if row is None or number in state.effect.forgotten:
        return None
    how = now.read(_ways, number)
    listed = _listed(now, row, sum(how.values()))
    return IdentityDetails(
        listed=listed,
        names=tuple(now.read(given_names).get(number, ())),
        created_at=row.created_at,
        birth_date=known_births(now).get(number),
        is_minor=state.effect.minors.get(number, False),
        how=how,
        sources=now.read(_sources, number),
        is_stranger=number in state.effect.strangers,
        profiles_off=state.profiles_off(number),
        why_not_exported=why_not_exported(tx, [listed])[number],
    )


def survivor(tx: Connection, number: int, kept: Kept | None = None) -> int | None:
    """
    Return the present number of an identity: its own, or after a merge the survivor's; None for an unknown one.

    ``kept``: what the reader read before, where it keeps anything.
    """
    state = standing(tx) if kept is None else kept.at(tx).read(standing)
    if (into := state.effect.current(number)) != number:
        return into
    is_there = tx.scalar(select(identities.c.number).where(identities.c.number == number)) is not None
    return number if is_there and number not in state.effect.forgotten else None


@about_people
def eras_of(tx: Connection, number: int) -> list[EraRow]:
    """Return the eras of an identity, earliest first."""
    counted = (
        select(
            era_faces.c.name,
            func.count().label("faces"),
            func.count(era_faces.c.confidence).label("placed"),
        )
        .join(memberships, memberships.c.face_id == era_faces.c.face_id)
        .where(memberships.c.identity == number, era_faces.c.identity == number)
        .group_by(era_faces.c.name)
        .subquery()
    )
    rows = tx.execute(
        select(eras, counted.c.faces, counted.c.placed)
        .outerjoin(counted, counted.c.name == eras.c.name)
        .where(eras.c.identity == number)
        .order_by(func.coalesce(eras.c.main_year, 9999), eras.c.name)
    )
    return [
        EraRow(
            name=row.name,
            kind=row.kind,
            from_year=row.from_year,
            main_year=row.main_year,
            to_year=row.to_year,
            faces=row.faces or 0,
            placed=row.placed or 0,
        )
        for row in rows
    ]


@about_people
def examples_of_eras(tx: Connection, number: int, most: int) -> dict[str, tuple[tuple[int, str], ...]]:
    """Return some faces of each era of an identity, spread over all that have a crop: ids with the files of the crops."""
    rows: Any = tx.execute(
        select(era_faces.c.name, crops.c.face_id, crops.c.file)
        .join(memberships, memberships.c.face_id == era_faces.c.face_id)
        .join(crops, crops.c.face_id == era_faces.c.face_id)
        .where(memberships.c.identity == number, era_faces.c.identity == number)
        .order_by(crops.c.face_id)
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for name, face_id, file in rows:
        found.setdefault(name, []).append((face_id, file))
    return {name: tuple(faces[:: max(1, len(faces) // most)][:most]) for name, faces in found.items()}


def companions(tx: Connection, number: int, part: Slice, kept: Kept) -> Page[Companion]:
    """Return the identities that are in the same pictures, those of most pictures first."""
    now = kept.at(tx)
    hidden, names = now.read(standing).hidden, now.read(shown_labels)
    counted = now.read(_pictures_together, number)
    found = [Companion(other, names.get(other), pictures) for other, pictures in counted if other not in hidden]
    return page_of(found, lambda one: (-float(one.pictures), one.number), part)


@about_people
def _pictures_together(tx: Connection, number: int) -> tuple[tuple[int, int], ...]:
    """Return the other identities in the pictures of an identity, each with the number of those pictures."""
    mine, theirs, other = faces.alias(), faces.alias(), memberships.alias()
    rows: Any = tx.execute(
        select(other.c.identity, func.count(mine.c.sha256.distinct()))
        .select_from(memberships)
        .join(mine, mine.c.face_id == memberships.c.face_id)
        .join(theirs, theirs.c.sha256 == mine.c.sha256)
        .join(other, other.c.face_id == theirs.c.face_id)
        .where(memberships.c.identity == number, other.c.identity != number)
        .group_by(other.c.identity)
    )
    return tuple((int(other), int(pictures)) for other, pictures in rows)


def _listed(now: Now, row: Any, count: int) -> ListedIdentity:
    tx, state = now.tx, now.read(standing)
    summary = now.summaries([row.number]).get(row.number)
    cover = None if summary is None else summary.cover
    if (ref := state.covers.get(row.number)) is not None:
        cover = faces_at(tx, {row.number: ref}, active_space(tx) or "").get(row.number, cover)
    return ListedIdentity(
        number=row.number,
        label=now.read(shown_labels).get(row.number),
        origin=row.origin,
        is_locked=state.is_locked(row),
        is_never_exported=state.is_never_exported(row),
        faces=count,
        pictures=0 if summary is None else summary.pictures,
        cover=cover,
        cover_file=None if cover is None else files_of_crops(tx, [cover]).get(cover),
        directories=exported_directories(tx, [row.number]).get(row.number, ()),
        days=("", "") if summary is None else summary.days,
        questions=questions_about(tx).get(row.number, 0),
    )


def _ways(tx: Connection, number: int) -> dict[str, int]:
    """Return how many faces of an identity joined in each way."""
    rows: Any = tx.execute(
        select(memberships.c.how, func.count())
        .where(memberships.c.identity == number)
        .group_by(memberships.c.how)
        .order_by(memberships.c.how)
    )
    return {way: int(count) for way, count in rows}


@about_people
def _sources(tx: Connection, number: int) -> dict[str, int]:
    rows: Any = tx.execute(
        select(assets.c.source, func.count(faces.c.face_id.distinct()))
        .join(faces, faces.c.sha256 == assets.c.content)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(memberships.c.identity == number, assets.c.is_gone.is_(False))
        .group_by(assets.c.source)
        .order_by(assets.c.source)
    )
    return {source: int(count) for source, count in rows}


def why_not_exported(tx: Connection, listed: Collection[ListedIdentity]) -> dict[int, WhyNotExported]:
    """Return why no face set of each identity is there, as a code; "" where one is."""
    numbers = [one.number for one in listed if not one.directories]
    with_crop: set[int] = set()
    for some in chunks(numbers):
        has_crop = (memberships.c.identity == identities.c.number, crops.c.face_id == memberships.c.face_id)
        with_crop |= set(
            tx.scalars(select(identities.c.number).where(identities.c.number.in_(some), exists().where(*has_crop)))
        )
    is_any = bool(numbers) and tx.scalar(select(exports.c.directory).limit(1)) is not None
    return {one.number: _why_not(one, has_crop=one.number in with_crop, is_any=is_any) for one in listed}


def _why_not(identity: ListedIdentity, *, has_crop: bool, is_any: bool) -> WhyNotExported:
    """Return why no face set of this identity is there. ``is_any``: whether there is one of anybody."""
    if identity.directories:
        return ""
    if identity.is_never_exported:
        return "never_export"
    if not identity.faces:
        return "no_faces"
    if not has_crop:
        return "no_face_large_enough"
    return "not_yet" if is_any else "nothing_exported_yet"
