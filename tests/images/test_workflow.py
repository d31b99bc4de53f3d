"""The workflow for GitHub: valid, with pinned actions and the least permissions, and true to files of the tree."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from bake_file import read_bake
from dockerfiles import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
TEXT = WORKFLOWS[0].read_text(encoding="utf-8")
TREE: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = TREE["jobs"]
PUBLISHING = {name for name in JOBS if name.startswith("publish-")}

every_job = pytest.mark.parametrize("name", JOBS)


def commands() -> list[str]:
    return [line for job in JOBS.values() for step in job["steps"] for line in step.get("run", "").splitlines()]


def schema_trouble(path: Path) -> str:
    check = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [check, "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_it_obeys_the_schema_of_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["build.yml"]
    assert schema_trouble(WORKFLOWS[0]) == ""


def test_a_mistake_in_it_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "build.yml").write_text(TEXT.replace("runs-on:", "run-on:", 1), encoding="utf-8")
    assert "test" in schema_trouble(tmp_path / "build.yml")


def test_every_action_is_pinned_to_a_commit_and_names_its_version() -> None:
    used = re.findall(r"uses: (.*)", TEXT)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w.-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action), action


def test_nothing_is_allowed_that_no_job_asks_for() -> None:
    assert TREE["permissions"] == {}
    for name, job in JOBS.items():
        writes = {scope for scope, level in job["permissions"].items() if level == "write"}
        expected = {"publish-packages": {"id-token"}, "publish-images": {"packages"}}.get(name, set())
        assert writes == expected, name
        assert set(job["permissions"]) - writes <= {"contents"}
    assert "pull_request_target" not in TEXT


@every_job
def test_a_job_ends_in_time_on_a_named_system_and_keeps_no_credentials(name: str) -> None:
    job = JOBS[name]
    assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"])
    assert job["timeout-minutes"] <= 180
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


def test_only_a_tag_publishes_and_only_after_all_checks() -> None:
    assert {"publish-packages", "publish-images"} == PUBLISHING
    for name in PUBLISHING:
        assert set(JOBS[name]["needs"]) == set(JOBS) - PUBLISHING
        assert JOBS[name]["environment"] == "release"
        assert JOBS[name]["if"] == "github.event_name == 'push' && github.ref_type == 'tag'"
    secrets = {name for name, job in JOBS.items() if "secrets." in str(job)}
    assert secrets == {"publish-images"}


def test_no_text_of_others_becomes_a_command() -> None:
    for line in commands():
        assert "${{" not in line, "an expression in a command is not quoted: hand it over in `env`"


def test_the_files_and_targets_it_names_exist() -> None:
    bake = read_bake((REPOSITORY / "docker/docker-bake.hcl").read_text(encoding="utf-8"))
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    builds = [shlex.split(line) for line in commands() if "buildx bake" in line]
    assert len(builds) == 2
    for words in builds:
        assert (REPOSITORY / words[words.index("--file") + 1]).is_file()
        targets = [word for word in words[words.index("--file") + 2 :] if not word.startswith("--")]
        assert set(targets) <= set(bake["group"])
    for line in commands():
        words = line.split()
        if words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)
    assert (REPOSITORY / ".ci/run").is_file()
    assert "sudo .ci/run" in commands()
    variables = set(re.findall(r'\b(PREFIX|VERSION)="', TEXT))
    assert variables == set(
        re.findall(r'^variable "(\w+)"', (REPOSITORY / "docker/docker-bake.hcl").read_text("utf-8"), re.MULTILINE)
    )


def test_the_tag_is_compared_with_the_line_that_holds_the_version() -> None:
    (check,) = [line for line in commands() if "GITHUB_REF_NAME#v" in line and line.startswith("grep")]
    version = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version is not None
    for tag, code in ((f"v{version[1]}", 0), ("v9.9.9", 1), (f"v{version[1]}.1", 1)):
        environment = {"GITHUB_REF_NAME": tag, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(["bash", "-c", check], cwd=REPOSITORY, env=environment, capture_output=True, check=False)
        assert done.returncode == code, tag
