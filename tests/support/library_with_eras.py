"""A small library with eras, and changes of them by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from builders import NOON
from moderated_library import BY, Moderated

from immich_facesets.eras import KeptEra
from immich_facesets.errors import RequestError
from service.store.era_decisions import EraEdit, decide_eras
from service.store.eras import EraVersion, StoredEras, record_eras, stored_eras

FIRST = EraVersion("years", "first")


def with_eras(found: Moderated) -> Moderated:
    """Three people with 7, 5 and 4 pictures, identities 1 to 3; the first has three eras."""
    for person, count in ((1, 7), (2, 5), (3, 4)):
        found.add(person, count=count)
    found.group()
    write(found, 1, life(found))
    return found


def life(library: Moderated) -> tuple[KeptEra, ...]:
    one, two, three, four, five, six, seven = (library.face(f"p{number}") for number in range(7))
    return (
        KeptEra("1995", 1994, 1995, 1996, frozenset({one, two}), {three: None}),
        KeptEra("2003", 2003, 2003, 2003, frozenset({four}), {five: 0.93}),
        KeptEra("2015", 2015, 2015, 2015, frozenset({six}), {seven: None}),
    )


def write(library: Moderated, number: int, eras: Iterable[KeptEra]) -> None:
    before = stored(library, number).version
    version = EraVersion("years", f"after {before and before.digest}" if before else FIRST.digest)
    assert library.store.write_now(record_eras, number, list(eras), leaves=(), before=before, version=version, now=NOON)


def stored(library: Moderated, number: int = 1) -> StoredEras:
    return library.store.read_now(stored_eras, number).get(number, StoredEras())


def eras(library: Moderated, number: int = 1) -> tuple[KeptEra, ...]:
    return stored(library, number).eras


def change(
    library: Moderated,
    after: Iterable[KeptEra],
    *,
    number: int = 1,
    what: Literal["rename", "merge", "split"] = "rename",
    names: Sequence[str] = (),
    name: str | None = None,
) -> int:
    """Make a change to these eras of an identity, and return its decision."""
    before = stored(library, number)
    version = EraVersion("years", f"{what} {name}")
    wanted = replace(before, eras=tuple(sorted(after, key=lambda era: era.name)), version=version)
    leaves = {face for era in before.eras for face in era.face_ids}
    leaves -= {face for era in wanted.eras for face in era.face_ids}
    moved = tuple((old, name) for old in names if name is not None)
    edit = EraEdit(what, before, wanted, tuple(names), name, frozenset(leaves), moved)
    made = library.store.write_now(decide_eras, number, edit, BY, NOON)
    assert made is not None
    return made[0]


def rename(library: Moderated, old: str, new: str) -> int:
    changed = [replace(era, name=new) if era.name == old else era for era in eras(library)]
    return change(library, changed, names=[old], name=new)


def era_of(library: Moderated, picture: str) -> tuple[int, KeptEra]:
    """The identity of a picture's face, and its era; ``RequestError`` where it is in none."""
    face, number = library.face(picture), library.number(picture) or 0
    for era in eras(library, number):
        if face in era.face_ids:
            return number, era
    raise RequestError(f"{picture} is in no era")


def rename_era(library: Moderated, picture: str, name: str) -> int:
    """Rename the era that a picture is in, and return the decision."""
    number, era = era_of(library, picture)
    others = [one for one in eras(library, number) if one != era]
    return change(library, [replace(era, name=name), *others], number=number, names=[era.name], name=name)


def merge_eras(library: Moderated, picture: str, other: str) -> int:
    """Make the eras of two pictures one, with the name of the first, and return the decision."""
    (number, into), (owner, part) = era_of(library, picture), era_of(library, other)
    if owner != number or into == part:
        raise RequestError("these are one era, or eras of two people")
    both = replace(
        into,
        from_year=min(one.from_year for one in (into, part) if one.from_year),
        to_year=max(one.to_year for one in (into, part) if one.to_year),
        founders=into.founders | part.founders,
        joined={**into.joined, **part.joined},
    )
    others = [one for one in eras(library, number) if one not in (into, part)]
    return change(library, [both, *others], number=number, what="merge", names=[part.name], name=into.name)
