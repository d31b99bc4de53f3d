"""
Settings from the environment: read once, checked completely, and never silently wrong.

An unknown variable with our prefix is a ``SetupError``: a typo must not be ignored. Secrets come from ``NAME`` or from
the file named by ``NAME_FILE``. Values never appear in messages: one of them may be a secret.
"""

import difflib
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from immich_facesets.errors import SetupError
from immich_facesets.runtime.setting_files import read_setting_file

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def read_secret(name: str, environ: Mapping[str, str] | None = None) -> SecretStr | None:
    """
    Return the secret in the variable ``name`` or in the file that ``name``_FILE names; None when neither is set.

    Empty variables count as unset. If both are set, or the file is unreadable or empty, that is a ``SetupError``.
    """
    environ = os.environ if environ is None else environ
    value, file_name = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if value and file_name:
        raise SetupError(f"both {name} and {name}_FILE are set: keep one of them")
    if value:
        return SecretStr(value)
    if not file_name:
        return None
    text = read_setting_file(file_name, f"{name}_FILE names a file").strip()
    if not text:
        raise SetupError(f"{name}_FILE names an empty file: {file_name}")
    return SecretStr(text)


def check_names(
    prefix: str, known: Collection[str], environ: Mapping[str, str] | None = None, other_names: Collection[str] = ()
) -> None:
    """
    Refuse every variable that starts with ``prefix`` and is not ``known``; name the nearest known one.

    ``other_names`` are those of another process that shares the prefix: they may be set, and are not read here.
    """
    environ = os.environ if environ is None else environ
    accepted = {*known, *other_names}
    unknown = sorted(name for name in environ if name.upper().startswith(prefix) and name.upper() not in accepted)
    if not unknown:
        return
    parts: list[str] = []
    for name in unknown:
        nearest = difflib.get_close_matches(name.upper(), sorted(accepted), n=1, cutoff=0.6)
        parts.append(f"{name} (did you mean {nearest[0]}?)" if nearest else name)
    raise SetupError(f"unknown settings: {', '.join(parts)}")


def variable_names(model: type[BaseSettings]) -> dict[str, str]:
    """Return the names of the environment variables by field name."""
    prefix = str(model.model_config.get("env_prefix", ""))
    return {
        name: (field.validation_alias if isinstance(field.validation_alias, str) else f"{prefix}{name}").upper()
        for name, field in model.model_fields.items()
    }


def known_names(model: type[BaseSettings]) -> frozenset[str]:
    """Return every variable the settings read, the ``_FILE`` forms of secrets included."""
    names = variable_names(model)
    files = {f"{names[name]}_FILE" for name, field in model.model_fields.items() if is_secret(field)}
    return frozenset(names.values()) | files


def is_secret(field: FieldInfo) -> bool:
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


def read_settings(
    model: type[SettingsT],
    *,
    prefix: str,
    other_names: Collection[str] = (),
    given: Mapping[str, Any] = MappingProxyType({}),
) -> SettingsT:
    """
    Return the settings from this process's environment; all errors are reported in one ``SetupError``.

    ``model`` is frozen, has ``env_ignore_empty=True`` (compose files pass empty variables), and names its variables by
    ``env_prefix``, or by a ``validation_alias`` per field together with ``populate_by_name=True``. ``given``: values by
    field name, stronger than the environment.
    """
    check_names(prefix, known_names(model), other_names=other_names)
    names = variable_names(model)
    secrets = {name: read_secret(names[name]) for name, field in model.model_fields.items() if is_secret(field)}
    own = {name: value for name, value in secrets.items() if value is not None}
    try:
        found = model(**{**given, **own})
    except ValidationError as error:
        raise SetupError("; ".join(_explain(error, names))) from None
    for name in model.model_fields:
        value = getattr(found, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str | Path) and "\0" in str(text):
            raise SetupError(f"{names[name]}: it holds a NUL character, which no path or text may have")
    return found


def _explain(error: ValidationError, names: Mapping[str, str]) -> Iterable[str]:
    """Return one line per wrong variable: its name and the error, never its value."""
    for detail in error.errors(include_input=False, include_url=False, include_context=False):
        location = str(detail["loc"][0]) if detail["loc"] else ""
        message = detail["msg"].removeprefix("Value error, ")
        yield f"{names.get(location, location)}: {message}" if location else message
