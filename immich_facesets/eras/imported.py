"""Eras made with another tool, which are imported beside the stored eras."""

import re
from collections.abc import Sequence
from dataclasses import replace

from immich_facesets.eras.era import KeptEra, is_year_name

_MAIN = re.compile(r"\d{4}(?!\d)")


def imported_era(name: str, first: int | None, last: int | None, faces: frozenset[int]) -> KeptEra:
    """
    Return an era with its imported name and years.

    The main year is the one the name begins with, otherwise the middle of the years.
    """
    named = _MAIN.match(name)
    middle = None if first is None or last is None else (first + last) // 2
    return KeptEra(name, first, int(named[0]) if named else middle, last, faces)


def take_over(kept: Sequence[KeptEra], brought: Sequence[KeptEra]) -> tuple[KeptEra, ...]:
    """
    Return the stored eras and the imported eras, by name.

    A stored era called only by its year takes the imported name where most faces of either are in the other: somebody
    gave that name. Else an era is imported only while most of its faces are in no era. After that, or after a new split,
    the stored eras are unchanged. Where its name is already taken, its faces become founders of the era with that name.
    """
    eras = _renamed(kept, brought)
    taken = {face for era in kept for face in era.face_ids}
    for era in sorted(brought, key=lambda era: era.name):
        loose = era.founders - taken
        if 2 * len(loose) <= len(era.founders):
            continue
        known = eras.get(era.name)
        eras[era.name] = (
            replace(era, founders=loose) if known is None else replace(known, founders=known.founders | loose)
        )
        taken |= loose
    return tuple(eras[name] for name in sorted(eras))


def _renamed(kept: Sequence[KeptEra], brought: Sequence[KeptEra]) -> dict[str, KeptEra]:
    """Return the stored eras by name; those called by their year have the imported name of the same faces."""
    eras = {era.name: era for era in kept}
    for era in kept:
        faces = era.face_ids
        same = [one for one in brought if 2 * len(one.founders & faces) > max(len(one.founders), len(faces))]
        if len(same) == 1 and is_year_name(era.name) and not is_year_name(same[0].name) and same[0].name not in eras:
            del eras[era.name]
            eras[same[0].name] = replace(era, name=same[0].name)
    return eras
