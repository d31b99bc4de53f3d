"""The ``setup`` command: it asks what the settings need, tries the keys, writes the file and checks everything."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from immich_facesets.errors import FacesetsError, RequestError, SetupError
from immich_facesets.runtime.model_folder import list_packs
from immich_facesets.runtime.setting_files import read_setting_file
from service.cli.config import check
from service.cli.photos import add_photos
from service.cli.setup_file import Answers, write_setup
from service.cli.terminal import print_line
from service.config_file import CONFIG_FILE, default_config
from service.setting_values import USER_NAME_RULE, checked_address, checked_header_value, is_user_name
from service.settings import Settings, load_settings
from service.sources.immich import build_immich_source
from service.users import User

_NEEDS = "asset.read, asset.download, asset.view, face.read and person.read, with user.read beside them"


def setup(
    url: Annotated[str | None, typer.Option(help="Where your Immich answers.")] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(help="A user and the file with the API key: NAME=FILE. Give it once for each user."),
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="A folder of pictures, beside Immich or without it.")] = None,
    models: Annotated[
        str | None, typer.Option(help="The model pack to use; without it, the best that is installed.")
    ] = None,
    exports: Annotated[
        Path | None, typer.Option(help="The folder for face sets; without it, 'exports' in the data folder.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The file to write; without it, settings.toml in the data folder.")
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> int:
    """
    Ask what the settings need, write the file that every other command reads, and check it.

    An option answers its question, which is then left out. Without a terminal nothing is asked.
    """
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    if not asks and url is None and photos is None:
        raise SetupError(
            "setup asks questions, and there is no terminal: answer with --url and --user, or with --photos"
        )
    named = config or (Path(os.environ[CONFIG_FILE]) if os.environ.get(CONFIG_FILE) else None)
    path = named or default_config()
    if path.exists() and not force and not (asks and typer.confirm(f"{path} is there. Replace it?", default=False)):
        raise SetupError(f"{path} is there already, and was left as it is: --force replaces it")
    if photos is not None and not photos.expanduser().is_dir():
        raise RequestError(f"{photos} is no folder", status=400)
    dialogue = Dialogue(asks=asks)
    answers = dialogue.answers(url, user or [], models, exports, wants_immich=photos is None)
    if asks and photos is None:
        photos = dialogue.photos(is_needed=answers.immich_url is None)
    write_setup(path, answers)
    os.environ[CONFIG_FILE] = str(path)  # what is checked now is what was written
    print_line(f"Written: {path.absolute()}")
    if photos is not None:
        add_photos(photos, load_settings())
    code = check()
    if config is not None:
        print_line(f"Other commands read this file with {CONFIG_FILE}={path.absolute()}")
    print_line(
        "Next: make run" if code == 0 else "Correct what is listed above, then run: immich-facesets config check"
    )
    return code


class Dialogue:
    """The questions of ``setup``; without ``asks`` none is put, and a missing answer is its default."""

    def __init__(self, *, asks: bool) -> None:
        self._asks = asks

    def answers(
        self, url: str | None, users: list[str], models: str | None, exports: Path | None, *, wants_immich: bool
    ) -> Answers:
        """Return all answers."""
        if url is None and self._asks and wants_immich:
            url = self._ask("Where does your Immich answer? (empty: there is none)", "") or None
        if url is not None:
            url = _checked_url(url)
        if url is None and users:
            raise RequestError("--user needs --url: the keys are those of an Immich", status=400)
        keys = dict(_user_of(text) for text in users)
        if url is not None:
            keys = keys or self._keys(url)
            for name, key in keys.items() if not self._asks or users else ():
                _try_key(url, name, key)
        if models is None and self._asks:
            models = self._models()
        if exports is None and self._asks:
            text = self._ask("Where do the face sets go? (empty: into the data folder)", "")
            exports = Path(text) if text else None
        return Answers(url, keys, models, exports)

    def photos(self, *, is_needed: bool) -> Path | None:
        """Return a folder of pictures."""
        what = "Which folder has your pictures?" if is_needed else "A folder of pictures, too? (empty: none)"
        while True:
            text = self._ask(what, "")
            if text and Path(text).expanduser().is_dir():
                return Path(text)
            if not text and not is_needed:
                return None
            print_line(f"{text or 'That'} is no folder.")

    def _keys(self, url: str) -> dict[str, SecretStr]:
        """Ask for the key of each user, until Immich takes it."""
        if not self._asks:
            raise RequestError("--url needs --user NAME=FILE, the file with an API key of that user", status=400)
        print_line(f"Make an API key in Immich under Account settings, API keys. It needs {_NEEDS}.")
        keys: dict[str, SecretStr] = {}
        while not keys or typer.confirm("Another user of this Immich?", default=False):
            name = self._ask("What to call the user in manifests?", "me")
            if not is_user_name(name) or name in keys:
                print_line(f"{USER_NAME_RULE}, and each name is given once.")
                continue
            key = SecretStr(typer.prompt("The API key (it is not shown)", hide_input=True).strip())
            try:
                _try_key(url, name, key)
            except FacesetsError as error:
                print_line(str(error))
                if not typer.confirm("Keep this key all the same?", default=False):
                    continue
            keys[name] = key
        return keys

    def _models(self) -> str | None:
        """Ask which of the installed packs to use."""
        installed = list_packs(load_settings().models_dir)
        for pack in installed:
            print_line(f"  {pack.name}: {pack.licence}")
        names = [pack.name for pack in installed]
        while len(names) > 1:
            name = self._ask("Which of these models? (empty: the default one)", "")
            if name in {"", *names}:
                return name or None
        return None

    @staticmethod
    def _ask(question: str, default: str) -> str:
        return str(typer.prompt(question, default=default, show_default=bool(default))).strip()


def _checked_url(url: str) -> str:
    try:
        return checked_address(url.strip().rstrip("/"), "an address such as http://immich-server:2283")
    except ValueError as error:
        raise RequestError(f"{url!r}: the address of Immich {error}", status=400) from None


def _user_of(text: str) -> tuple[str, SecretStr]:
    """Return the name and the key of ``NAME=FILE``."""
    name, sign, file = text.partition("=")
    if not sign or not is_user_name(name):
        raise RequestError(f"--user is NAME=FILE, and {USER_NAME_RULE}", status=400)
    return name, SecretStr(read_setting_file(Path(file).expanduser(), f"--user {name} names a file").strip())


def _try_key(url: str, name: str, key: SecretStr) -> None:
    """Ask Immich about a key; a ``SetupError`` names every permission that it lacks."""
    try:
        checked_header_value(key.get_secret_value())
    except ValueError as error:
        raise SetupError(f"the API key of user {name!r} {error}") from None
    asyncio.run(
        _open(Settings(config=None, immich_url=url, immich_api_key=None, users_file=None), User(name=name, api_key=key))
    )


async def _open(settings: Settings, user: User) -> None:
    source = build_immich_source(user, settings)
    try:
        facts = await source.open()
    finally:
        await source.close()
    print_line(f"Immich {facts.version}, user {user.name}: every permission that is needed.")
