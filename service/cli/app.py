"""The command-line application: it registers every command and runs one of them."""

import io
import sys
from collections.abc import Sequence

import typer

from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.shutdown import ExitCode
from service.app import program_version
from service.cli import (
    clusters,
    config,
    decisions,
    demo,
    discover,
    duplicates,
    eras,
    evaluate,
    export,
    identify,
    import_facesets,
    models,
    preflight,
    quickstart,
    references,
    review,
    setup,
    sources,
    status,
    sync,
    thresholds,
)
from service.cli.terminal import print_line, print_remark

app = typer.Typer(
    name="immich-facesets",
    help="Make curated face sets of the people in an Immich library. docs/settings.md lists the settings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(quickstart.run)
app.command("setup")(setup.setup)
app.command("serve")(sync.serve)
app.command("sync")(sync.sync)
app.command("export")(export.export)
app.command("preflight")(preflight.preflight)
app.command("import-facesets")(import_facesets.import_facesets)
app.command("status")(status.status)
app.command("thresholds")(thresholds.thresholds)
app.command("evaluate")(evaluate.evaluate)
app.command("duplicates")(duplicates.duplicates)
app.command("clusters")(clusters.clusters)
app.command("discover")(discover.discover)
app.command("identify")(identify.identify)
app.add_typer(references.identities, name="identities")
app.add_typer(decisions.decisions, name="decisions")
app.command("review")(review.review)
app.add_typer(eras.eras, name="eras")
app.add_typer(sources.sources, name="sources")
app.add_typer(config.config, name="config")
app.add_typer(models.models, name="models")
app.command("demo")(demo.demo)


@app.callback(invoke_without_command=True)
def main(*, version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    """Options of every command."""
    if version:
        print_line(program_version())
        raise typer.Exit


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. A `FacesetsError` propagates to the caller, which reports it."""
    configure_logging()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character outside the terminal's encoding must not fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(args=list(arguments), standalone_mode=False)
    except typer.TyperException as error:
        print_remark(error.format_message())
        print_remark("Try 'immich-facesets --help'.")
        return ExitCode.SETUP
    except typer.Abort:
        return ExitCode.STOPPED
    return code if isinstance(code, int) else ExitCode.STOPPED
