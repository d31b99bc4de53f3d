"""The two images, built without a container engine: every RUN line of theirs runs here, word for word."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfiles import REPOSITORY, Image, build, can_build, read_steps, run_in, stages, start_in

DOCKER = REPOSITORY / "docker"
DOCKERFILES = ("service.Dockerfile", "embedder.Dockerfile")
PROVIDERS = ("cpu", "cuda", "openvino", "migraphx")

# What python:3.12-slim holds: libc6's own, libstdc++ and libgcc (with apt), zlib (with Python).
SLIM_LIBRARIES = re.compile(r"^(linux-vdso|ld-linux.*|lib(c|m|mvec|dl|rt|pthread|util|resolv|gcc_s|stdc\+\+|z))\.")

needs_namespaces = pytest.mark.skipif(bool(can_build()), reason=can_build() or "-")
# Each image is built once, by one worker.
each_image = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("service", "embedder")]
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    yield from _built("service.Dockerfile", tmp_path_factory)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    yield from _built("embedder.Dockerfile", tmp_path_factory)


def _built(dockerfile: str, factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = factory.mktemp("image")
    yield build(DOCKER / dockerfile, folder)
    shutil.rmtree(folder)


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
def test_every_base_image_is_pinned_to_an_exact_version(dockerfile: str) -> None:
    plan = list(stages(read_steps((DOCKER / dockerfile).read_text(encoding="utf-8")), {}))
    own = {name for name, _, _, _ in plan}
    foreign = {base for _, base, _, _ in plan} - own
    assert foreign
    for base in foreign:
        assert re.search(r":(\w+-)?\d+\.\d+\.\d+|:noble-\d{8}$", base), base


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_kind_of_hardware_has_its_stage_and_its_lock(provider: str) -> None:
    plan = list(
        stages(read_steps((DOCKER / "embedder.Dockerfile").read_text(encoding="utf-8")), {"PROVIDER": provider})
    )
    names = [name for name, _, _, _ in plan]
    assert plan[-1][1] == f"base-{provider}"
    assert f"base-{provider}" in names
    assert (DOCKER / f"embedder-{provider}.lock").exists()


@needs_namespaces
@each_image
def test_the_image_is_one_that_an_operator_can_trust(name: str, request: pytest.FixtureRequest) -> None:
    image: Image = request.getfixturevalue(name)
    user, group = image.user.split(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert image.stop_signal == "SIGTERM"
    assert image.labels["org.opencontainers.image.licenses"] == "AGPL-3.0-or-later"
    assert image.labels["org.opencontainers.image.version"] in (REPOSITORY / "pyproject.toml").read_text("utf-8")
    assert f"facesets:x:{user}:{group}:" in (image.root / "etc/passwd").read_text(encoding="utf-8")
    for volume in image.volumes:
        state = (image.root / volume.lstrip("/")).stat()
        assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (int(user), int(group), 0o750)
    assert not (image.root / "opt/build").exists(), "pip and the builder stay behind"
    assert not list((image.root / "opt/venv/bin").glob("pip*"))
    assert not (image.root / "src").exists(), "and so does the source tree"


@needs_namespaces
@each_image
def test_the_image_needs_no_library_that_the_base_lacks(name: str, request: pytest.FixtureRequest) -> None:
    image: Image = request.getfixturevalue(name)
    script = "find /opt/venv -name '*.so*' -type f -exec ldd {} + 2>/dev/null"
    report = run_in(image, ["/bin/sh", "-c", script]).stdout
    needed = {
        (words[0], words[2]) for line in report.splitlines() if len(words := line.split()) > 2 and words[1] == "=>"
    }
    assert needed
    strangers = {
        f"{library} => {place}"
        for library, place in needed
        if not place.startswith("/opt/venv/") and not SLIM_LIBRARIES.match(library)
    }
    assert strangers == set()


@needs_namespaces
@each_image
def test_the_locked_packages_are_all_that_the_image_needs(name: str, request: pytest.FixtureRequest) -> None:
    image: Image = request.getfixturevalue(name)
    checked = run_in(
        image.stages["build"], ["/opt/build/bin/python", "-m", "pip", "--python", "/opt/venv/bin/python", "check"]
    )
    assert checked.returncode == 0, checked.stdout


@needs_namespaces
@each_image
def test_the_command_explains_itself_inside_the_image(name: str, request: pytest.FixtureRequest) -> None:
    image: Image = request.getfixturevalue(name)
    process = start_in(image, [*image.entrypoint, "--help"], {})
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "usage" in output.lower()


@needs_namespaces
@pytest.mark.xdist_group("service")
def test_the_service_is_healthy_inside_its_image_and_leaves_when_asked(service: Image) -> None:
    nobody, token = "http://127.0.0.1:9", "a-token-of-the-test-suite-and-nobody-else"
    settings = {
        "FACESETS_LISTEN": f"127.0.0.1:{_free_port()}",
        "FACESETS_TOKEN": token,
        "FACESETS_EMBEDDER_URLS": nobody,
        "FACESETS_EMBEDDER_TOKEN": token,
        "IMMICH_URL": nobody,
        "IMMICH_API_KEY": token,
    }
    _lives(service, settings)


@needs_namespaces
@pytest.mark.xdist_group("embedder")
def test_the_embedder_is_healthy_inside_its_image_and_leaves_when_asked(embedder: Image) -> None:
    settings = {
        "FACESETS_EMBEDDER_LISTEN": f"127.0.0.1:{_free_port()}",
        "FACESETS_EMBEDDER_TOKEN": "a-token-of-the-test-suite-and-nobody-else",
        "FACESETS_EMBEDDER_ENGINE": "synthetic",
    }
    _lives(embedder, settings)


def _lives(image: Image, settings: dict[str, str]) -> None:
    """Start what the image starts, ask its own HEALTHCHECK until it says yes, and stop it with its own signal."""
    process = start_in(image, [*image.entrypoint, *image.command], settings)
    try:
        deadline = time.monotonic() + 60
        while not _is_healthy(image, settings):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "not healthy within a minute"
            time.sleep(0.5)
        process.send_signal(signal.Signals[image.stop_signal or ""])
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _is_healthy(image: Image, settings: dict[str, str]) -> bool:
    check = start_in(image, image.health, settings)
    check.communicate(timeout=30)
    return check.returncode == 0


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port
