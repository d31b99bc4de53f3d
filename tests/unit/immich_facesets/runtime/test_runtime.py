"""Settings, addresses, doors and endings that both processes share."""

import asyncio
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import structlog
from aiohttp import web
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from immich_facesets.errors import RequestError, SetupError, TransientError
from immich_facesets.runtime.health import add_health, require_token
from immich_facesets.runtime.listen_address import Announcement, Listen, check_exposure
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.settings import check_names, known_names, read_secret, read_settings, variable_names
from immich_facesets.runtime.shutdown import ExitCode, run_reported


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


@pytest.mark.parametrize(
    ("text", "expected", "loopback"),
    [
        ("127.0.0.1:8786", Listen("127.0.0.1", 8786), True),
        ("localhost:0", Listen("localhost", 0), True),
        ("[::1]:80", Listen("::1", 80), True),
        (":8786", Listen("0.0.0.0", 8786), False),  # noqa: S104  compared only
        ("[::]:8786", Listen("::", 8786), False),
        ("embedder:8786", Listen("embedder", 8786), False),
        ("127.0.0.2:1", Listen("127.0.0.2", 1), True),
    ],
)
def test_addresses_are_read(text: str, expected: Listen, *, loopback: bool) -> None:
    assert Listen.parse(text) == expected
    assert expected.is_loopback is loopback
    assert Listen.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "8786", "host", "host:", "host:x", "host:70000", "::1:80", "host:-1", "host:१"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match="not an address"):
        Listen.parse(text)


def test_nobody_listens_to_the_network_without_a_token() -> None:
    check_exposure(Listen.parse("127.0.0.1:1"), None, token_name="T")
    check_exposure(Listen.parse("0.0.0.0:1"), SecretStr("x"), token_name="T")
    with pytest.raises(SetupError, match="set T"):
        check_exposure(Listen.parse("0.0.0.0:1"), None, token_name="T")


def test_an_announcement_is_one_line_that_can_be_read_again(tmp_path: Path) -> None:
    announcement = Announcement.of(Listen("0.0.0.0", 4321))  # noqa: S104  nothing listens
    assert announcement.url == "http://127.0.0.1:4321"
    assert "\n" not in announcement.line()
    announcement.write(tmp_path / "place")
    assert Announcement.read((tmp_path / "place").read_bytes()) == announcement
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    with pytest.raises(ValueError, match="not an announcement"):
        Announcement.read('{"event": "other", "host": "h", "port": 1, "url": "u"}')


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (None, ExitCode.STOPPED),
        (KeyboardInterrupt(), ExitCode.STOPPED),
        (SetupError("x"), ExitCode.SETUP),
        (RequestError("x"), ExitCode.SETUP),
        (TransientError("x"), ExitCode.OUTAGE),
        (ZeroDivisionError("x"), ExitCode.BUG),
    ],
)
def test_the_exit_code_says_who_should_do_something(trouble: BaseException | None, code: ExitCode) -> None:
    def run() -> int | None:
        if trouble is not None:
            raise trouble
        return None

    with structlog.testing.capture_logs():
        assert run_reported(run) == code
    assert run_reported(lambda: 7) == 7


def break_with(password: str) -> None:
    raise ValueError("broken") from KeyError(len(password))


def test_logs_are_json_lines_without_local_variables() -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    import logging  # noqa: PLC0415  only to put back what is changed here

    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logging(None, "info", stream)
        log = structlog.get_logger("test")
        try:
            break_with("hunter" + str(2))
        except ValueError:
            log.exception("trouble", count=3)
        log.debug("not shown")
        logging.getLogger("some.library").warning("said %s", "something")
        logging.getLogger("httpx").info("an address")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
        structlog.configure(**before)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["count"], first["level"], first["logger"]) == ("trouble", 3, "error", "test")
    assert "ValueError: broken" in first["exception"]
    assert "hunter2" not in stream.getvalue()
    assert (second["event"], second["logger"]) == ("said something", "some.library")


async def test_health_is_open_and_the_rest_is_not() -> None:
    objections = ["the disk is full"]

    async def ready() -> list[str]:
        await asyncio.sleep(0)
        return objections

    app = web.Application(middlewares=[require_token(SecretStr("tökén"))])
    add_health(app, ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with httpx.AsyncClient(base_url=base) as client:
            assert (await client.get("/healthz")).status_code == 200
            refused = await client.get("/readyz")
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            key = {b"Authorization": "Bearer tökén".encode()}
            answer = await client.get("/readyz", headers=key)
            assert (answer.status_code, answer.json()["objections"]) == (503, objections)
            objections.clear()
            assert (await client.get("/readyz", headers=key)).status_code == 200
    finally:
        await runner.cleanup()
