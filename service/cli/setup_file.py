"""The files that ``setup`` writes: settings, and each key in a file of its own; readable by their owner only."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from immich_facesets.errors import SetupError
from immich_facesets.exports.file_names import user_directories
from immich_facesets.runtime.file_modes import PRIVATE_FOLDER, make_folder
from service.files.durable import disk_trouble, replace_privately

HEAD = """\
# Written by 'immich-facesets setup'. docs/settings.md has every setting; its name here is in lower case, without FACESETS_.
# What the environment says is stronger.
"""
KEYS_FOLDER, USERS_FILE = "keys", "users.toml"


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to the questions of ``setup``; None and empty leave a setting at its default."""

    immich_url: str | None = None
    keys: Mapping[str, SecretStr] = field(default_factory=dict)
    model_pack: str | None = None
    export_dir: Path | None = None


def write_setup(path: Path, answers: Answers) -> None:
    """Write the settings to ``path``, and keys and users beside it; the settings come last. Blocks."""
    folder = path.parent
    try:
        with disk_trouble(folder):
            make_folder(folder, mode=PRIVATE_FOLDER)
            files = _write_keys(folder, answers.keys)
            replace_privately(path, _settings(folder, answers, files).encode())
    except OSError as error:
        raise SetupError(f"{path} cannot be written ({error.strerror}): name another file with --config") from error


def _write_keys(folder: Path, keys: Mapping[str, SecretStr]) -> dict[str, str]:
    """Write each key; return the path of each user's file below ``folder``."""
    if not keys:
        return {}
    make_folder(folder / KEYS_FOLDER, mode=PRIVATE_FOLDER)
    files = {name: f"{KEYS_FOLDER}/{stem}.key" for name, stem in user_directories(keys).items()}
    for name, file in files.items():
        replace_privately(folder / file, f"{keys[name].get_secret_value()}\n".encode())
    return files


def _settings(folder: Path, answers: Answers, files: Mapping[str, str]) -> str:
    values: dict[str, str] = {}
    if answers.immich_url is not None:
        values["immich_url"] = answers.immich_url
    if len(files) == 1:
        ((values["user"], values["immich_api_key_file"]),) = files.items()
    elif files:
        users = "\n".join(f"[users.{quoted(name)}]\napi_key_file = {quoted(file)}\n" for name, file in files.items())
        replace_privately(folder / USERS_FILE, users.encode())
        values["users_file"] = str((folder / USERS_FILE).absolute())
    if answers.model_pack is not None:
        values["model_pack"] = answers.model_pack
    if answers.export_dir is not None:
        values["export_dir"] = str(answers.export_dir.expanduser().absolute())
    text = HEAD + "".join(f"{name} = {quoted(value)}\n" for name, value in values.items())
    tomllib.loads(text)
    return text


def quoted(text: str) -> str:
    """Return a text as a TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
