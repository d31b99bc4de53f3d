"""Eras made with another tool, which are imported beside the stored eras."""

import re
from collections.abc import Sequence
from dataclasses import replace

from immich_facesets.eras.era import KeptEra

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

    An era is imported only while most of its faces are in no era. After that, or after a new split, the stored eras are
    unchanged. Where its name is already taken, its faces become founders of the era with that name.
    """
    eras = {era.name: era for era in kept}
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
