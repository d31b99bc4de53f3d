"""The ``evaluate`` command: it measures the grouping against labels."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from immich_facesets.errors import SetupError
from immich_facesets.evaluation.baselines import missing_packages
from immich_facesets.evaluation.confusions import PersonScore
from immich_facesets.evaluation.metrics import CalibrationBin
from service.cli.terminal import err, out, plain, print_json, print_line, print_remark
from service.reports.evaluation.comparison import Evaluation, EvaluationInput, read_evaluation_input
from service.reports.evaluation.labels import Labels, labels_of_people, labels_of_rows, read_rows
from service.reports.evaluation.page import prepare_folder, write_report
from service.reports.evaluation.results import Findings, MethodFindings, UnusedLabel
from service.settings import Settings, load_settings
from service.storage import open_reading

_SHOWN = 10  # people, pairs, splits and unused lines


def evaluate(
    labels: Annotated[
        Path | None,
        typer.Argument(help="A CSV file: asset or path, name, and x1,y1,x2,y2 where a picture has several."),
    ] = None,
    *,
    people: Annotated[bool, typer.Option("--people", help="Take the people named in Immich as labels.")] = False,
    largest: Annotated[
        bool, typer.Option("--largest", help="A line without a box means the largest of several faces.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Measure other methods on the same vectors, too.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page with pictures of the mistakes into this folder.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """
    Measure how well faces are grouped, against labels of your own.

    Nothing in the library is changed, and a service may run at the same time.
    """
    if (labels is None) == (not people):
        raise SetupError(
            "name a CSV file with labels, or say --people to take the people named in Immich: one of them, not both"
        )
    missing = missing_packages() if baselines else ()
    if missing:
        raise SetupError(
            f"--baselines needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            "pip install 'immich-facesets[baselines]', or leave --baselines out"
        )
    settings = load_settings()
    evaluation = asyncio.run(_evaluation(settings, labels, largest=largest))
    if report is not None:
        prepare_folder(report)
    methods = []
    for name, judged in evaluation.methods(with_baselines=baselines):
        with _working(name):
            methods.append(judged())
    with _working("distances of pairs"):
        findings = evaluation.findings(tuple(methods))
    page = (
        None
        if report is None
        else write_report(report, findings, evaluation.inputs.library, settings.data_dir / "crops")
    )
    if json:
        print_json(findings)
        return
    _print(findings)
    if page is not None:
        print_line(f"The page: {page}")


async def _evaluation(settings: Settings, path: Path | None, *, largest: bool) -> Evaluation:
    if path is None:
        inputs = await _read_input(settings)
        labels, source = labels_of_people(inputs.library.named), "the people named in Immich"
    else:
        rows, unused = await asyncio.to_thread(read_rows, path)
        inputs = await _read_input(settings)
        labels, source = labels_of_rows(rows, unused, inputs.library, largest=largest), path.name
    if not labels.names:
        raise SetupError(_nothing(labels, source))
    return Evaluation(inputs, labels, source)


async def _read_input(settings: Settings) -> EvaluationInput:
    async with open_reading(settings) as store:
        return await read_evaluation_input(store, settings)


def _nothing(labels: Labels, source: str) -> str:
    if not labels.unused:
        return f"nothing can be measured by {source}: no label is given to any face of this library"
    words = [f"{_line(one.line)}{one.reason}" for one in labels.unused[:_SHOWN]]
    return f"none of the labels in {source} belongs to a face of this library: {'; '.join(words)}"


def _line(line: int) -> str:
    return f"line {line}: " if line else ""


@contextmanager
def _working(what: str) -> Iterator[None]:
    """Print a line with the duration at the end; on a terminal, also show a status while measuring."""
    began = time.perf_counter()
    if err.is_terminal:
        with err.status(plain(f"Measuring: {what}")):
            yield
    else:
        yield
    print_remark(f"Measured: {what}, {time.perf_counter() - began:.1f} s")


def _print(findings: Findings) -> None:
    print_line(
        f"{findings.labelled} of {findings.faces} faces are labelled, {findings.people} people, by {findings.source}; "
        f"space {findings.space} ({findings.family})"
    )
    _print_unused(findings.unused)
    out.print()
    _print_figures(findings)
    for method in findings.methods:
        if method.confusions is not None:
            _print_confusions(method)


def _print_unused(unused: tuple[UnusedLabel, ...]) -> None:
    if not unused:
        return
    print_line(f"{len(unused)} labels were not used:")
    for one in unused[:_SHOWN]:
        print_line(f"  {_line(one.line)}{one.reason}")
    if len(unused) > _SHOWN:
        print_line(f"  and {len(unused) - _SHOWN} more: --json lists all")


def _print_figures(findings: Findings) -> None:
    """Print two lines per method, which fit a terminal of 80 columns."""
    print_line(f"{'':<28} {'BCubed':^20} {'Pairwise':^20}")
    print_line(f"{'':<28}" + f"{'P':>7}{'R':>7}{'F':>7}" * 2 + f"{'clusters':>9}")
    for method in findings.methods:
        found = method.standing
        if found is None:
            print_line(f"{method.name:<28}")
            print_line(f"    {method.setting}")
            continue
        rates = (one for rates in (found.bcubed, found.pairwise) for one in (rates.precision, rates.recall, rates.f))
        print_line(f"{method.name:<28}" + "".join(f"{one:7.4f}" for one in rates) + f"{found.clusters:9}")
        strangers = f"{found.strangers.foreign} of {found.strangers.faces} strangers"
        seconds = "" if method.seconds is None else f", {method.seconds:.1f} s"
        print_line(f"    {method.setting}; {strangers}{seconds}")
    print_line(
        f"Clusters: how many groups have labelled faces. Strangers: of the labelled faces in sets of "
        f"{findings.min_pictures} pictures and more, those of somebody else."
    )


def _print_confusions(method: MethodFindings) -> None:
    if method.confusions is None:
        return
    found = method.confusions
    out.print()
    wrong = [one for one in found.people if one.f < 1]
    if not wrong:
        print_line(f"{method.name}: nobody is confused")
    else:
        print_line(
            f"{method.name}: {len(found.people) - len(wrong)} of {len(found.people)} people are whole and pure; worst:"
        )
        out.print(_people(wrong[:_SHOWN]))
    if found.merged:
        print_line("  Two people in one group (faces that would have to leave):")
    for pair in found.merged[:_SHOWN]:
        print_line(f"    {pair.faces:5} {pair.one} and {pair.other}")
    if found.split:
        print_line("  One person in several groups (faces of each part):")
    for one in found.split[:_SHOWN]:
        parts = ", ".join(map(str, one.parts[:6])) + (", ..." if len(one.parts) > 6 else "")
        print_line(f"    {one.faces:5} {one.person}: {parts}")
    _print_calibration(method.calibration)


def _people(people: list[PersonScore]) -> Table:
    table = Table("  Person", "Faces", "Completeness", "Purity", "Parts", box=None)
    for one in people:
        name = plain(f"  {one.person}")
        table.add_row(name, str(one.faces), f"{one.completeness:.3f}", f"{one.purity:.3f}", str(one.parts))
    return table


def _print_calibration(classes: tuple[CalibrationBin, ...]) -> None:
    if not classes:
        return
    print_line("  Stated probability, and the share that was right:")
    for one in classes:
        print_line(
            f"    {one.low:.2f} to {one.high:.2f}: {one.faces} faces, said {one.said:.3f}, right {one.right:.3f}"
        )
