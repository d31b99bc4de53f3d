"""Lists of identities: filtered, sorted, a page at a time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, exists, func, select

from immich_facesets.dates import EVIDENCE
from immich_facesets.facesets.minors import is_under_age
from immich_facesets.names import name_key
from service.store.browsing.exported import exported_numbers
from service.store.browsing.slices import Key, Page, Slice, page_of
from service.store.browsing.standing import Standing, faces_at, standing
from service.store.browsing.summaries import Summary, summaries
from service.store.chunks import chunks
from service.store.identities import birth_dates, given_names
from service.store.spaces import active_space
from service.store.tables import assets, crops, exports, faces, identities, memberships, review_items

IdentitySort = Literal["number", "name", "faces", "pictures"]

_KEPT_OF_NAME = 100  # characters; others are in no order
_NAMELESS = "\U0010ffff"  # behind every name


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFilter:
    """
    Which identities are wanted; None and "" filter nothing.

    ``text``: a part of a name, or a number. ``is_minor``: marked so, or under age on the day of the question.
    ``has_questions``: the review queue has any about it. ``found_since``: the identity was made then or later.
    ``is_exported``: a face set of it is there. ``profile``: a directory of this profile is there.
    """

    text: str = ""
    is_named: bool | None = None
    is_locked: bool | None = None
    is_never_exported: bool | None = None
    has_birth_date: bool | None = None
    is_minor: bool | None = None
    has_questions: bool | None = None
    found_since: datetime | None = None
    least_pictures: int = 0
    source: str = ""
    is_exported: bool | None = None
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedIdentity:
    """
    One identity of a list.

    ``cover``: a face, and the file of its crop. ``directories``: of its exported face sets. ``days``: the first and the
    last date (ISO) of its pictures, "" without any. ``questions``: how many the review queue has about it.
    """

    number: int
    label: str | None
    origin: str
    is_locked: bool
    is_never_exported: bool
    faces: int
    pictures: int = 0
    cover: int | None = None
    cover_file: str | None = None
    directories: tuple[str, ...] = ()
    days: tuple[str, str] = ("", "")
    questions: int = 0


@dataclass(frozen=True, slots=True)
class IdentityPage:
    """A page of identities. ``total`` match; ``read``: the summaries read for it, to be given to the next call."""

    page: Page[ListedIdentity]
    total: int
    read: Mapping[int, Summary]


def identity_page(
    tx: Connection, wanted: IdentityFilter, sort: IdentitySort, part: Slice, known: Mapping[int, Summary]
) -> IdentityPage:
    """Return the identities with faces that match a filter; ``known``: the summaries of calls before."""
    state = standing(tx)
    entries = _filtered(tx, wanted, state)
    read: dict[int, Summary] = {}
    if wanted.least_pictures or sort == "pictures":
        numbers = [one.number for one in entries if one.faces >= wanted.least_pictures]
        read = summaries(tx, numbers, known)
        entries = [
            replace(one, pictures=read[one.number].pictures)
            for one in entries
            if one.number in read and read[one.number].pictures >= wanted.least_pictures
        ]
    page = page_of(entries, lambda one: sort_key(one, sort), part)
    read |= summaries(tx, [one.number for one in page.items if one.number not in read], known)
    return IdentityPage(Page(_completed(tx, page.items, state, read), page.last), len(entries), read)


def sort_key(entry: ListedIdentity, sort: IdentitySort) -> Key:
    """Return the key of an entry: most faces and pictures first, names in the order of their letters."""
    match sort:
        case "number":
            return (0.0, entry.number)
        case "name":
            return (_NAMELESS if entry.label is None else name_key(entry.label)[:_KEPT_OF_NAME], entry.number)
        case "faces":
            return (-float(entry.faces), entry.number)
        case "pictures":
            return (-float(entry.pictures), entry.number)


@dataclass(frozen=True, slots=True)
class Covers:
    """``faces``: the cover of each identity that has one; ``files``: those of their crops; ``read``: as ``IdentityPage``."""

    faces: Mapping[int, int]
    files: Mapping[int, str]
    read: Mapping[int, Summary]


def covers_of(tx: Connection, numbers: Collection[int], known: Mapping[int, Summary]) -> Covers:
    """Return the covers of these identities; ``known``: the summaries of calls before."""
    return _covers(tx, summaries(tx, numbers, known), standing(tx))


def shown_labels(tx: Connection) -> dict[int, str]:
    """Return the label of each identity; a label that a moderator gave comes before names of sources."""
    found = {number: names[0].name for number, names in given_names(tx).items()}
    rows: Any = tx.execute(select(identities.c.number, identities.c.label).where(identities.c.label.is_not(None)))
    return found | {row.number: row.label for row in rows}


def exported_directories(tx: Connection, numbers: Collection[int]) -> dict[int, tuple[str, ...]]:
    """Return the directories of the exported face sets of these identities, without those of other profiles."""
    found: dict[int, list[str]] = {}
    of_identity = exports.c.entry["identity"].as_integer()
    for some in chunks(numbers):
        rows: Any = tx.execute(
            select(exports.c.directory, of_identity)
            .where(of_identity.in_(some), ~exports.c.directory.startswith("_", autoescape=True))
            .order_by(exports.c.directory)
        )
        for directory, number in rows:
            found.setdefault(int(number), []).append(directory)
    return {number: tuple(several) for number, several in found.items()}


def files_of_crops(tx: Connection, face_ids: Collection[int]) -> dict[int, str]:
    """Return the file of the crop of each of these faces that has one."""
    found: dict[int, str] = {}
    for some in chunks(face_ids):
        rows: Any = tx.execute(select(crops.c.face_id, crops.c.file).where(crops.c.face_id.in_(some)))
        found.update({row.face_id: row.file for row in rows})
    return found


def _filtered(tx: Connection, wanted: IdentityFilter, state: Standing) -> list[ListedIdentity]:
    counted = select(memberships.c.identity, func.count().label("faces")).group_by(memberships.c.identity).subquery()
    columns = (identities.c.number, identities.c.origin, identities.c.is_locked, identities.c.never_export)
    statement = select(*columns, counted.c.faces).join(counted, counted.c.identity == identities.c.number)
    if wanted.source:
        statement = statement.where(_is_from(wanted.source))
    if wanted.found_since is not None:
        statement = statement.where(identities.c.created_at >= wanted.found_since)
    names, others = shown_labels(tx), _sets_of(tx, wanted, state)
    return [
        entry
        for row in tx.execute(statement)
        if row.number not in state.hidden
        and all((row.number in numbers) == is_in for numbers, is_in in others)
        and _matches(entry := _entry(row, names, state), wanted)
    ]


def _sets_of(tx: Connection, wanted: IdentityFilter, state: Standing) -> list[tuple[Collection[int], bool]]:
    """Return the sets of numbers that a filter asks for, each with whether an identity must be in it."""
    found: list[tuple[Collection[int], bool]] = []
    if wanted.has_birth_date is not None or wanted.is_minor is not None:
        born = known_births(tx, state)
        if wanted.has_birth_date is not None:
            found.append((born.keys(), wanted.has_birth_date))
        if wanted.is_minor is not None:
            today = datetime.now(UTC).date()
            young = {number for number, day in born.items() if is_under_age(day, today)}
            marked = {number for number, is_minor in state.effect.minors.items() if is_minor}
            found.append((young | marked, wanted.is_minor))
    if wanted.has_questions is not None:
        found.append((questions_about(tx).keys(), wanted.has_questions))
    if wanted.is_exported is not None:
        found.append((exported_numbers(tx), wanted.is_exported))
    if wanted.profile:
        found.append((exported_numbers(tx, wanted.profile), True))
    return found


def known_births(tx: Connection, state: Standing) -> dict[int, str]:
    """Return the birth date (ISO) of each identity that has one; that of a moderator comes before those of sources."""
    found = birth_dates(tx) | dict(state.effect.births)
    return {number: date for number, date in found.items() if date is not None}


def questions_about(tx: Connection) -> dict[int, int]:
    """Return how many questions the review queue has about each identity; without any, it is missing."""
    found: dict[int, int] = {}
    for column in (review_items.c.identity, review_items.c.other):
        rows: Any = tx.execute(select(column, func.count()).where(column.is_not(None)).group_by(column))
        for number, count in rows:
            found[number] = found.get(number, 0) + int(count)
    return found


def days_of(tx: Connection, numbers: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return the first and the last date (ISO) that pictures of each identity state; without any, it is missing."""
    found: dict[int, tuple[str, str]] = {}
    for some in chunks(sorted(numbers)):
        rows: Any = tx.execute(
            select(memberships.c.identity, func.min(assets.c.local_date), func.max(assets.c.local_date))
            .join(faces, faces.c.face_id == memberships.c.face_id)
            .join(assets, assets.c.content == faces.c.sha256)
            .where(memberships.c.identity.in_(some), assets.c.is_gone.is_(False), assets.c.date_kind.in_(EVIDENCE))
            .group_by(memberships.c.identity)
        )
        found |= {number: (first[:10], last[:10]) for number, first, last in rows}
    return found


