"""Any text for any setting gives a value that works, or a message that names the variable."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from embedder.settings import EmbedderSettings
from embedder.settings import load_settings as load_embedder_settings
from immich_facesets.errors import SetupError
from immich_facesets.runtime.listen_address import Listen
from immich_facesets.runtime.settings import known_names
from service.app import build_pool, chosen_users
from service.progress import ProgressBoard
from service.settings import Settings, load_settings
from service.sources.immich import build_immich_source
from service.storage import database_url, prepare_data_dir
from service.store.database import Store, migrate, open_engine
from service.sync.schedule import Schedule, SyncTrigger, schedule_of

FOLDERS = {"FACESETS_DATA_DIR"}
"""Variables whose folder is made: the text is a name below a folder of the test."""

TRICKY = (
    "nan", "inf", "-1", "0", "1e400", "9" * 30, "9" * 400, "9" * 5000, "٣", "²", "x" * 300, "a/" * 3000, "~", "[", "{}",
    "http://", "http://[", "http://a:b", "http://a:99999", "http://a b", "http://é", "//x", "https://u:p@h/x?y#z",
    "postgresql://", "postgresql://[", "postgresql://h:x/d", "postgresql://h/d?nonsense=1", "sqlite://", "sqlite:///x?y=1",
    "sqlite:////nowhere/at/all.db", "mysql://x", "sqlite+nonsense:///x",
    "* * * * *", "0 0 31 2 *", "*/0 * * * *", "*/99999999999 * * * *", "* * * * mon/-1", "1-0 * * * *", "a b c d e", "* * L * *",
    "PT0S", "P999999999D", "P99999999999Y", "PT1e400S", "-PT5M", "127.0.0.1:99999", "[::1]:1", "::1:1", "\udc80", "é", "a:1e308,b:1e308",
    "0-2,1-3", "fsz:0", "kohya:9999999999999999999:1", ",", ":", "\x7f", "\n",
)  # fmt: skip

ANY_TEXT = st.one_of(
    st.sampled_from(TRICKY), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("FACESETS_", "IMMICH_")):
            monkeypatch.delenv(name)


def all_of(settings: Settings) -> None:
    """Everything that is made of settings before the first request to a remote."""
    prepare_data_dir(settings)
    schedule = schedule_of(settings)
    asyncio.run(_parts_with_a_loop(settings, schedule))
    Listen.parse(settings.listen)
    assert settings.era_windows is not None
    settings.points("w600k_r50")
    if not database_url(settings).startswith("postgresql"):
        store = Store(open_engine(database_url(settings)))
        try:
            migrate(store.engine)
        finally:
            store.close()


async def _parts_with_a_loop(settings: Settings, schedule: Schedule) -> None:
    sync_trigger = SyncTrigger(schedule, on_next=lambda _: None)
    sync_trigger.start()
    sync_trigger.stop()
    for user in chosen_users(settings):
        await build_immich_source(user, settings).close()
    await build_pool(settings.embedder_addresses, settings.embedder_token, settings, ProgressBoard()).close()


def refusal(name: str, text: str, load: Callable[[], object], use: Callable[..., None]) -> str | None:
    """Return the message that refuses this text, None where it is a value."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMMICH_URL", "http://immich:2283")
        patch.setenv("IMMICH_API_KEY", "a-key")
        patch.setenv(name, text)
        if name in {"IMMICH_API_KEY_FILE", "FACESETS_USERS_FILE"}:
            patch.delenv("IMMICH_API_KEY")
        try:
            use(load())
        except SetupError as error:
            return str(error)
    return None


def check(name: str, text: str, load: Callable[[], object], use: Callable[..., None], also: str = "") -> None:
    said = refusal(name, text, load, use)
    assert said is None or name in said or (also and also in said), said


SERVICE = sorted(known_names(Settings))
EMBEDDER = sorted(known_names(EmbedderSettings))


@pytest.mark.parametrize("name", SERVICE)
@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT)
def test_any_text_for_a_setting_of_the_service(name: str, text: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("FACESETS_DATA_DIR", str(tmp_path / "data"))
        value = f"{tmp_path}/data/{text}" if name in FOLDERS else text
        check(name, value, load_settings, all_of)


@pytest.mark.parametrize("name", EMBEDDER)
@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT)
def test_any_text_for_a_setting_of_the_embedder(name: str, text: str) -> None:
    check(name, text, load_embedder_settings, lambda _: None, also="FACESETS_EMBEDDER_TOKEN")


@pytest.mark.slow
def test_each_tricky_text_for_each_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESETS_DATA_DIR", str(tmp_path / "data"))
    for text in TRICKY:
        for name in SERVICE:
            check(name, f"{tmp_path}/data/{text}" if name in FOLDERS else text, load_settings, all_of)
        for name in EMBEDDER:
            check(name, text, load_embedder_settings, lambda _: None, also="FACESETS_EMBEDDER_TOKEN")
