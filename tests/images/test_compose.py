"""Compose files: valid alone and merged, hardened, and consistent with the settings of both processes."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfiles import REPOSITORY
from pydantic_settings import BaseSettings

from embedder.settings import EmbedderSettings
from immich_facesets.runtime.settings import known_names, read_settings, variable_names
from service.settings import Settings

DOCKER = REPOSITORY / "docker"
OVERRIDES = ("compose.cuda.yml", "compose.openvino.yml", "compose.rocm.yml", "compose.users.yml")

# Paths and ports of a container that compose.yml fixes; users do not set them.
SERVICE_FIXED = {
    "FACESETS_CONFIG", "FACESETS_DATA_DIR", "FACESETS_EMBEDDER_TOKEN", "FACESETS_EMBEDDER_URLS", "FACESETS_EXPORT_DIR",
    "FACESETS_LISTEN", "FACESETS_MODELS_DIR", "FACESETS_MODEL_PACK", "FACESETS_TOKEN", "FACESETS_USERS_FILE",
    "IMMICH_API_KEY",
}  # fmt: skip
EMBEDDER_FIXED = {
    "FACESETS_EMBEDDER_LISTEN", "FACESETS_EMBEDDER_PROVIDER", "FACESETS_EMBEDDER_TOKEN", "FACESETS_MODELS_DIR",
}  # fmt: skip

Tree = dict[str, Any]


def load(name: str) -> Tree:
    tree: Tree = yaml.safe_load((DOCKER / name).read_text(encoding="utf-8"))
    return tree


def merge(base: Any, over: Any) -> Any:
    """
    Return the merge of `docker compose --file base --file over`: mappings merge, lists append, other values are
    replaced.
    """
    if isinstance(base, dict) and isinstance(over, dict):
        merged = {key: merge(value, over[key]) if key in over else value for key, value in base.items()}
        return merged | {key: value for key, value in over.items() if key not in base}
    if isinstance(base, list) and isinstance(over, list):
        return [*base, *(item for item in over if item not in base)]
    return over


def variables(text: str) -> dict[str, str]:
    """The ``${NAME:-default}`` of a file."""
    return dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))


def shown(comment: str = "#") -> dict[str, str]:
    """The assignments of example.env, all of which are commented out."""
    text = (DOCKER / "example.env").read_text(encoding="utf-8")
    return dict(re.findall(rf"^{comment}([A-Z][A-Z_]*)=(.*)$", text, flags=re.MULTILINE))


def schema_trouble(*paths: Path) -> str:
    check = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [check, "--builtin-schema", "vendor.compose-spec", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_files_obey_the_compose_specification_alone_and_merged(tmp_path: Path) -> None:
    written = [DOCKER / name for name in ("compose.yml", *OVERRIDES)]
    for override in OVERRIDES:
        merged = merge(load("compose.yml"), load(override))
        assert set(merged["services"]) == {"service", "embedder"}, "an override must not add a service by a typo"
        written.append(tmp_path / override)
        written[-1].write_text(yaml.safe_dump(merged), encoding="utf-8")
    assert schema_trouble(*written) == ""


def test_a_mistake_in_a_compose_file_is_noticed(tmp_path: Path) -> None:
    tree = load("compose.yml")
    tree["services"]["service"]["read_onyl"] = True
    target = tmp_path / "compose.yml"
    target.write_text(yaml.safe_dump(tree), encoding="utf-8")
    assert "read_onyl" in schema_trouble(target)


@pytest.mark.parametrize("override", [None, *OVERRIDES])
@pytest.mark.parametrize("name", ["service", "embedder"])
def test_each_container_has_no_more_than_it_needs(name: str, override: str | None) -> None:
    tree = load("compose.yml") if override is None else merge(load("compose.yml"), load(override))
    container = tree["services"][name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert "cap_add" not in container
    assert "privileged" not in container
    assert "no-new-privileges:true" in container["security_opt"]
    assert container["mem_limit"]
    assert container["pids_limit"]
    assert not container["user"].startswith("0")
    assert all(port.startswith("127.0.0.1:") for port in container.get("ports", []))


def test_only_the_service_meets_immich_and_the_outside() -> None:
    tree = load("compose.yml")
    assert tree["services"]["embedder"]["networks"] == ["embedding"]
    assert "ports" not in tree["services"]["embedder"]
    assert tree["networks"]["embedding"]["internal"] is True
    assert tree["networks"]["immich"]["external"] is True
    assert tree["services"]["service"]["depends_on"]["embedder"]["condition"] == "service_healthy"


@pytest.mark.parametrize("override", [None, *OVERRIDES])
def test_secrets_come_from_files_and_nowhere_else(override: str | None) -> None:
    tree = load("compose.yml") if override is None else merge(load("compose.yml"), load(override))
    for container in tree["services"].values():
        for name, value in container["environment"].items():
            if re.search(r"TOKEN|API_KEY|USERS", name):
                assert name.endswith("_FILE"), name
                assert value == "" or value.removeprefix("/run/secrets/") in container["secrets"], name
    assert all(set(secret) == {"file"} for secret in tree["secrets"].values())


@pytest.mark.parametrize(
    ("name", "settings", "fixed"),
    [("service", Settings, SERVICE_FIXED), ("embedder", EmbedderSettings, EMBEDDER_FIXED)],
)
def test_an_operator_can_set_every_setting(name: str, settings: type[BaseSettings], fixed: set[str]) -> None:
    handed_on = set(load("compose.yml")["services"][name]["environment"])
    wanted = set(variable_names(settings).values()) - fixed
    assert wanted - handed_on == set(), "compose.yml does not pass these on (or fixes them)"
    assert wanted - set(shown()) == set(), "example.env does not show these"


@pytest.mark.parametrize(("name", "settings"), [("service", Settings), ("embedder", EmbedderSettings)])
def test_every_name_that_a_container_gets_is_a_setting(name: str, settings: type[BaseSettings]) -> None:
    for override in ({}, *(load(override) for override in OVERRIDES)):
        handed_on = set(merge(load("compose.yml"), override)["services"][name]["environment"])
        assert handed_on - known_names(settings) - {"TZ"} == set()


def test_every_name_of_the_example_is_used() -> None:
    files = [(DOCKER / name).read_text(encoding="utf-8") for name in ("compose.yml", *OVERRIDES)]
    used = set().union(*(variables(text) for text in files))
    handed_on = {name for part in load("compose.yml")["services"].values() for name in part["environment"]}
    assert set(shown()) - used - handed_on == set()
    assert used - set(shown()) == set(), "example.env does not show these"


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(comment="") == {}, "example.env has only default values"
    for name in [name for name in os.environ if name.startswith(("FACESETS_", "IMMICH_"))]:
        monkeypatch.delenv(name)
    compose = {
        key: value
        for name in ("compose.yml", *OVERRIDES)
        for key, value in variables((DOCKER / name).read_text("utf-8")).items()
    }
    examples = shown()
    for name, default in compose.items():
        assert examples[name] == default, name
    models: tuple[type[BaseSettings], ...] = (Settings, EmbedderSettings)
    for model in models:
        plain = read_settings(model, prefix="FACESETS_")
        for field, name in variable_names(model).items():
            if examples.get(name) and name not in compose:
                monkeypatch.setenv(name, examples[name])
                assert getattr(read_settings(model, prefix="FACESETS_"), field) == getattr(plain, field), name
                monkeypatch.delenv(name)
