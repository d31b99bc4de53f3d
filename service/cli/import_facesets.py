"""The ``import-facesets`` command: it imports face sets that were sorted with another tool."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from immich_facesets.errors import RequestError, SetupError
from immich_facesets.imports.findings import Findings
from immich_facesets.imports.plan import ExistingIdentities, ImportOutcome, ImportPlan, plan_import
from immich_facesets.imports.sorted_faces import SortedSet
from immich_facesets.wording import counted
from service.cli.terminal import out, plain, print_json, print_line, print_remark
from service.files.imported_sets import read_earlier
from service.passes.context import utc_now
from service.settings import Settings, load_settings
from service.storage import database_url, open_own_store, prepare_data_dir, sqlite_file
from service.store.database import DataLock, Store, age, open_engine
from service.store.forgotten import without_forgotten_sets
from service.store.imports import Survey, record_import, survey

_NOTHING = Survey(ExistingIdentities(frozenset(), frozenset(), (), {}), {})
_WORDS = {ImportOutcome.NEW: "new", ImportOutcome.JOINS: "is here already", ImportOutcome.KNOWN: "imported before"}


class ImportedSet(msgspec.Struct, frozen=True, kw_only=True):
    """One imported person: ``faces`` in the other tool, ``new`` of them to write, ``found`` among stored faces."""

    name: str
    identity: int
    fate: str
    label: str | None
    faces: int
    new: int
    found: int
    eras: tuple[str, ...]


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON output of ``import-facesets``. ``problems``, or ``conflicts`` without --renumber, prevent writing."""

    found: tuple[str, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    conflicts: tuple[str, ...]
    sets: tuple[ImportedSet, ...]
    written: bool


def import_facesets(
    folder: Annotated[Path, typer.Argument(help="The folder with faceset_001, faceset_002 and so on.")],
    cache: Annotated[
        list[Path] | None, typer.Option(help="The npz cache of that tool; may be given several times.")
    ] = None,
    *,
    renumber: Annotated[
        bool, typer.Option("--renumber", help="Give numbers that are taken here the next free ones.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """
    Import face sets that were made with another tool: their numbers, names, periods and members.

    Faces are matched by file content, or else by path, as soon as a sync knows the pictures.
    Every damaged or contradictory entry is reported, and then nothing is changed.
    """
    settings = load_settings()
    findings = Findings()
    sets = read_earlier(folder.expanduser(), [path.expanduser() for path in cache or ()], findings)
    if findings.problems:
        _print(_report(findings, (), _NOTHING, ImportPlan((), ()), written=False), as_json=json)
        raise RequestError(f"nothing was imported: {counted(len(findings.problems), 'thing is', 'things are')} wrong")
    surveyed, plan = _previewed(settings, sets) if dry_run else _import(settings, sets, renumber=renumber)
    stopped = bool(plan.conflicts) and not renumber
    written = not (dry_run or stopped or plan.is_empty)
    _print(_report(findings, sets, surveyed, plan, written=written), as_json=json)
    if stopped:
        raise RequestError(
            f"nothing was imported: {counted(len(plan.conflicts), 'number')} cannot be kept here; with --renumber these people "
            "take the numbers shown"
        )
    if not json:
        _print_end(sets, surveyed, plan, dry_run=dry_run)


def _previewed(settings: Settings, sets: Sequence[SortedSet]) -> tuple[Survey, ImportPlan]:
    """Plan on what the database already holds, without creating or migrating it."""
    nothing = _NOTHING, plan_import(sets, _NOTHING.existing)
    if settings.database_url is None and not sqlite_file(settings).is_file():
        return nothing
    store = Store(open_engine(database_url(settings)))
    try:
        match age(store.engine):
            case "empty":
                return nothing
            case "older":
                raise SetupError("the database is from an older version: run 'immich-facesets sync' of this one first")
        sets = store.read_now(without_forgotten_sets, sets)
        surveyed = store.read_now(survey, sets)
        return surveyed, plan_import(sets, surveyed.existing)
    finally:
        store.close()


def _import(settings: Settings, sets: Sequence[SortedSet], *, renumber: bool) -> tuple[Survey, ImportPlan]:
    """Plan and write under the data lock, because a sync also assigns identity numbers."""
    folder = prepare_data_dir(settings)
    with DataLock(folder), open_own_store(settings, folder) as store:
        sets = store.read_now(without_forgotten_sets, sets)
        surveyed = store.read_now(survey, sets)
        plan = plan_import(sets, surveyed.existing)
        if not plan.is_empty and (renumber or not plan.conflicts):
            store.write_now(record_import, plan, utc_now())
        return surveyed, plan


def _report(
    findings: Findings, sets: Sequence[SortedSet], surveyed: Survey, plan: ImportPlan, *, written: bool
) -> ImportReport:
    by_number = {one.number: one for one in sets}
    return ImportReport(
        found=tuple(findings.found),
        missing=tuple(findings.missing),
        problems=tuple(findings.problems),
        conflicts=plan.conflicts,
        sets=tuple(
            ImportedSet(
                name=by_number[one.number].name,
                identity=one.identity,
                fate=one.outcome.value,
                label=by_number[one.number].label,
                faces=len(by_number[one.number].faces),
                new=len(one.faces),
                found=surveyed.found.get(one.number, 0),
                eras=tuple(period.name for period in by_number[one.number].periods),
            )
            for one in plan.sets
        ),
        written=written,
    )


def _print(report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for title, lines in (("Found:", report.found), ("Missing, and what is done without it:", report.missing)):
        if lines:
            print_line(title)
        for line in lines:
            print_line(f"  {line}")
    for title, lines in (("Wrong:", report.problems), ("Numbers that cannot be kept:", report.conflicts)):
        if lines:
            print_remark(title)
        for line in lines:
            print_remark(f"  {line}")
    if report.sets:
        table = Table("Face set", "Identity", "Name", "", "Faces", "Of them here", "Eras", box=None)
        for one in report.sets:
            table.add_row(
                one.name,
                str(one.identity),
                plain(one.label or ""),
                _WORDS[ImportOutcome(one.fate)],
                str(one.faces),
                str(one.found),
                plain(" ".join(one.eras)),
            )
        out.print(table)


def _print_end(sets: Sequence[SortedSet], surveyed: Survey, plan: ImportPlan, *, dry_run: bool) -> None:
    faces, found = sum(len(one.faces) for one in sets), sum(surveyed.found.values())
    if plan.is_empty:
        print_line("Nothing changes: all of it is here already.")
    elif dry_run:
        print_line("Nothing was written: this is what an import would change.")
    else:
        print_line(f"Done: {counted(len(sets), 'person', 'people')}. The next sync adds their faces.")
    if found < faces:
        print_line(
            f"{counted(faces - found, 'face is', 'faces are')} in pictures that no sync has seen yet, or where no face was found: "
            "each sync tries again."
        )
