"""``setup`` by questions and by options: what it writes is what every other command reads."""

import os
import signal
import stat
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fork_server import ForkedProcess, ForkServer
from hypothesis import given
from hypothesis import strategies as st
from journey import ended
from on_terminal import on_terminal
from small_library import ENVIRONMENT, SmallLibrary, place
from testdata import ROOT

from service.cli.setup_file import quoted
from service.demo.immich import FakeImmich


@dataclass(frozen=True)
class Newcomer:
    """A folder with nothing in it, an Immich, and two users' keys in files."""

    forks: ForkServer
    immich: FakeImmich
    environ: dict[str, str]
    folder: Path

    async def run(self, *arguments: str) -> ForkedProcess:
        process = self.forks.start("service", *arguments, environ=self.environ)
        await ended(process)
        return process

    @property
    def settings(self) -> Path:
        return self.folder / "data" / "settings.toml"

    def values(self) -> dict[str, str]:
        return tomllib.loads(self.settings.read_text(encoding="utf-8"))


@pytest.fixture
async def newcomer(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path
) -> AsyncIterator[Newcomer]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))}
    kept |= {**ENVIRONMENT, "FACESETS_EMBEDDER_URLS": embedder_url, "FACESETS_DATA_DIR": str(tmp_path / "data")}
    kept |= {"FACESETS_LISTEN": "127.0.0.1:0", "PYTHONPATH": str(ROOT), "FACESETS_MIN_FACES": "3"}
    async with FakeImmich("3.1.0") as immich:
        place(immich, drawn)
        for user in immich.library.users.values():
            (tmp_path / f"{user.name}.key").write_text(f"{user.api_key}\n", encoding="utf-8")
        yield Newcomer(forks, immich, kept, tmp_path)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_options_write_what_sync_reads(newcomer: Newcomer) -> None:
    exports = newcomer.folder / "face sets"
    users = (f"--user=anna={newcomer.folder}/anna.key", f"--user=ben={newcomer.folder}/ben.key")
    done = await newcomer.run("setup", f"--url={newcomer.immich.url}", *users, f"--exports={exports}")
    assert done.code == 0, done.stdout + done.stderr
    assert "Immich, user anna" in done.stdout
    assert f"ok   export folder: {exports}, made at the first sync" in done.stdout
    written = [newcomer.settings, *newcomer.settings.parent.glob("keys/*"), newcomer.settings.parent / "users.toml"]
    assert len(written) == 4
    assert {mode_of(path) for path in written} == {0o600}
    assert mode_of(newcomer.settings.parent / "keys") == 0o700
    keys = [(newcomer.folder / f"{name}.key").read_text(encoding="utf-8").strip() for name in ("anna", "ben")]
    assert not [key for key in keys if key in newcomer.settings.read_text(encoding="utf-8") + done.stdout + done.stderr]
    assert (await newcomer.run("sync")).code == 0
    assert (exports / "manifest.json").is_file()
    assert {path.name for path in (exports / "users").iterdir()} == {"anna", "ben"}


@pytest.mark.slow
async def test_one_user_and_the_environment_is_stronger(newcomer: Newcomer) -> None:
    done = await newcomer.run("setup", f"--url={newcomer.immich.url}", f"--user=me={newcomer.folder}/anna.key")
    assert done.code == 0, done.stdout + done.stderr
    assert newcomer.values() == {
        "immich_url": newcomer.immich.url,
        "user": "me",
        "immich_api_key_file": "keys/me.key",
    }
    newcomer.environ["IMMICH_URL"] = "http://127.0.0.1:9"
    assert (await newcomer.run("config", "check")).code == 2


