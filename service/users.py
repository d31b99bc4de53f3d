"""The Immich users of this service: their names here and their API keys, from the settings or a TOML file."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from immich_facesets.errors import SetupError
from immich_facesets.names import name_key
from immich_facesets.runtime.setting_files import read_toml_file
from immich_facesets.runtime.settings import read_secret
from service.setting_values import USER_NAME_RULE, is_user_name
from service.settings import Settings


class User(BaseModel):
    """An Immich user: the name used for it here, and its API key."""

    model_config = ConfigDict(frozen=True)

    name: str
    api_key: SecretStr


class _UserEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    api_key: SecretStr | None = None
    api_key_file: Path | None = None


class _UsersFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    users: dict[str, _UserEntry]


def marks_of(users: Collection[User]) -> dict[str, str]:
    """Return a digest of each user's key by name: another account has another key, whatever it is called."""
    return {user.name: hashlib.sha256(user.api_key.get_secret_value().encode()).hexdigest() for user in users}


def load_users(settings: Settings) -> tuple[User, ...]:
    """
    Return the users whose libraries are synced, by name.

    A missing Immich address or key raises a ``SetupError`` that names the setting to change.
    """
    if settings.immich_url is None:
        raise SetupError("IMMICH_URL is not set: the address of your Immich, such as http://immich-server:2283")
    if settings.users_file is not None:
        return _read_users(settings.users_file)
    if settings.immich_api_key is None:
        raise SetupError(
            "no API key: set IMMICH_API_KEY (or IMMICH_API_KEY_FILE) to a key made in Immich under Account settings, "
            "API keys; or FACESETS_USERS_FILE for several users"
        )
    return (User(name=settings.user, api_key=settings.immich_api_key),)


def _read_users(path: Path) -> tuple[User, ...]:
    values = read_toml_file(path, "FACESETS_USERS_FILE names a file")
    try:
        parsed = _UsersFile.model_validate(values)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise SetupError(
            f"{path}: {place}: each user is a table [users.NAME] with api_key or api_key_file, and nothing else"
        ) from None
    users: list[User] = []
    spelt: dict[str, str] = {}
    for name, entry in sorted(parsed.users.items()):
        if not is_user_name(name):
            raise SetupError(f"{path}: users.{name!r}: {USER_NAME_RULE}")
        if (other := spelt.setdefault(name_key(name), name)) != name:
            raise SetupError(
                f"{path}: users.{other} and users.{name} differ only in capitals or in the encoding of accents: give "
                "one of them another name"
            )
        files = {} if entry.api_key_file is None else {"KEY_FILE": str(path.parent / entry.api_key_file)}
        try:
            key = entry.api_key or read_secret("KEY", files)
        except SetupError as error:
            raise SetupError(f"{path}: users.{name}: api_key_file: {str(error).removeprefix('KEY_FILE ')}") from error
        if key is None or not key.get_secret_value() or (entry.api_key and entry.api_key_file):
            raise SetupError(f"{path}: users.{name} needs exactly one of api_key and api_key_file")
        users.append(User(name=name, api_key=key))
    if not users:
        raise SetupError(f"{path} names no user: add a table [users.NAME] with api_key or api_key_file")
    return tuple(users)
