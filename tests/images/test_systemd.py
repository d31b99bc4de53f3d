"""The pair of systemd units: understood by systemd, hardened, and true to our settings, programs and exit codes."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from dockerfiles import REPOSITORY

from embedder.settings import EmbedderSettings
from immich_facesets.runtime.settings import known_names
from immich_facesets.runtime.shutdown import ExitCode
from service.settings import Settings

FOLDER = REPOSITORY / "docker/systemd"
NAMES = ("immich-facesets", "immich-facesets-embedder")
PROGRAMS = "/opt/immich-facesets/bin"
LIMIT = "20"
"""Exposure in tenths, as `systemd-analyze security` counts it: 100 without any hardening."""

every_unit = pytest.mark.parametrize("name", NAMES)
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def read_unit(name: str) -> dict[str, list[str]]:
    """The values of each key; the keys of our units are distinct between the sections."""
    found = defaultdict[str, list[str]](list)
    for line in (FOLDER / f"{name}.service").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def environment(name: str) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in read_unit(name)["Environment"])


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """Both units, with programs that exist on this machine."""
    paths = []
    for name in NAMES:
        paths.append(tmp_path / f"{name}.service")
        text = (FOLDER / paths[-1].name).read_text(encoding="utf-8")
        assert text.count(f"ExecStart={PROGRAMS}/") == 1
        paths[-1].write_text(re.sub(rf"{PROGRAMS}/[a-z-]+", "/bin/true", text), encoding="utf-8")
    return paths


def analyze(*words: str) -> tuple[int, str]:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


@needs_systemd
def test_systemd_understands_both_units(installed: list[Path]) -> None:
    assert analyze("verify", "--man=no", *map(str, installed)) == (0, "")


@needs_systemd
def test_a_misspelt_option_is_noticed(installed: list[Path]) -> None:
    text = installed[0].read_text(encoding="utf-8")
    installed[0].write_text(text.replace("ProtectClock", "ProtectClocks"), encoding="utf-8")
    assert "ProtectClocks" in analyze("verify", "--man=no", str(installed[0]))[1]


@needs_systemd
def test_neither_unit_is_exposed(installed: list[Path]) -> None:
    if "--offline" not in analyze("--help")[1]:
        pytest.skip("this systemd-analyze cannot look at a file")
    for path in installed:
        code, said = analyze("security", "--offline=yes", f"--threshold={LIMIT}", "--no-pager", str(path))
        assert code == 0, said[-400:]


@every_unit
def test_a_unit_starts_its_program_as_a_user_without_rights(name: str) -> None:
    unit = read_unit(name)
    (command,) = unit["ExecStart"]
    program, *words = command.removeprefix(f"{PROGRAMS}/").split()
    scripts = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f"\n{program} = " in scripts
    assert words == (["serve"] if name == "immich-facesets" else [])
    assert unit["User"] == unit["Group"] == ["immich-facesets"]
    assert unit["NoNewPrivileges"] == ["yes"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["ProtectSystem"] == ["strict"]


@every_unit
def test_its_variables_are_settings_and_secrets_are_credentials(name: str) -> None:
    variables = environment(name)
    assert set(variables) <= known_names(Settings if name == "immich-facesets" else EmbedderSettings)
    credentials = {entry.partition(":")[0] for entry in read_unit(name)["LoadCredential"]}
    secrets = {value for key, value in variables.items() if key.endswith("_FILE")}
    assert secrets == {f"%d/{credential}" for credential in credentials}
    assert not [key for key in variables if re.search("TOKEN|API_KEY", key) and not key.endswith("_FILE")]


@every_unit
def test_it_writes_only_below_its_own_folders(name: str) -> None:
    folders = [f"%S/{folder}/" for folder in read_unit(name)["StateDirectory"][0].split()]
    paths = [value for key, value in environment(name).items() if key.endswith("_DIR")]
    assert paths
    assert all(f"{path}/".startswith(tuple(folders)) for path in paths)
    assert "ReadWritePaths" not in read_unit(name)


def test_the_service_finds_the_embedder() -> None:
    service, embedder = environment(NAMES[0]), environment(NAMES[1])
    assert service["FACESETS_EMBEDDER_URLS"] == f"http://{embedder['FACESETS_EMBEDDER_LISTEN']}"
    token = "embedder_token:/etc/immich-facesets/embedder_token"
    assert all(token in read_unit(name)["LoadCredential"] for name in NAMES)


@every_unit
def test_what_somebody_has_to_change_is_not_tried_again(name: str) -> None:
    unit = read_unit(name)
    assert unit["Restart"] == ["on-failure"]
    assert unit["RestartPreventExitStatus"] == [str(int(ExitCode.SETUP))]
    assert int(unit["TimeoutStopSec"][0]) > 10, "a stop ends within 10 seconds"


def test_the_decoders_of_the_embedder_may_leave_the_network() -> None:
    decoder = (REPOSITORY / "embedder/decoding/__main__.py").read_text(encoding="utf-8")
    assert "unshare" in decoder
    assert read_unit(NAMES[1])["RestrictNamespaces"] == ["user net"]
