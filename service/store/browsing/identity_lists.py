"""Lists of identities: filtered, sorted, a page at a time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, exists, func, select

from immich_facesets.facesets.minors import is_under_age
from immich_facesets.names import name_key
from service.store.browsing.exported import exported_numbers
from service.store.browsing.kept import Kept, Now, about_people
from service.store.browsing.slices import Key, Page, Slice, page_of
from service.store.browsing.standing import Standing, faces_at, standing
from service.store.browsing.summaries import Summary, signatures
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
    """A page of identities, and how many match."""

    page: Page[ListedIdentity]
    total: int


def identity_page(tx: Connection, wanted: IdentityFilter, sort: IdentitySort, part: Slice, kept: Kept) -> IdentityPage:
    """Return the identities with faces that match a filter; ``kept``: what the reader read before."""
    now = kept.at(tx)
    entries = _filtered(now, wanted)
    if wanted.least_pictures or sort == "pictures":
        read = now.summaries([one.number for one in entries if one.faces >= wanted.least_pictures])
        entries = [
            replace(one, pictures=read[one.number].pictures)
            for one in entries
            if one.number in read and read[one.number].pictures >= wanted.least_pictures
        ]
    page = page_of(entries, lambda one: sort_key(one, sort), part)
    return IdentityPage(Page(_completed(now, page.items), page.last), len(entries))


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
    """``faces``: the cover of each identity that has one; ``files``: those of their crops."""

    faces: Mapping[int, int]
    files: Mapping[int, str]


def covers_of(tx: Connection, numbers: Collection[int], kept: Kept) -> Covers:
    """Return the covers of these identities; ``kept``: what the reader read before."""
    now = kept.at(tx)
    return _covers(now, now.summaries(numbers))


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


@dataclass(frozen=True, slots=True)
class _Known:
    """One identity that lists may show. ``key``: that of its name, None without one."""

    entry: ListedIdentity
    created_at: datetime
    key: str | None


def _everybody(now: Now) -> list[_Known]:
    """Return every identity with faces that lists may show."""
    state, names, members = now.read(standing), now.read(shown_labels), now.read(signatures)
    return [
        _Known(_entry(row, names, state, members[row.number][0]), row.created_at, _key_of(names.get(row.number)))
        for row in now.read(_rows)
        if row.number in members and row.number not in state.hidden
    ]


def _rows(tx: Connection) -> list[Any]:
    """Return what lists show of the row of each identity."""
    shown = ("number", "origin", "is_locked", "never_export", "created_at")
    return list(tx.execute(select(*(identities.c[name] for name in shown))))


def _filtered(now: Now, wanted: IdentityFilter) -> list[ListedIdentity]:
    others, text = _sets_of(now, wanted), wanted.text.strip()
    number, part = text.removeprefix("#"), name_key(text)
    return [
        one.entry
        for one in now.derive(_everybody)
        if all((one.entry.number in numbers) == is_in for numbers, is_in in others)
        and _matches(one, wanted)
        and (not text or number == str(one.entry.number) or (one.key is not None and part in one.key))
    ]


def _sets_of(now: Now, wanted: IdentityFilter) -> list[tuple[Collection[int], bool]]:
    """Return the sets of numbers that a filter asks for, each with whether an identity must be in it."""
    tx, found = now.tx, list[tuple[Collection[int], bool]]()
    if wanted.has_birth_date is not None or wanted.is_minor is not None:
        state = now.read(standing)
        born = known_births(now)
        if wanted.has_birth_date is not None:
            found.append((born.keys(), wanted.has_birth_date))
        if wanted.is_minor is not None:
            today = datetime.now(UTC).date()
            young = {number for number, day in born.items() if is_under_age(day, today)}
            marked = {number for number, is_minor in state.effect.minors.items() if is_minor}
            found.append((young | marked, wanted.is_minor))
    if wanted.source:
        found.append((now.read(identities_from, wanted.source), True))
    if wanted.has_questions is not None:
        found.append((questions_about(tx).keys(), wanted.has_questions))
    if wanted.is_exported is not None:
        found.append((exported_numbers(tx), wanted.is_exported))
    if wanted.profile:
        found.append((exported_numbers(tx, wanted.profile), True))
    return found


def known_births(now: Now) -> dict[int, str]:
    """Return the birth date (ISO) of each identity that has one; that of a moderator counts where sources have none."""
    stated = now.read(standing).effect.births
    return {number: date for number, date in stated.items() if date is not None} | now.read(birth_dates)


@about_people
def identities_from(tx: Connection, source: str) -> frozenset[int]:
    """Return the identities that are in a picture of this user or folder."""
    is_from = exists().where(
        memberships.c.identity == identities.c.number,
        faces.c.face_id == memberships.c.face_id,
        assets.c.content == faces.c.sha256,
        assets.c.source == source,
        assets.c.is_gone.is_(False),
    )
    return frozenset(tx.scalars(select(identities.c.number).where(is_from)))


def questions_about(tx: Connection) -> dict[int, int]:
    """Return how many questions the review queue has about each identity; without any, it is missing."""
    found: dict[int, int] = {}
    for column in (review_items.c.identity, review_items.c.other):
        rows: Any = tx.execute(select(column, func.count()).where(column.is_not(None)).group_by(column))
        for number, count in rows:
            found[number] = found.get(number, 0) + int(count)
    return found


def _entry(row: Any, names: Mapping[int, str], state: Standing, count: int) -> ListedIdentity:
    return ListedIdentity(
        number=row.number,
        label=names.get(row.number),
        origin=row.origin,
        is_locked=state.is_locked(row),
        is_never_exported=state.is_never_exported(row),
        faces=count,
    )


def _key_of(name: str | None) -> str | None:
    return None if name is None else name_key(name)


def _matches(one: _Known, wanted: IdentityFilter) -> bool:
    entry = one.entry
    return (
        wanted.is_named in {None, entry.label is not None}
        and wanted.is_locked in {None, entry.is_locked}
        and wanted.is_never_exported in {None, entry.is_never_exported}
        and (wanted.found_since is None or one.created_at >= wanted.found_since)
    )


def _covers(now: Now, read: Mapping[int, Summary]) -> Covers:
    state = now.read(standing)
    found = {number: summary.cover for number, summary in read.items() if summary.cover is not None}
    chosen = {number: state.covers[number] for number in read if number in state.covers}
    found |= faces_at(now.tx, chosen, active_space(now.tx) or "") if chosen else {}
    return Covers(found, files_of_crops(now.tx, found.values()))


def _completed(now: Now, entries: Collection[ListedIdentity]) -> tuple[ListedIdentity, ...]:
    tx, numbers = now.tx, [one.number for one in entries]
    read = now.summaries(numbers)
    covers = _covers(now, read)
    directories, questions = exported_directories(tx, numbers), questions_about(tx)
    return tuple(
        replace(
            one,
            pictures=read[one.number].pictures,
            cover=(cover := covers.faces.get(one.number)),
            cover_file=None if cover is None else covers.files.get(cover),
            directories=directories.get(one.number, ()),
            days=read[one.number].days,
            questions=questions.get(one.number, 0),
        )
        for one in entries
    )
