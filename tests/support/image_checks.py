"""Checks that each of our images must pass once it is built."""

import json
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator

import pytest
from dockerfiles import REPOSITORY, Image, build, can_build, run_in, start_in

# Shared libraries of python:3.12-slim: libc6's own, libstdc++ and libgcc (with apt), zlib (with Python).
_SLIM_LIBRARIES = re.compile(r"^(linux-vdso|ld-linux.*|lib(c|m|mvec|dl|rt|pthread|util|resolv|gcc_s|stdc\+\+|z))\.")

_TRY_TO_WRITE = """
import json, pathlib, sys
written = []
for folder in sys.argv[1:]:
    try:
        pathlib.Path(folder, "written").touch()
    except OSError:
        continue
    written.append(folder)
print(json.dumps(written))
"""

NEEDED_TO_BUILD = {"immich_facesets.runtime.onnx_folding"}
"""Modules that an image needs only while it is built, with packages that stay behind."""

_IMPORT_ALL = """
import importlib, json, pkgutil, sys
troubles = {}
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if ".migrations" in module.name or module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            troubles[module.name] = str(error)
print(json.dumps(troubles))
"""


def built(dockerfile: str, factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of one Dockerfile, for a fixture; where none can be built, the tests are skipped with the reason."""
    if reason := can_build():
        pytest.skip(reason)
    folder = factory.mktemp("image")
    yield build(REPOSITORY / "docker" / dockerfile, folder)
    shutil.rmtree(folder)


def check_that_an_operator_can_trust(image: Image) -> None:
    user, group = image.user.split(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert f"facesets:x:{user}:{group}:" in (image.root / "etc/passwd").read_text(encoding="utf-8")
    assert image.stop_signal == "SIGTERM"
    assert image.labels["org.opencontainers.image.licenses"] == "AGPL-3.0-or-later"
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{image.labels["org.opencontainers.image.version"]}"' in project
    for volume in image.volumes:
        state = (image.root / volume.lstrip("/")).stat()
        assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (int(user), int(group), 0o750)
    assert not (image.root / "opt/build").exists(), "pip and the builder stay behind"
    assert not list((image.root / "opt/venv/bin").glob("pip*"))
    assert not (image.root / "src").exists(), "the source tree stays behind, too"


def check_libraries(image: Image) -> None:
    """Check that every shared library loaded by a file of the image is in the image or in its slim base."""
    script = "find /opt/venv -name '*.so*' -type f -exec ldd {} + 2>/dev/null"
    lines = (line.split() for line in run_in(image, ["/bin/sh", "-c", script]).stdout.splitlines())
    needed = {(words[0], words[2]) for words in lines if len(words) > 2 and words[1] == "=>"}
    assert needed
    strangers = {
        f"{library} => {place}"
        for library, place in needed
        if not place.startswith("/opt/venv/") and not _SLIM_LIBRARIES.match(library)
    }
    assert strangers == set()


def check_packages(image: Image) -> None:
    """Check that every requirement of an installed package is installed in an accepted version."""
    pip = ["/opt/build/bin/python", "-m", "pip", "--python", "/opt/venv/bin/python"]
    checked = run_in(image.stages["build"], [*pip, "check"])
    assert checked.returncode == 0, checked.stdout


def check_imports(image: Image, package: str) -> None:
    """Check that no module of the process needs a package that its lock lacks; `pip check` cannot find that."""
    process = start_in(image, ["/opt/venv/bin/python", "-c", _IMPORT_ALL, "immich_facesets", package], {})
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert json.loads(output.splitlines()[-1]).keys() == NEEDED_TO_BUILD


def check_what_can_be_written(image: Image) -> None:
    folders = ["/", "/etc", "/opt/venv", "/usr/local", "/var", "/tmp", *image.volumes]  # noqa: S108  the image's own
    process = start_in(image, ["/opt/venv/bin/python", "-c", _TRY_TO_WRITE, *folders], {})
    output, _ = process.communicate(timeout=60)
    assert json.loads(output) == ["/tmp", *image.volumes]  # noqa: S108  the image's own


def check_help(image: Image) -> None:
    process = start_in(image, [*image.entrypoint, "--help"], {})
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "usage" in output.lower()


def check_life(image: Image, settings: dict[str, str]) -> str:
    """
    Start the image's command, run its HEALTHCHECK until it succeeds, and stop it with its stop signal.

    Returns what it printed.
    """
    process = start_in(image, [*image.entrypoint, *image.command], settings)
    try:
        deadline = time.monotonic() + 90
        while not _is_healthy(image, settings):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "not healthy in time"
            time.sleep(0.5)
        process.send_signal(signal.Signals[image.stop_signal or ""])
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output
        return str(output)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _is_healthy(image: Image, settings: dict[str, str]) -> bool:
    check = start_in(image, image.health, settings)
    check.communicate(timeout=30)
    return check.returncode == 0


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
