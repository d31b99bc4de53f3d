"""The platforms of each image: what the buildx file builds, and whether its lock has a wheel for each of them."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from bake_file import read_bake
from dockerfiles import REPOSITORY, read_steps, stages

DOCKER = REPOSITORY / "docker"
BAKE = read_bake((DOCKER / "docker-bake.hcl").read_text(encoding="utf-8"))
IMAGES = {label: target for label, target in BAKE["target"].items() if label != "common"}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
NEWEST_GLIBC = 41
"""Debian 13, on which the images for both platforms stand, has glibc 2.41."""


def compose_images() -> set[str]:
    found = set()
    for name in ("compose.yml", "compose.cuda.yml", "compose.openvino.yml", "compose.rocm.yml"):
        tree: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text(encoding="utf-8"))
        found |= {container["image"] for container in tree["services"].values()}
    return found


def test_the_buildx_file_builds_the_images_that_compose_starts() -> None:
    assert {tag for target in IMAGES.values() for tag in target["tags"]} == compose_images()
    assert set(BAKE["group"]["all"]["targets"]) == set(IMAGES)
    assert set(BAKE["group"]["default"]["targets"]) < set(IMAGES)
    for label, target in IMAGES.items():
        assert target["inherits"] == ["common"]
        assert (REPOSITORY / target["dockerfile"]).is_file()
        assert label in {"service", f"embedder-{target.get('args', {}).get('PROVIDER')}"}
        assert all(f":{PROJECT['version']}" in tag for tag in target["tags"])


def test_images_for_two_platforms_stand_on_a_base_that_has_both() -> None:
    """The digest of python:3.12.13-slim-trixie is that of an index, with linux/amd64 and linux/arm64 among others."""
    for target in IMAGES.values():
        if "linux/arm64" in target["platforms"]:
            plan = list(
                stages(read_steps((REPOSITORY / target["dockerfile"]).read_text("utf-8")), target.get("args", {}))
            )
            bases = {name: base for name, base, _, _ in plan}
            used = {plan[-1][1]}
            while used & bases.keys():
                used = {bases.get(base, base) for base in used}
            assert {base.partition("@")[0] for base in used} == {"python:3.12.13-slim-trixie"}


def test_the_buildx_file_is_read_as_a_whole() -> None:
    with pytest.raises(ValueError, match="not understood"):
        read_bake('target "x" { platforms = ["linux/amd64" }')
    with pytest.raises(ValueError, match="not understood"):
        read_bake('target "x" { a = "1" a = "2" }')


def locks(label: str) -> list[Path]:
    return [DOCKER / "build.lock", DOCKER / f"{label}.lock"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("label", "platform"),
    [(label, platform) for label, target in IMAGES.items() for platform in target["platforms"]
     if "linux/arm64" in target["platforms"]],
)  # fmt: skip
def test_every_package_of_a_lock_has_a_wheel_for_the_platform(label: str, platform: str, tmp_path: Path) -> None:
    """Let pip fetch what it would install there: only wheels, with the digests of the lock."""
    machine = MACHINES[platform]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(5, NEWEST_GLIBC + 1)]
    tags += [f"manylinux2014_{machine}", f"linux_{machine}"]
    command = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--python-version", "3.12", "--implementation", "cp"]
    command += [word for abi in ("cp312", "abi3", "none") for word in ("--abi", abi)]
    command += [word for tag in tags for word in ("--platform", tag)]
    for lock in locks(label):
        done = subprocess.run(
            [*command, "--dest", str(tmp_path), "--requirement", str(lock)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    strangers = [wheel.name for wheel in tmp_path.iterdir() if not wheel.name.endswith(("-any.whl", f"_{machine}.whl"))]
    assert strangers == []
