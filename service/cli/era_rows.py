"""Rows of eras as the commands print them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec
from rich.table import Table

from immich_facesets.eras import EraRules, KeptEra
from immich_facesets.facesets.faceset import FacesetFolder
from immich_facesets.names import faceset_name
from immich_facesets.wording import counted
from service.cli.terminal import out, plain, print_line
from service.passes.publishing.eras import EraPlan

NO_YEARS: Mapping[int, int] = MappingProxyType({})


class EraRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    One era as the commands show it. ``placed``: undated faces assigned to it by their embeddings.

    ``is_exported``: whether the last publish wrote a face set of it; None where the command does not know.
    """

    identity: int
    label: str | None
    name: str
    from_year: int | None
    to_year: int | None
    faces: int
    placed: int
    is_thin: bool
    is_exported: bool | None = None


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    The effect of a change of one identity's eras. ``gone``: names that no era has any more.

    ``decision``: that which was made, if one was.
    """

    identity: int
    label: str | None
    reason: str
    eras: tuple[EraRow, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]
    moved_faces: int
    is_written: bool
    decision: int | None = None


def as_written(row: EraRow, written: Collection[str]) -> EraRow:
    """Return the row with what the last publish made of the era: near-duplicates count once there."""
    name = faceset_name(row.identity, row.name)
    is_thin, is_main = f"{FacesetFolder.THIN}/{name}" in written, name in written
    is_published = faceset_name(row.identity) in {Path(one).name for one in written}
    return msgspec.structs.replace(
        row,
        is_thin=is_thin or (row.is_thin and not is_main),
        is_exported=is_thin or is_main if is_published or is_thin or is_main else None,
    )


def change_row(number: int, label: str | None, plan: EraPlan, reason: str, made: tuple[int, ...] | None) -> ChangeRow:
    """
    Return what a plan changes; a face whose era has another name now did not move.

    ``made``: the decision, if it was one; None where the plan was not written.
    """
    before, after = ({era.name: era.face_ids for era in kept.eras} for kept in (plan.before, plan.after))
    era_of = {face: plan.moved.get(name, name) for name, faces in before.items() for face in faces}
    moved = [face for name, faces in after.items() for face in faces if era_of.get(face, name) != name]
    return ChangeRow(
        identity=number,
        label=label,
        reason=reason,
        eras=tuple(era_row(number, label, era) for era in plan.after.eras if era.face_ids),
        new=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(before.keys() - after.keys())),
        moved_faces=len(moved) + len(plan.leaves),
        is_written=made is not None,
        decision=made[0] if made else None,
    )


def era_row(number: int, label: str | None, era: KeptEra, years: Mapping[int, int] = NO_YEARS) -> EraRow:
    """Return an era as shown; its years are those of its faces, as in manifests, or else those it was made with."""
    known = [years[face] for face in era.face_ids if face in years]
    return EraRow(
        identity=number,
        label=label,
        name=era.name,
        from_year=min(known) if known else era.from_year,
        to_year=max(known) if known else era.to_year,
        faces=len(era.face_ids),
        placed=sum(sure is not None for sure in era.joined.values()),
        is_thin=len(era.face_ids) < EraRules().min_anchor,
    )


def print_changes(rows: list[ChangeRow]) -> None:
    """Print what changes of eras did, or would do."""
    for row in rows:
        name = "" if row.label is None else f", {row.label}"
        print_line(f"Identity {row.identity}{name}: {row.reason}")
        if row.eras:
            out.print(era_table(list(row.eras)))
            changes = [f"new: {', '.join(row.new)}"] if row.new else []
            changes += [f"gone: {', '.join(row.gone)}"] if row.gone else []
            changes += [f"{counted(row.moved_faces, 'face')} moved"] if row.moved_faces else []
            print_line(f"  {'; '.join(changes) or 'nothing changes'}")
        if row.decision is not None:
            print_line(f"  Decision {row.decision}: 'immich-facesets decisions undo {row.decision}' takes it back.")
    if rows and not rows[0].is_written:
        print_line("Nothing was changed.")
    else:
        print_line("Done. The next sync writes the face sets; 'immich-facesets export' does it now.")


def era_table(rows: list[EraRow]) -> Table:
    """Return eras as a table for the terminal."""
    table = Table("Identity", "Name", "Era", "Years", "Faces", "By looks", "", box=None)
    for row in rows:
        years, name = years_words(row.from_year, row.to_year), plain(row.label or "")
        state = "not exported" if row.is_exported is False else "thin" if row.is_thin else ""
        table.add_row(str(row.identity), name, plain(row.name), years, str(row.faces), str(row.placed or ""), state)
    return table


def years_words(first: int | None, last: int | None) -> str:
    """Return the years of an era in words."""
    if first is None:
        return "undated"
    return str(first) if first == last else f"{first}-{last}"