def _is_from(source: str) -> Any:
    return exists().where(
        memberships.c.identity == identities.c.number,
        faces.c.face_id == memberships.c.face_id,
        assets.c.content == faces.c.sha256,
        assets.c.source == source,
        assets.c.is_gone.is_(False),
    )


def _entry(row: Any, names: Mapping[int, str], state: Standing) -> ListedIdentity:
    return ListedIdentity(
        number=row.number,
        label=names.get(row.number),
        origin=row.origin,
        is_locked=state.is_locked(row),
        is_never_exported=state.is_never_exported(row),
        faces=row.faces,
    )


def _matches(entry: ListedIdentity, wanted: IdentityFilter) -> bool:
    return (
        wanted.is_named in {None, entry.label is not None}
        and wanted.is_locked in {None, entry.is_locked}
        and wanted.is_never_exported in {None, entry.is_never_exported}
        and (not wanted.text or is_named_like(entry.number, entry.label, wanted.text))
    )


def is_named_like(number: int, label: str | None, text: str) -> bool:
    """Return whether a text is a part of a label, or the number; neither case nor composition counts."""
    text = text.strip()
    return text.removeprefix("#") == str(number) or (label is not None and name_key(text) in name_key(label))


def _covers(tx: Connection, read: Mapping[int, Summary], state: Standing) -> Covers:
    found = {number: summary.cover for number, summary in read.items() if summary.cover is not None}
    chosen = {number: state.covers[number] for number in read if number in state.covers}
    found |= faces_at(tx, chosen, active_space(tx) or "") if chosen else {}
    return Covers(found, files_of_crops(tx, found.values()), read)


def _completed(
    tx: Connection, entries: Collection[ListedIdentity], state: Standing, read: Mapping[int, Summary]
) -> tuple[ListedIdentity, ...]:
    numbers = [one.number for one in entries]
    covers = _covers(tx, {number: read[number] for number in numbers}, state)
    directories, days, questions = exported_directories(tx, numbers), days_of(tx, numbers), questions_about(tx)
    return tuple(
        replace(
            one,
            pictures=read[one.number].pictures,
            cover=(cover := covers.faces.get(one.number)),
            cover_file=None if cover is None else covers.files.get(cover),
            directories=directories.get(one.number, ()),
            days=days.get(one.number, ("", "")),
            questions=questions.get(one.number, 0),
        )
        for one in entries
    )
