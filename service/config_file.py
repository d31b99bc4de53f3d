"""The TOML file of settings: the one that is named, or ``settings.toml`` in the data folder."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from immich_facesets.errors import SetupError
from immich_facesets.runtime.setting_files import read_toml_file
from immich_facesets.runtime.settings import is_secret, read_secret

PREFIX = "FACESETS_"
CONFIG_FILE = "FACESETS_CONFIG"
DATA_DIR = "FACESETS_DATA_DIR"
DEFAULT_DATA_DIR = Path("facesets-data")
DEFAULT_NAME = "settings.toml"


def default_config() -> Path:
    """Return where ``setup`` writes the settings, and where they are found without ``FACESETS_CONFIG``."""
    return Path(os.environ.get(DATA_DIR) or DEFAULT_DATA_DIR) / DEFAULT_NAME


def config_in_use() -> Path | None:
    """Return the file of settings that this process reads; None where there is none."""
    if named := os.environ.get(CONFIG_FILE):
        return Path(named)
    path = default_config()
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):  # a path that no system takes, which the folder's own check names
        return None


class TomlSource(PydanticBaseSettingsSource):
    """
    The values of a TOML file. Its keys are field names; the environment takes precedence.

    A secret may stand in a file of its own, which ``NAME_file`` names, relative to the TOML file.
    """

    def __init__(self, settings_cls: type[BaseSettings], path: Path | None) -> None:
        super().__init__(settings_cls)
        self._path = path

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = self._path
        if path is None:
            return {}
        is_named = bool(os.environ.get(CONFIG_FILE))
        values = read_toml_file(
            path, f"{CONFIG_FILE} names a file" if is_named else "the data folder holds a settings file"
        )
        fields = self.settings_cls.model_fields
        values = _with_secrets(values, fields, path)
        unknown = sorted(set(values) - set(fields))
        if unknown:
            near = difflib.get_close_matches(unknown[0].lower().removeprefix(PREFIX.lower()), fields, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise SetupError(f"unknown setting in {path}: {unknown[0]}{hint}")
        if not is_named and "data_dir" in values:
            raise SetupError(f"{path} lies in the data folder, so data_dir has no place in it: set {DATA_DIR} instead")
        return {str(fields[name].validation_alias or name): value for name, value in values.items()}


def _with_secrets(values: Mapping[str, Any], fields: Mapping[str, FieldInfo], path: Path) -> dict[str, Any]:
    """Return the values with each secret that a file of its own holds."""
    found = dict(values)
    for name in [name for name, field in fields.items() if is_secret(field) and f"{name}_file" in values]:
        file = found.pop(f"{name}_file")
        if name in found:
            raise SetupError(f"both {name} and {name}_file are set in {path}: keep one of them")
        if not isinstance(file, str):
            raise SetupError(f"{path}: {name}_file must be the path of a file, in quotation marks")
        try:
            secret: SecretStr | None = read_secret("KEY", {"KEY_FILE": str(path.parent / file)})
        except SetupError as error:
            raise SetupError(f"{path}: {name}_file: {str(error).removeprefix('KEY_FILE ')}") from error
        if secret is not None:
            found[name] = secret
    return found
