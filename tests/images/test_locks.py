"""Lock files: what a fresh machine and each image install, and agreement between the locks."""

import re
import tomllib
from pathlib import Path

import pytest
from dockerfiles import REPOSITORY
from packaging.requirements import Requirement

LOCKS = [REPOSITORY / "requirements.lock", *sorted((REPOSITORY / "docker").glob("*.lock"))]


def locked(path: Path) -> dict[str, set[str]]:
    """Name to versions: one, or one per range of Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==([^ ]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_every_file_by_its_digest_and_no_place_to_get_it_from(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if entry and not entry.startswith("#")]
    assert entries
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    assert "://" not in text
    assert not re.search(r"^\s*--(extra-)?(index|find)", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_no_lock_brings_a_second_cv2(path: Path) -> None:
    assert "opencv-python" not in locked(path)


@pytest.mark.parametrize("path", LOCKS[1:], ids=lambda path: path.name)
def test_an_image_holds_the_versions_that_were_tested(path: Path) -> None:
    tested, shipped = locked(LOCKS[0]), locked(path)
    assert {name: versions for name, versions in shipped.items() if tested.get(name, versions) != versions} == {}


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", {"dev"}),
        ("docker/service.lock", {"service", "postgres"}),
        ("docker/models.lock", {"models"}),
        *((f"docker/embedder-{kind}.lock", {f"embedder-{kind}"}) for kind in ("cpu", "cuda", "openvino", "migraphx")),
    ],
)
def test_a_lock_holds_what_the_project_asks_for(lock: str, extras: set[str]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    waiting = list(extras)
    while waiting:
        for text in project["optional-dependencies"][waiting.pop()]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                waiting += requirement.extras
            else:
                wanted.append(requirement)
    found = locked(REPOSITORY / lock)
    for requirement in wanted:
        versions = found.get(requirement.name.lower().replace("_", "-"), set())
        assert versions, f"{requirement.name} is missing: make lock"
        assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), requirement


def test_the_builder_is_locked_too() -> None:
    assert "hatchling" in locked(LOCKS[0])
    assert set(locked(REPOSITORY / "docker/build.lock")) >= {"hatchling"}
