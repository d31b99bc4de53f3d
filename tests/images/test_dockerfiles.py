"""Text of the Dockerfiles: no lint findings, pinned bases, one stage and one lock for each kind of hardware."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfiles import REPOSITORY, read_steps, stages

DOCKER = REPOSITORY / "docker"
DOCKERFILES = ("service.Dockerfile", "embedder.Dockerfile")
PROVIDERS = ("cpu", "cuda", "openvino", "migraphx")


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_hadolint_finds_nothing(dockerfile: str) -> None:
    config = str(REPOSITORY / ".hadolint.yaml")
    hadolint = str(Path(sys.executable).with_name("hadolint"))
    done = subprocess.run(
        [hadolint, "--config", config, str(DOCKER / dockerfile)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("text", ["FROM scratch\nMAINTAINER somebody\n", "FROM scratch\nRUN true \\\n"])
def test_a_dockerfile_that_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_steps(text)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_base_image_is_pinned_to_an_exact_version_and_its_digest(dockerfile: str) -> None:
    plan = list(stages(read_steps((DOCKER / dockerfile).read_text(encoding="utf-8")), {}))
    own = {name for name, _, _, _ in plan}
    foreign = {base for _, base, _, _ in plan} - own
    assert foreign
    for base in foreign:
        assert re.search(r":((\w+-)?\d+\.\d+\.\d+|noble-\d{8})[^@]*@sha256:[0-9a-f]{64}$", base), base


@pytest.mark.parametrize(
    ("dockerfile", "program"),
    [("service.Dockerfile", "immich-facesets"), ("embedder.Dockerfile", "immich-facesets-embedder")],
)
def test_no_start_of_a_program_passes_by_the_entrypoint(dockerfile: str, program: str) -> None:
    *_, (_, _, last, _) = stages(read_steps((DOCKER / dockerfile).read_text(encoding="utf-8")), {})
    steps = {step.name: step.text for step in last if step.name in {"ENTRYPOINT", "USER"}}
    assert steps == {"ENTRYPOINT": f'["{program}"]', "USER": "10001:10001"}
    assert f"--chmod=0755 docker/entrypoint.sh /opt/bin/{program}" in {step.text for step in last}
    assert any(step.text.startswith("PATH=/opt/bin:/opt/venv/bin:") for step in last)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_kind_of_hardware_has_its_stage_and_its_lock(provider: str) -> None:
    plan = list(
        stages(read_steps((DOCKER / "embedder.Dockerfile").read_text(encoding="utf-8")), {"PROVIDER": provider})
    )
    names = [name for name, _, _, _ in plan]
    assert plan[-1][1] == f"base-{provider}"
    assert f"base-{provider}" in names
    assert (DOCKER / f"embedder-{provider}.lock").exists()
