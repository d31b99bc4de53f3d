"""The entrypoint of both images, run as root and as other users over folders of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from dockerfiles import REPOSITORY

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="changing the user needs root on Linux, and setpriv",
)

PROGRAM = """#!/bin/sh
echo "$(id -u):$(id -g) $$ [$(id -G)]"
grep -E '^(CapEff|CapPrm|CapInh|NoNewPrivs):' /proc/self/status
echo "HOME=$HOME"
for word in "$@"; do echo "<$word>"; done
"""


@dataclass(frozen=True)
class Container:
    """A folder that is laid out as an image is: the entrypoint, a program that prints who it is, and two volumes."""

    root: Path

    @property
    def command(self) -> str:
        return str(self.root / "bin/immich-facesets")

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, started_as: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "FACESETS_DATA_DIR": str(self.root / "data"),
            "FACESETS_EXPORT_DIR": str(self.root / "exports"),
            **(env or {}),
        }
        start = ["setpriv", *started_as] if started_as else []
        return subprocess.run(
            [*start, self.command, *words], env=environment, capture_output=True, text=True, check=False, timeout=30
        )

    def ids(self, **env: str) -> str:
        done = self.run(env=env)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()[0]

    def refused(self, *, started_as: Sequence[str] = (), **env: str) -> str:
        done = self.run(env=env, started_as=started_as)
        assert (done.returncode, done.stdout) == (3, ""), "the exit code for what an operator must change"
        assert done.stderr.startswith("immich-facesets: ")
        return done.stderr


@pytest.fixture
def container() -> Iterator[Container]:
    root = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    root.chmod(0o755)
    for name in ("bin", "venv/bin", "data", "exports"):
        (root / name).mkdir(parents=True)
    shutil.copy(REPOSITORY / "docker/entrypoint.sh", root / "bin/immich-facesets")
    (root / "venv/bin/immich-facesets").write_text(PROGRAM, encoding="utf-8")
    (root / "venv/bin/immich-facesets").chmod(0o755)
    yield Container(root)
    shutil.rmtree(root)


def owner(path: Path) -> str:
    state = path.lstat()
    return f"{state.st_uid}:{state.st_gid}"


def as_user(uid: int, gid: int) -> list[str]:
    return [f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]


def test_started_as_root_it_runs_as_the_user_of_the_image_or_as_the_one_that_is_asked_for(container: Container) -> None:
    assert container.ids() == "10001:10001"
    assert container.ids(PUID="99", PGID="100") == "99:100"
    assert container.ids(PUID="1000") == "1000:10001"
    assert container.ids(PUID="", PGID="") == "10001:10001"


def test_nothing_of_root_is_left(container: Container) -> None:
    done = container.run(env={"PUID": "1234", "PGID": "1234"}, started_as=["--groups=0"])
    state = dict(line.split() for line in done.stdout.splitlines() if line.startswith(("Cap", "NoNew")))
    assert state == dict.fromkeys(("CapInh:", "CapPrm:", "CapEff:"), "0" * 16) | {"NoNewPrivs:": "1"}
    assert "[1234]" in done.stdout, "no group of root"
    assert "HOME=/nonexistent" in done.stdout


def test_the_program_gets_its_words_and_takes_the_place_of_the_script(container: Container) -> None:
    for started_as in ((), as_user(99, 100)):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        command = [*(("setpriv", *started_as) if started_as else ()), container.command, "sync", "a b", "", "--x=*"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            told, _ = process.communicate(timeout=30)
        assert told.split()[1] == str(process.pid), "a signal to the container is one to the program"
        assert told.endswith("<sync>\n<a b>\n<>\n<--x=*>\n")


@pytest.mark.parametrize("ids", [("0", "0"), ("0", "100"), ("99", "0"), ("00", "100")])
def test_root_is_refused_unless_it_is_wanted(container: Container, ids: tuple[str, str]) -> None:
    assert "ALLOW_ROOT=yes" in container.refused(PUID=ids[0], PGID=ids[1])
    assert "ALLOW_ROOT=yes" in container.refused(PUID=ids[0], PGID=ids[1], ALLOW_ROOT="no")


def test_root_runs_where_it_is_wanted(container: Container) -> None:
    assert container.ids(PUID="0", PGID="0", ALLOW_ROOT="yes") == "0:0"
    assert container.ids(PUID="99", PGID="0", ALLOW_ROOT="yes") == "99:0"
    assert container.ids(ALLOW_ROOT="yes") == "10001:10001"


@pytest.mark.parametrize("name", ["PUID", "PGID"])
def test_an_id_that_is_none_is_named(container: Container, name: str) -> None:
    for value in ("root", "-1", "1.5", "1000 ", "1e3", "0x10", "$(id)"):
        said = container.refused(**{name: value})
        assert said == f"immich-facesets: {name} must be a number, such as 1000: {value}\n"
    for value in ("99999999999", "4294967295"):
        assert container.refused(**{name: value}) == f"immich-facesets: {name} is no id of a user or group: {value}\n"


def test_a_container_that_is_started_as_a_user_runs_as_that_user(container: Container) -> None:
    done = container.run("serve", started_as=as_user(99, 100))
    assert (done.returncode, done.stdout.split()[0]) == (0, "99:100")
    done = container.run(env={"PUID": "99", "PGID": "100"}, started_as=as_user(99, 100))
    assert done.returncode == 0
    for env in ({"PUID": "1000", "PGID": "100"}, {"PGID": "1000"}):
        assert "--user" in container.refused(started_as=as_user(99, 100), **env)


def test_groups_of_devices_stay_with_the_program(container: Container) -> None:
    done = container.run(env={"PUID": "99", "PGID": "100"}, started_as=["--groups=0,44,992"])
    assert done.stdout.splitlines()[0].endswith("[100 44 992]")


def test_new_volumes_become_the_users_and_folders_in_use_stay_as_they_are(container: Container) -> None:
    exports, photos = container.root / "exports", container.root / "exports/photos"
    photos.mkdir()
    (photos / "holiday.jpg").touch()
    os.chown(photos / "holiday.jpg", 4321, 4321)
    assert container.ids(PUID="99", PGID="100") == "99:100"
    assert owner(container.root / "data") == "99:100"
    assert [owner(path) for path in (exports, photos, photos / "holiday.jpg")] == ["0:0", "0:0", "4321:4321"]
    (container.root / "data/facesets.db").touch()
    assert container.ids(PUID="1000", PGID="1000") == "1000:1000"
    assert [owner(container.root / name) for name in ("data", "data/facesets.db")] == ["99:100", "0:0"]


def test_a_link_in_the_place_of_a_volume_is_not_followed(container: Container) -> None:
    elsewhere = container.root / "elsewhere"
    elsewhere.mkdir()
    (container.root / "exports").rmdir()
    (container.root / "exports").symlink_to(elsewhere)
    container.ids(PUID="99", PGID="100")
    assert owner(elsewhere) == "0:0"


def test_a_container_that_may_not_change_its_user_is_told_what_to_do(container: Container) -> None:
    said = container.refused(started_as=["--bounding-set=-setuid,-setgid"], PUID="99", PGID="100")
    assert "may not become 99:100" in said
    assert "start it with --user 99:100" in said


def test_three_capabilities_are_enough(container: Container) -> None:
    """The templates for Unraid give no others."""
    only = ["--bounding-set=-all,+setuid,+setgid,+chown", "--inh-caps=-all"]
    done = container.run(env={"PUID": "99", "PGID": "100"}, started_as=only)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[0] == "99:100"
    assert owner(container.root / "data") == "99:100"
    (container.root / "data").chmod(0o700)  # as the service does: such a root cannot look into it any more
    done = container.run(env={"PUID": "1000", "PGID": "1000"}, started_as=only)
    assert (done.returncode, done.stderr) == (0, "")
    assert owner(container.root / "data") == "99:100"
