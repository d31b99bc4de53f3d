"""Eras that somebody made with another tool: they come in beside those that are kept."""

import re
from collections.abc import Sequence
from dataclasses import replace

from immich_facesets.eras.era import KeptEra

_MAIN = re.compile(r"\d{4}(?!\d)")


def imported_era(name: str, first: int | None, last: int | None, faces: frozenset[int]) -> KeptEra:
    """An era by the name and the years it had there; the main year is the one it is named after, if it is."""
    named = _MAIN.match(name)
    middle = None if first is None or last is None else (first + last) // 2
    return KeptEra(name, first, int(named[0]) if named else middle, last, faces)


def take_over(kept: Sequence[KeptEra], brought: Sequence[KeptEra]) -> tuple[KeptEra, ...]:
    """
    The eras that are kept and those that are brought, by name.

    One comes in while most of its faces are in no era: afterwards, or when they were split anew, what is kept stands. Where
    its name is taken already, its faces are founders of the era that has it.
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
