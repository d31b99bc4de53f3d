"""One database, one data folder, one service: everything else is refused with the way out."""

from pathlib import Path

import pytest
from databases import at_version
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from immich_facesets.errors import SetupError
from service.app import chosen_users
from service.settings import Settings
from service.storage import open_own_store, open_reading, prepare_data_dir
from service.store import folders, named_values
from service.store.database import Store
from service.store.folders import Folder

TAKEN = "another immich-facesets is working on this database"
OTHER = "the database belongs to another data folder"


def settings_of(folder: Path, database_url: str) -> Settings:
    return Settings(data_dir=folder, database_url=SecretStr(database_url))


def write(store: Store, value: str) -> None:
    store.write_now(named_values.write_value, "test", value)


def refusal(folder: Path, database_url: str) -> str:
    settings = settings_of(folder, database_url)
    with pytest.raises(SetupError) as caught, open_own_store(settings, prepare_data_dir(settings)):
        pass
    return str(caught.value)


def test_a_second_service_on_one_database_is_refused_while_the_first_runs(database_url: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "one", database_url)
    with open_own_store(settings, prepare_data_dir(settings)) as store:
        store.engine.dispose()  # as when connections are recycled
        assert TAKEN in refusal(tmp_path / "two", database_url)
        assert TAKEN in refusal(tmp_path / "one", database_url)
        write(store, "goes on")
        with open_own_store(settings, tmp_path / "one", is_locked=False) as beside:
            write(beside, "beside it")
    with open_own_store(settings, tmp_path / "one") as store:
        assert store.read_now(named_values.read_value, "test") == "beside it"


def test_another_data_folder_is_refused_when_nobody_runs_and_told_the_way_in(database_url: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "one", database_url)
    with open_own_store(settings, prepare_data_dir(settings)) as store:
        write(store, "first")
    said = refusal(tmp_path / "two", database_url)
    assert OTHER in said
    assert str(tmp_path / "one") in said
    assert "FACESETS_DATA_DIR" in said
    own_id = (tmp_path / "one" / "id").read_text(encoding="utf-8").strip()
    assert f"write {own_id} into {tmp_path / 'two' / 'id'}" in said
    (tmp_path / "two" / "id").write_text(f"{own_id}\n", encoding="utf-8")
    restored = settings_of(tmp_path / "two", database_url)
    with open_own_store(restored, tmp_path / "two") as store:
        assert store.read_now(named_values.read_value, "test") == "first"


def test_another_data_folder_is_refused_before_the_tables_change(database_url: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "one", database_url)
    with open_own_store(settings, prepare_data_dir(settings)) as store:
        at_version(store, "0013")
    assert OTHER in refusal(tmp_path / "two", database_url)
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0013"
    engine.dispose()


async def test_a_command_that_only_reads_is_refused_in_another_data_folder_too(
    database_url: str, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "one", database_url)
    with open_own_store(settings, prepare_data_dir(settings)):
        async with open_reading(settings) as reading:
            assert await reading.read(named_values.read_value, "test") is None
        with pytest.raises(SetupError, match=OTHER):
            async with open_reading(settings_of(tmp_path / "two", database_url)):
                pass


def test_a_data_folder_that_moves_keeps_its_database(database_url: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "one", database_url)
    with open_own_store(settings, prepare_data_dir(settings)):
        pass
    (tmp_path / "one").rename(tmp_path / "moved")
    with open_own_store(settings_of(tmp_path / "moved", database_url), tmp_path / "moved"):
        pass
    assert str(tmp_path / "moved") in refusal(tmp_path / "two", database_url)


def test_a_service_takes_the_lock_again_after_the_server_ended_its_sessions(
    postgres: str, database_url: str, tmp_path: Path
) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite has no sessions")
    settings = settings_of(tmp_path / "one", database_url)
    with open_own_store(settings, prepare_data_dir(settings)) as store:
        end_sessions(postgres, database_url)
        write(store, "after it")
        assert TAKEN in refusal(tmp_path / "one", database_url)
        end_sessions(postgres, database_url)
        with open_own_store(settings, tmp_path / "one") as other:
            write(other, "the other's")
            with pytest.raises(SetupError, match=TAKEN):
                write(store, "lost")
            assert other.read_now(named_values.read_value, "test") == "the other's"


def end_sessions(postgres: str, database_url: str) -> None:
    admin = create_engine(postgres.format(name="postgres"), isolation_level="AUTOCOMMIT")
    ending = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    with admin.connect() as connection:
        connection.execute(ending, {"name": create_engine(database_url).url.database})
    admin.dispose()


@pytest.mark.parametrize("version", ["0019", "0013", "0004", "0003"])
def test_folders_alone_need_no_immich_before_an_old_database_is_brought_up_to_date(
    database_url: str, tmp_path: Path, version: str
) -> None:
    settings = settings_of(tmp_path / "one", database_url)
    with open_own_store(settings, prepare_data_dir(settings)) as store:
        store.write_now(folders.add_folder, Folder("pictures", tmp_path, "mixed"))
        at_version(store, version)
    if version == "0003":  # there were no folders
        with pytest.raises(SetupError, match="IMMICH_URL is not set"):
            chosen_users(settings)
        return
    assert chosen_users(settings) == ()
    with open_own_store(settings, tmp_path / "one") as store:
        assert [folder.name for folder in store.read_now(folders.folders)] == ["pictures"]
