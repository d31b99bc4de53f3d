"""Names, paths, licences and messages that hold escape sequences and marks of direction: no command prints one raw."""

import asyncio
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fork_server import ForkedProcess
from journey import Journey, ended
from small_library import SmallLibrary

import service.cli

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202eevil\u2066\u200f"
PLAIN = "owned"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("identities", "list"),
    ("identities", "show", "1"),
    ("sources", "list"),
    ("duplicates",),
    ("discover",),
    ("thresholds",),
    ("eras", "list"),
    ("config", "check"),
)


def raw(text: str) -> set[str]:
    """The characters of an output that a terminal obeys, or that reorder it."""
    kinds = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return {
        letter
        for letter in text
        if (unicodedata.category(letter) == "Cc" and letter != "\n")
        or unicodedata.bidirectional(letter) in kinds
        or letter in "\u200e\u200f"
    }


def check(process: ForkedProcess) -> str:
    assert raw(process.stdout + process.stderr) == set()
    assert "Traceback" not in process.stderr
    return process.stdout + process.stderr


class _Refusing(BaseHTTPRequestHandler):
    """An Immich that refuses everything with a message of its own."""

    status = 400

    def _answer(self) -> None:
        body = json.dumps({"message": f"go away {HOSTILE}", "error": HOSTILE}, ensure_ascii=False).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - names of the library

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[400, 401, 403, pytest.param(500, marks=pytest.mark.slow)])
def refusing(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("Refusing", (_Refusing,), {"status": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
async def test_no_command_prints_a_hostile_name_or_path_raw(
    journey: Journey, drawn: SmallLibrary, tmp_path: Path
) -> None:
    for person in journey.immich.library.people.values():
        person.name = f"{person.name or 'Nobody'} {HOSTILE}"
    for asset in journey.immich.library.assets.values():
        asset.file_name = f"{HOSTILE}{asset.file_name}"
    album = tmp_path / f"album{HOSTILE}"
    album.mkdir()
    shutil.copy(drawn.files[1], album / f"copy{HOSTILE}.jpg")
    (album / f"text{HOSTILE}.jpg").write_text("no picture")
    (album / os.fsdecode(b"\xff\x1b[2J.jpg")).write_text("no picture")
    added = journey.start("sources", "add-folder", str(album), "--name", "album")
    await ended(added)
    assert PLAIN in check(added)
    check(await journey.sync())
    printed = ""
    for command in COMMANDS:
        for arguments in ((), ("--json",)) if command != ("config", "check") else ((),):
            process = journey.start(*command, *arguments)
            await ended(process)
            assert process.code in {0, 3}, (command, process.stderr)
            printed += check(process)
            if arguments and process.stdout:
                json.loads(process.stdout)
    assert printed.count(PLAIN) > 20, "the names are in the output"


@pytest.mark.slow
async def test_a_terminal_gets_nothing_but_our_own_sequences(journey: Journey) -> None:
    for person in journey.immich.library.people.values():
        person.name = f"Mira {HOSTILE}"
    await journey.sync()
    printed = ""
    for command in (["identities", "list"], ["preflight", HOSTILE]):
        printed += await asyncio.to_thread(_on_a_terminal, command, journey.environ)
    assert PLAIN in printed
    for sequence in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e", "\u2066", "\u200f"):
        assert sequence not in printed


def _on_a_terminal(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return what a command prints on a terminal of its own."""
    end, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "service", *command], stdout=terminal, stderr=terminal,
        env={**os.environ, **environ, "TERM": "xterm", "COLUMNS": "300"},
    ) as process:  # fmt: skip
        os.close(terminal)
        printed = _read_all(end)
        process.wait(60)
    return printed


def _read_all(end: int) -> str:
    found = b""
    while True:
        try:
            block = os.read(end, 65536)
        except OSError:  # the other end is closed
            block = b""
        if not block:
            os.close(end)
            return found.decode()
        found += block


@pytest.mark.parametrize("command", ["sync", "config check"])
async def test_what_immich_answers_is_never_printed_raw(journey: Journey, refusing: str, command: str) -> None:
    process = journey.start(*command.split(), settings={"IMMICH_URL": refusing})
    await ended(process)
    assert process.code in {2, 3}
    check(process)


@pytest.mark.parametrize(("name", "count"), [("détection.onnx", 3), (f"det{HOSTILE}.onnx", 2)])
async def test_the_licence_and_the_files_of_a_pack_are_never_printed_raw(
    journey: Journey, tmp_path: Path, name: str, count: int
) -> None:
    pack = tmp_path / "pack.zip"
    licence = "".join(f"\\u{ord(letter):04X}" for letter in HOSTILE)
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("facesets.toml", f'licence = "{licence}"\n')
        archive.writestr(name, b"\x08\x07onnx")
    settings = {"FACESETS_MODELS_DIR": str(tmp_path / "models")}
    printed = ""
    for arguments in (
        ("install", "own", "--from", str(pack)),
        ("install", "own", "--from", str(pack), "--accept-license"),
        ("list",),
        ("verify", "own"),
    ):
        process = journey.start("models", *arguments, settings=settings)
        await ended(process)
        printed += check(process)
    assert printed.count(PLAIN) >= count


def test_the_commands_print_through_one_door() -> None:
    folder = Path(service.cli.__file__).parent
    others = [path for path in folder.glob("*.py") if path.name != "terminal.py"]
    assert len(others) > 15
    for path in others:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"\bConsole\b|\.echo\(|sys\.std\w+\.write|(?<![\w.])print\(", text) is None, path.name
