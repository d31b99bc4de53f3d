"""The templates for Unraid: in the form that Unraid writes itself, and true to our settings, images and entrypoint."""

import re
import shlex
from xml.etree import ElementTree as ET

import pytest
from bake_file import read_bake
from dockerfiles import REPOSITORY

from embedder.settings import EmbedderSettings
from immich_facesets.runtime.settings import known_names
from service.settings import Settings, load_settings

FOLDER = REPOSITORY / "docker/unraid"
NAMES = ("immich-facesets", "immich-facesets-embedder")
ATTRIBUTES = ["Name", "Target", "Default", "Mode", "Description", "Type", "Display", "Required", "Mask"]
OF_ENTRYPOINT = {"PUID", "PGID", "TZ"}

every_template = pytest.mark.parametrize("name", NAMES)


def template(name: str) -> ET.Element:
    return ET.fromstring((FOLDER / f"{name}.xml").read_text(encoding="utf-8"))  # noqa: S314  our own file


def entries(name: str, kind: str) -> dict[str, ET.Element]:
    return {entry.attrib["Target"]: entry for entry in template(name).iter("Config") if entry.attrib["Type"] == kind}


def dockerfile(name: str) -> str:
    kind = "embedder" if name.endswith("embedder") else "service"
    return (REPOSITORY / f"docker/{kind}.Dockerfile").read_text(encoding="utf-8")


def options(name: str) -> list[str]:
    return shlex.split(template(name).findtext("ExtraParams", ""))


def added_capabilities(name: str) -> set[str]:
    words = options(name)
    return {words[place + 1] for place, word in enumerate(words) if word == "--cap-add"}


def test_there_is_one_for_each_program() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)


@every_template
def test_it_has_the_form_that_unraid_writes(name: str) -> None:
    tree = template(name)
    assert (tree.tag, tree.attrib) == ("Container", {"version": "2"})
    assert tree.findtext("Name") == name
    assert tree.findtext("Privileged") == "false"
    for field in ("Repository", "Overview", "Category"):
        assert tree.findtext(field), field
    for entry in tree.iter("Config"):
        assert list(entry.attrib) == ATTRIBUTES
        assert (entry.text or "") == entry.attrib["Default"]
        assert entry.attrib["Type"] in {"Port", "Path", "Variable"}
        assert entry.attrib["Display"] in {"always", "advanced"}
        assert {entry.attrib["Required"], entry.attrib["Mask"]} <= {"true", "false"}
    targets = [entry.attrib["Target"] for entry in tree.iter("Config")]
    assert len(targets) == len(set(targets))


@every_template
def test_the_image_is_one_that_the_buildx_file_builds(name: str) -> None:
    bake = read_bake((REPOSITORY / "docker/docker-bake.hcl").read_text(encoding="utf-8"))
    built = {tag for target in bake["target"].values() for tag in target.get("tags", ())}
    assert template(name).findtext("Repository") in built


@every_template
def test_its_ports_and_folders_are_those_of_the_image(name: str) -> None:
    exposed = set(re.findall(r"^EXPOSE (\d+)$", dockerfile(name), re.MULTILINE))
    assert set(entries(name, "Port")) == exposed
    (volumes,) = re.findall(r"^VOLUME \[(.*)\]$", dockerfile(name), re.MULTILINE)
    paths = entries(name, "Path")
    assert {volume.strip('" ') for volume in volumes.split(",")} <= set(paths)
    assert {path for path, entry in paths.items() if entry.attrib["Mode"] == "rw"} <= {"/data", "/exports"}
    page = template(name).findtext("WebUI")
    assert not page or page == f"http://[IP]:[PORT:{exposed.pop()}]/"


@every_template
def test_its_variables_are_settings_and_secrets_are_masked(name: str) -> None:
    variables = entries(name, "Variable")
    known = known_names(EmbedderSettings if name.endswith("embedder") else Settings)
    assert set(variables) - OF_ENTRYPOINT <= known
    for target, entry in variables.items():
        assert (entry.attrib["Mask"] == "true") == bool(re.search("TOKEN|API_KEY", target)), target


def test_what_is_required_is_enough_for_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = {"IMMICH_URL": "http://192.168.1.10:2283", "FACESETS_EMBEDDER_URLS": "http://192.168.1.10:8786"}
    for target, entry in entries(NAMES[0], "Variable").items():
        if target not in OF_ENTRYPOINT:
            secret = "a-text-of-the-test-suite" if entry.attrib["Required"] == "true" else ""
            monkeypatch.setenv(target, filled.get(target, entry.attrib["Default"] or secret))
    settings = load_settings()
    assert settings.immich_api_key is not None
    assert settings.token is None
    assert settings.embedder_addresses == ("http://192.168.1.10:8786",)


@every_template
def test_the_container_has_no_more_rights_than_the_entrypoint_needs(name: str) -> None:
    words = options(name)
    assert words[:2] == ["--user", "0:0"], "the entrypoint needs root to become PUID:PGID"
    assert {variable: entry.attrib["Default"] for variable, entry in entries(name, "Variable").items()
            if variable in {"PUID", "PGID"}} == {"PUID": "99", "PGID": "100"}  # fmt: skip
    assert "--read-only" in words
    assert words[words.index("--cap-drop") + 1] == "ALL"
    assert words[words.index("--security-opt") + 1] == "no-new-privileges:true"
    owns_folders = "/data" in entries(name, "Path")
    assert added_capabilities(name) == {"SETUID", "SETGID"} | ({"CHOWN"} if owns_folders else set())
