"""Reading of settings from the environment: names, values, and secrets in files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from immich_facesets.errors import SetupError
from immich_facesets.runtime.settings import check_names, known_names, read_secret, read_settings, variable_names


class Example(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_", env_ignore_empty=True, frozen=True, populate_by_name=True)

    port: int = Field(1, ge=1)
    token: SecretStr | None = None
    shared: str = Field("", validation_alias="SHARED_THING")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SAMPLE_", "SHARED_")):
            monkeypatch.delenv(name)


def read() -> Example:
    return read_settings(Example, prefix="SAMPLE_", other_names=("SAMPLE_OTHER_THING",))


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_PORT", "42")
    monkeypatch.setenv("SHARED_THING", "here")
    monkeypatch.setenv("SAMPLE_OTHER_THING", "of somebody else")
    assert (read().port, read().shared, read().token) == (42, "here", None)
    assert variable_names(Example) == {"port": "SAMPLE_PORT", "token": "SAMPLE_TOKEN", "shared": "SHARED_THING"}
    assert known_names(Example) == {"SAMPLE_PORT", "SAMPLE_TOKEN", "SAMPLE_TOKEN_FILE", "SHARED_THING"}


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_PORT", "")
    monkeypatch.setenv("SAMPLE_TOKEN", "")
    monkeypatch.setenv("SAMPLE_TOKEN_FILE", "")
    assert (read().port, read().token) == (1, None)


def test_a_misspelt_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_PROT", "42")
    with pytest.raises(SetupError, match=r"SAMPLE_PROT \(did you mean SAMPLE_PORT\?\)"):
        read()
    with pytest.raises(SetupError, match=r"A_XYZ$"):
        check_names("A_", {"A_COMPLETELY_DIFFERENT"}, {"A_XYZ": "1", "B": "2"})


def test_a_wrong_value_is_told_by_its_variable_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_PORT", "hunter2")
    with pytest.raises(SetupError, match="SAMPLE_PORT: ") as caught:
        read()
    assert "hunter2" not in str(caught.value)


def test_a_secret_comes_from_its_variable_or_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from a file\n")
    monkeypatch.setenv("SAMPLE_TOKEN_FILE", str(file))
    token = read().token
    assert token is not None
    assert token.get_secret_value() == "from a file"
    assert "from a file" not in repr(read())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.unlink(), "cannot be read"),
        (lambda file: file.write_text("\n"), "empty file"),
        (lambda file: file.write_bytes(b"\xff\xfe\x80"), "not text"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_told(spoil: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("x")
    spoil(file)
    with pytest.raises(SetupError, match=words):
        read_secret("S", {"S_FILE": str(file)})
    with pytest.raises(SetupError, match="both S and S_FILE"):
        read_secret("S", {"S": "x", "S_FILE": str(file)})