async def test_nothing_is_overwritten_without_force(newcomer: Newcomer) -> None:
    newcomer.settings.parent.mkdir()
    newcomer.settings.write_text("# mine\n", encoding="utf-8")
    arguments = ("setup", f"--url={newcomer.immich.url}", f"--user=me={newcomer.folder}/anna.key")
    refused = await newcomer.run(*arguments)
    assert refused.code == 3
    assert "--force replaces it" in refused.stderr
    assert newcomer.settings.read_text(encoding="utf-8") == "# mine\n"
    assert not (newcomer.settings.parent / "keys").exists()
    assert (await newcomer.run(*arguments, "--force")).code == 0
    assert newcomer.values()["user"] == "me"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "there is no terminal: answer with --url and --user, or with --photos"),
        (("--url=ftp://immich",), "the address of Immich must be an address such as http://immich-server:2283"),
        (("--url=URL",), "--url needs --user NAME=FILE"),
        (("--url=URL", "--user=anna"), "--user is NAME=FILE"),
        (("--url=URL", "--user=anna=/nowhere"), "--user anna names a file that cannot be read"),
        (("--user=anna=FOLDER/anna.key", "--photos=FOLDER"), "--user needs --url"),
        (("--photos=FOLDER/nowhere",), "is no folder"),
        (("--url=URL", "--user=ben=FOLDER/poor.key"), "lacks the permissions asset.download, asset.view"),
    ],
)
async def test_an_answer_that_cannot_be_right_is_told_and_nothing_is_written(
    newcomer: Newcomer, arguments: tuple[str, ...], words: str
) -> None:
    poor = newcomer.immich.add_user("poor", permissions={"asset.read", "face.read", "person.read"})
    (newcomer.folder / "poor.key").write_text(poor.api_key, encoding="utf-8")
    given = [one.replace("URL", newcomer.immich.url).replace("FOLDER", str(newcomer.folder)) for one in arguments]
    refused = await newcomer.run("setup", *given)
    assert refused.code == 3
    assert words in refused.stderr
    assert poor.api_key not in refused.stderr
    assert not newcomer.settings.exists()


async def test_a_folder_alone_is_enough(newcomer: Newcomer, drawn: SmallLibrary) -> None:
    photos = newcomer.folder / "pictures"
    photos.mkdir()
    for file in drawn.files[:3]:
        (photos / file.name).write_bytes(file.read_bytes())
    done = await newcomer.run("setup", f"--photos={photos}")
    assert done.code == 0, done.stdout + done.stderr
    assert "ok   folder pictures" in done.stdout
    synced = await newcomer.run("sync")
    assert (synced.code, "3 pictures listed" in synced.stdout) == (0, True)


@pytest.mark.slow
async def test_the_questions_on_a_terminal_lead_to_make_run(newcomer: Newcomer) -> None:
    anna = (newcomer.folder / "anna.key").read_text(encoding="utf-8").strip()
    poor = newcomer.immich.add_user("poor", permissions={"asset.read", "face.read", "person.read"})
    command = (sys.executable, "-m", "service")
    async with on_terminal(newcomer.environ, newcomer.folder, *command, "setup") as shown:
        await shown.answer("Where does your Immich answer?", newcomer.immich.url)
        await shown.answer("What to call the user", "anna")
        await shown.answer("The API key", poor.api_key)
        await shown.answer("Keep this key all the same?", "n")
        await shown.answer("What to call the user", "anna")
        await shown.answer("The API key", anna)
        await shown.answer("Another user of this Immich?", "n")
        await shown.answer("Where do the face sets go?", "")
        await shown.answer("A folder of pictures, too?", "")
        assert await shown.told("Next: ") == "make run"
        assert await shown.process.wait() == 0
        assert "lacks the permissions asset.download, asset.view" in shown.printed
        assert anna not in shown.printed
        assert poor.api_key not in shown.printed
    async with on_terminal(newcomer.environ, newcomer.folder, *command, "run") as shown:
        assert (await shown.told("This link signs you in once, within ten minutes: ")).startswith("http://127.0.0.1:")
        assert await shown.end(signal.SIGTERM) == 0


@given(st.text())
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    if text.encode(errors="ignore").decode() == text:
        assert tomllib.loads(f"value = {quoted(text)}\n") == {"value": text}
