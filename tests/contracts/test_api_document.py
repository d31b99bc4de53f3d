"""The API's document as schemathesis reads it: no server error, and no answer that the document does not describe."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from decided_library import served_library
from hostile_requests import in_thread
from hypothesis import settings
from web_scene import ANY_PORT, TOKEN, busy_scene

from immich_facesets.runtime.listen_address import Listen
from service.web.openapi import describe
from service.web.server import ROUTES, serve_web

DOCUMENT = describe(ROUTES, version="1")
STREAM = "/api/events"
OPERATIONS = {
    f"{method.upper()} {path}"
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if path.startswith("/api/") and path != STREAM
}
OF_JOBS = {"POST /api/jobs", "POST /api/jobs/{job}/cancel"}
"""Refused by the invented scene, in which another job runs."""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


@contextmanager
def served_scene(_folder: Path) -> Iterator[Listen]:
    """An invented scene, where nearly every right request has an answer."""
    with in_thread(serve_web(busy_scene().context(), ANY_PORT)) as listen:
        yield listen


def run_schemathesis(
    folder: Path, listen: Listen, document: Mapping[str, Any], *more: str
) -> tuple[str, dict[str, Any]]:
    """
    Return what schemathesis printed, and its report, after requests with right and with wrong data.

    Its process starts in ``folder``, so that no configuration beside the tests counts.
    """
    (folder / "document.json").write_text(json.dumps(document))
    drawn = ["--generation-deterministic"] if settings().derandomize else []
    command = [sys.executable, "-m", "schemathesis.cli", "run", "document.json", "--url", f"http://{listen}", *drawn]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--checks", ",".join(CHECKS), "--mode", "all"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--request-timeout", "60"]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--no-color", "--continue-on-failure"]
    command += ["--report", "json", "--report-json-path", "report.json", *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert (folder / "report.json").exists(), done.stdout + done.stderr
    return done.stdout, json.loads((folder / "report.json").read_text())


def accepted(report: Mapping[str, Any]) -> set[str]:
    """The operations that did what a request asked for at least once."""
    rates = report["valid_rates"]
    return {name for name, phases in rates.items() if any(counts["accepted"] for counts in phases.values())}


@pytest.mark.slow
@pytest.mark.parametrize("served", [served_scene, served_library])
def test_every_answer_is_as_the_document_describes_it(served: Any, tmp_path: Path) -> None:
    with served(tmp_path) as listen:
        printed, report = run_schemathesis(
            tmp_path, listen, DOCUMENT, "--include-path-regex", "^/api/", "--exclude-path", STREAM
        )
    assert (report["exit_code"], report["stop_reason"]) == (0, "completed"), printed
    assert report["operations"]["tested"] == len(OPERATIONS)
    assert report["test_cases"]["generated"] > 100 * len(OPERATIONS)
    if served is served_scene:
        assert accepted(report) == OPERATIONS - OF_JOBS


@pytest.mark.slow
def test_a_breach_of_the_document_is_found(tmp_path: Path) -> None:
    document = deepcopy(DOCUMENT)
    schema = document["components"]["schemas"]["SearchAnswer"]
    schema["properties"]["not_there"] = {"type": "integer"}
    schema["required"].append("not_there")
    with served_scene(tmp_path) as listen:
        printed, report = run_schemathesis(tmp_path, listen, document, "--include-path", "/api/search")
    assert report["exit_code"] == 1, printed
    assert '"not_there" is a required property' in printed
