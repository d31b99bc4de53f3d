"""Changes of eras that a person asks for: a split anew, another name, and two eras as one."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Annotated, assert_never

import msgspec

from immich_facesets.eras.ages import Childhood, is_age_name
from immich_facesets.eras.era import EditedEras, KeptEra
from immich_facesets.eras.rules import EraRules
from immich_facesets.eras.update import grow_eras
from immich_facesets.eras.years import dominant_year, years_of
from immich_facesets.errors import RequestError
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.names import name_key

MOST_NAME = 60
"""The characters of an era's name: its face set's directory ends with it, and importing reads so many."""

EraName = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _ChangeBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", forbid_unknown_fields=True):
    """The base of all changes of one identity's eras."""


class SplitEras(_ChangeBase, frozen=True, kw_only=True, tag="split"):
    """Find the eras anew. One that keeps more than half of its faces keeps its name."""


class RenameEra(_ChangeBase, frozen=True, kw_only=True, tag="rename"):
    """Give an era another name, which the directory of its face set gets, too."""

    era: EraName
    name: EraName


class MergeEras(_ChangeBase, frozen=True, kw_only=True, tag="merge"):
    """Make these eras part of ``into``, whose name stays."""

    eras: Annotated[tuple[EraName, ...], msgspec.Meta(min_length=1, max_length=100)]
    into: EraName


EraChange = SplitEras | RenameEra | MergeEras


def edit_eras(
    table: FaceTable,
    kept: Sequence[KeptEra],
    rules: EraRules,
    change: RenameEra | MergeEras,
    childhood: Childhood | None = None,
) -> EditedEras:
    """
    Return the eras with a change, and grown as a sync grows them, so that a sync changes nothing more.

    ``table``: all faces of the identity that may be exported. An impossible change is a ``RequestError``.
    """
    match change:
        case RenameEra():
            name = _free_name(change.name, kept, change.era, is_by_age=childhood is not None)
            found, moved = _renamed(kept, change.era, name, is_by_age=childhood is not None), {change.era: name}
        case MergeEras():
            if childhood is not None:
                raise RequestError(
                    "these eras are by age, and FACESETS_ERA_AGES sets which ages each has: they can be renamed, and not "
                    "merged",
                    status=409,
                )
            found = _merged(table, kept, change.into, change.eras)
            moved = dict.fromkeys(change.eras, change.into)
        case _:
            assert_never(change)
    return EditedEras(grow_eras(table, sorted(found, key=lambda era: era.name), rules, childhood), moved)


def _renamed(kept: Sequence[KeptEra], old: str, new: str, *, is_by_age: bool) -> list[KeptEra]:
    def named(era: KeptEra) -> KeptEra:
        return replace(era, name=new, window=era.age_name if is_by_age and era.age_name != new else None)

    return [named(era) if era.name == old else era for era in kept]


def _merged(table: FaceTable, kept: Sequence[KeptEra], into: str, others: Collection[str]) -> list[KeptEra]:
    """Return the eras with some as one: every founder is one of it, and its years reach over all of them."""
    if into in others:
        raise RequestError(f"the era {into} cannot be merged into itself: name another one", status=400)
    parts = [_named(kept, name) for name in (into, *others)]
    founders = frozenset().union(*(era.founders for era in parts))
    joined = {face: sure for era in parts for face, sure in era.joined.items() if face not in founders}
    years = years_of(table.taken[[face in founders for face in table.face_ids.tolist()]])
    first, last = [era.from_year for era in parts if era.from_year], [era.to_year for era in parts if era.to_year]
    one = KeptEra(
        name=into,
        from_year=min(first, default=None),
        main_year=dominant_year(years) or parts[0].main_year,
        to_year=max(last, default=None),
        founders=founders,
        joined=joined,
    )
    return [one, *(era for era in kept if era.name not in {into, *others})]


def _named(kept: Sequence[KeptEra], name: str) -> KeptEra:
    found = next((era for era in kept if era.name == name), None)
    if found is None:
        known = ", ".join(sorted(era.name for era in kept)) or "none"
        raise RequestError(f"there is no era {name}; its eras: {known}", status=404)
    return found


def _free_name(text: str, kept: Sequence[KeptEra], old: str, *, is_by_age: bool) -> str:
    """Return a new name without surrounding blanks; one that cannot be a directory's, or is taken, is a ``RequestError``."""
    era = _named(kept, old)
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if len(name) > MOST_NAME or not name[:1].isalnum() or not all(one.isalnum() or one in " _-" for one in name):
        raise RequestError(
            f"an era's name is a part of file names: it has letters, digits, blanks, _ and - alone, begins with a letter "
            f"or a digit, and has at most {MOST_NAME} characters",
            status=400,
        )
    if name == old:
        raise RequestError(f"the era is called {name} already", status=409)
    if is_by_age and is_age_name(name) and name != era.age_name:
        raise RequestError(f"{name} is the name of other ages: take a name of another form", status=409)
    if any(name_key(era.name) == name_key(name) for era in kept if era.name != old):
        raise RequestError(f"another era is called {name}: merge the two, or take another name", status=409)
    return name
