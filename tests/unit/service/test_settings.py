"""Settings of the service: valid values, and the error message of each invalid one."""

import dataclasses
import os
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from embedder.settings import EmbedderSettings
from embedder.settings import load_settings as load_embedder_settings
from immich_facesets.errors import SetupError
from immich_facesets.runtime.settings import known_names
from immich_facesets.spaces import BUFFALO_L, OPERATING_POINTS, OperatingPoints
from service.settings import EMBEDDER_NAMES, Settings, load_settings
from service.users import User, load_users, marks_of

KEY = "k" * 43


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("FACESETS_", "IMMICH_")):
            monkeypatch.delenv(name)


def refused(**variables: str) -> str:
    """Return the error message for these variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SetupError) as caught:
            load_settings()
    return str(caught.value)


def read(**variables: str) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return load_settings()


def users_refused(folder: Path, text: str) -> str:
    path = folder / "users.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError) as caught:
        load_users(read(IMMICH_URL="http://immich:2283", FACESETS_USERS_FILE=str(path)))
    assert KEY not in str(caught.value)
    return str(caught.value)


# the file in the data folder


def in_data_folder(folder: Path, text: str) -> str:
    (folder / "settings.toml").write_text(text, encoding="utf-8")
    return str(folder)


def test_the_file_in_the_data_folder_is_read_without_being_named(tmp_path: Path) -> None:
    data = in_data_folder(tmp_path, 'immich_url = "http://from-the-file"\nexport_top = 10\n')
    settings = read(FACESETS_DATA_DIR=data, FACESETS_EXPORT_TOP="20")
    assert (settings.immich_url, settings.export_top) == ("http://from-the-file", 20)
    (other := tmp_path / "other.toml").write_text("export_top = 5\n", encoding="utf-8")
    named = read(FACESETS_DATA_DIR=data, FACESETS_CONFIG=str(other))
    assert (named.immich_url, named.export_top) == (None, 5)
    assert Settings(config=None, data_dir=tmp_path).immich_url is None


def test_it_cannot_say_where_it_lies(tmp_path: Path) -> None:
    data = in_data_folder(tmp_path, 'data_dir = "elsewhere"\n')
    assert "set FACESETS_DATA_DIR instead" in refused(FACESETS_DATA_DIR=data)


def test_a_secret_of_the_file_may_lie_in_one_beside_it(tmp_path: Path) -> None:
    data = in_data_folder(tmp_path, 'immich_api_key_file = "keys/me.key"\n')
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "me.key").write_text(f"{KEY}\n", encoding="utf-8")
    key = read(FACESETS_DATA_DIR=data).immich_api_key
    assert key is not None
    assert key.get_secret_value() == KEY
    stronger = read(FACESETS_DATA_DIR=data, IMMICH_API_KEY="e" * 43).immich_api_key
    assert stronger is not None
    assert stronger.get_secret_value() == "e" * 43


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('immich_api_key_file = "nowhere"\n', "immich_api_key_file: names a file that cannot be read"),
        ("immich_api_key_file = 3\n", "must be the path of a file"),
        (f'immich_api_key_file = "a"\nimmich_api_key = "{KEY}"\n', "keep one of them"),
        ('immich_url_file = "a"\n', "unknown setting"),
        ("= = 3\n", "the data folder holds a settings file that is not TOML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_told(tmp_path: Path, text: str, words: str) -> None:
    message = refused(FACESETS_DATA_DIR=in_data_folder(tmp_path, text))
    assert words in message
    assert KEY not in message


# names


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("FACESETS_MIN_FACE", "FACESETS_MIN_FACES"),
        ("FACESETS_EXPORT_DIRECTORY", "FACESETS_EXPORT_DIR"),
        ("FACESETS_EMBEDDER_URL", "FACESETS_EMBEDDER_URLS"),
        ("FACESETS_EMBEDDER_THREAD", "FACESETS_EMBEDDER_THREADS"),
        ("FACESETS_EMBEDDER_URLS_FILE", "FACESETS_EMBEDDER_URLS"),
        ("FACESETS_TOKEN_FILES", "FACESETS_TOKEN_FILE"),
        ("facesets_min_face", "FACESETS_MIN_FACES"),
    ],
)
def test_a_misspelt_variable_is_refused_and_the_nearest_one_named(typed: str, meant: str) -> None:
    assert refused(**{typed: "1"}) == f"unknown settings: {typed} (did you mean {meant}?)"


def test_a_misspelt_variable_is_refused_even_when_it_is_empty() -> None:
    assert "FACESETS_EMBEDDER_URLS?" in refused(FACESETS_EMBEDDER_URL="")


def test_the_names_of_the_embedder_are_known_here_so_that_only_typing_errors_are_refused() -> None:
    assert set(EMBEDDER_NAMES) == known_names(EmbedderSettings) - known_names(Settings)
    read(**dict.fromkeys(EMBEDDER_NAMES, "1"))


def test_the_embedder_can_live_in_the_environment_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_names(Settings):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("FACESETS_EMBEDDER_URLS", "http://embedder:8786")
    assert load_embedder_settings().model_pack == ""
    monkeypatch.setenv("FACESETS_EMBEDDER_URL", "http://embedder:8786")
    with pytest.raises(SetupError, match=r"FACESETS_EMBEDDER_URL \(did you mean FACESETS_EMBEDDER_URLS\?\)"):
        load_embedder_settings()


# values


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FACESETS_MIN_FACES", "many", "integer"),
        ("FACESETS_MIN_FACES", "0", "greater than or equal to 1"),
        ("FACESETS_MATCH_DISTANCE", "3", "less than or equal to 2"),
        ("FACESETS_DETECTION", "fast", "'full' or 'guided'"),
        ("FACESETS_SYNC_INTERVAL", "0", "a second at least"),
        ("FACESETS_SYNC_INTERVAL", "soon", "duration"),
        ("FACESETS_ERA_AGES", "0-2,5-3", "no range of ages"),
        ("FACESETS_TOKEN", "fifteen-letters", "16 characters at least"),
        ("FACESETS_USER", "an\nna", "printable"),
        ("FACESETS_USER", " anna", "blanks"),
        ("FACESETS_BASE_PATH", "faces/", "a path such as /faces"),
        ("FACESETS_BASE_PATH", "/metrics", "at the root"),
        ("FACESETS_EMBEDDER_URLS", "embedder:8786", "such as http://embedder:8786"),
        ("FACESETS_EMBEDDER_URLS", "http://one:8786, http://", "such as http://embedder:8786"),
    ],
)
def test_a_wrong_value_is_told_by_its_variable(name: str, value: str, said: str) -> None:
    message = refused(**{name: value})
    assert message.startswith(f"{name}: ")
    assert said in message


def test_every_wrong_value_is_told_at_once() -> None:
    message = refused(FACESETS_MIN_FACES="many", FACESETS_CROP_SIZE="huge")
    assert "FACESETS_MIN_FACES: " in message
    assert "FACESETS_CROP_SIZE: " in message


def test_a_token_of_16_characters_is_taken() -> None:
    token = read(FACESETS_TOKEN="sixteen-letters!").token
    assert token is not None
    assert token.get_secret_value() == "sixteen-letters!"


def test_a_short_token_is_refused_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hunter2\n", encoding="utf-8")
    for variables in ({"FACESETS_TOKEN": "hunter2"}, {"FACESETS_TOKEN_FILE": str(file)}):
        message = refused(**variables)
        assert message.startswith("FACESETS_TOKEN: must have 16 characters at least")
        assert "hunter2" not in message


def test_durations_are_seconds_or_iso() -> None:
    assert read(FACESETS_SYNC_INTERVAL="90").sync_interval == timedelta(seconds=90)
    assert read(FACESETS_SYNC_INTERVAL="PT30M").sync_interval == timedelta(minutes=30)


def test_several_embedders_are_told_apart_by_commas() -> None:
    settings = read(FACESETS_EMBEDDER_URLS=" http://one:8786/ ,https://two:8786,")
    assert settings.embedder_addresses == ("http://one:8786", "https://two:8786")


def test_distances_that_are_set_replace_those_of_the_space_and_only_those() -> None:
    points = read(FACESETS_MATCH_DISTANCE="0.3").points("w600k_r50")
    assert points.match == 0.3
    assert points.cluster == BUFFALO_L.cluster


def test_an_unknown_recognition_model_needs_all_its_distances() -> None:
    with pytest.raises(SetupError, match="FACESETS_MATCH_DISTANCE") as caught:
        read().points("a-model-of-my-own")
    assert "a-model-of-my-own" in str(caught.value)
    names = ("MATCH", "CLUSTER", "MERGE", "DROP", "OUTLIER")
    given = {f"FACESETS_{name}_DISTANCE": "0.5" for name in names}
    assert read(**given).points("a-model-of-my-own").cluster == 0.5
    given.pop("FACESETS_DROP_DISTANCE")
    with pytest.raises(SetupError, match="FACESETS_DROP_DISTANCE"):
        read(**given).points("a-model-of-my-own")


def test_distances_stated_beside_a_model_of_ones_own_are_used_unless_the_settings_say_others() -> None:
    stated = OperatingPoints(match=0.3, cluster=0.4, merge=0.2, drop=0.4, outlier=0.3)
    points = read(FACESETS_MATCH_DISTANCE="0.25").points("a-model-of-my-own", stated)
    assert points == dataclasses.replace(stated, match=0.25)


def test_distances_of_two_recognisers_together_are_asked_for_and_those_of_sface_are_known() -> None:
    with pytest.raises(SetupError, match="FACESETS_MATCH_DISTANCE"):
        read().points("w600k_r50:0.6+glintr100:0.4")
    assert read().points("face_recognition_sface") == OPERATING_POINTS["face_recognition_sface"]


# secrets


def test_a_secret_can_come_from_a_file_and_the_blank_lines_of_editors_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n\n", encoding="utf-8")
    settings = read(IMMICH_API_KEY_FILE=str(file))
    assert settings.immich_api_key is not None
    assert settings.immich_api_key.get_secret_value() == KEY
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    "name", ["IMMICH_API_KEY", "FACESETS_TOKEN", "FACESETS_EMBEDDER_TOKEN", "FACESETS_DATABASE_URL"]
)
def test_a_secret_file_that_cannot_be_used_is_told(name: str, tmp_path: Path) -> None:
    empty, missing, binary = tmp_path / "empty", tmp_path / "missing", tmp_path / "binary"
    empty.write_text("\n", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe\x00")
    assert refused(**{f"{name}_FILE": str(empty)}) == f"{name}_FILE names an empty file: {empty}"
    assert "No such file or directory" in refused(**{f"{name}_FILE": str(missing)})
    assert "Is a directory" in refused(**{f"{name}_FILE": str(tmp_path)})
    assert "not text" in refused(**{f"{name}_FILE": str(binary)})
    both = refused(**{name: KEY, f"{name}_FILE": str(empty)})
    assert both == f"both {name} and {name}_FILE are set: keep one of them"


def test_a_key_and_a_users_file_are_one_too_many(tmp_path: Path) -> None:
    message = refused(IMMICH_API_KEY=KEY, FACESETS_USERS_FILE=str(tmp_path / "users.toml"))
    assert message == "both IMMICH_API_KEY and FACESETS_USERS_FILE are set: keep one of them"


# the TOML file


def test_a_toml_file_is_weaker_than_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "facesets.toml"
    file.write_text(
        'immich_url = "http://from-the-file"\nmin_faces = 6\nexport_top = 10\nsync_interval = "PT5M"\n',
        encoding="utf-8",
    )
    settings = read(FACESETS_CONFIG=str(file), FACESETS_MIN_FACES="9")
    assert (settings.min_faces, settings.export_top) == (9, 10)
    assert (settings.immich_url, settings.sync_interval) == ("http://from-the-file", timedelta(minutes=5))
    stronger = read(FACESETS_CONFIG=str(file), IMMICH_URL="http://from-the-environment")
    assert stronger.immich_url == "http://from-the-environment"


def test_a_secret_of_the_environment_is_stronger_than_one_of_the_toml_file(tmp_path: Path) -> None:
    file, key = tmp_path / "facesets.toml", tmp_path / "key"
    file.write_text(f'immich_api_key = "{KEY}"\n', encoding="utf-8")
    key.write_text("from-the-file", encoding="utf-8")
    for variables in ({"IMMICH_API_KEY": "from-the-file"}, {"IMMICH_API_KEY_FILE": str(key)}):
        settings = read(FACESETS_CONFIG=str(file), **variables)
        assert settings.immich_api_key is not None
        assert settings.immich_api_key.get_secret_value() == "from-the-file"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min_faces = = 3", "is not TOML"),
        ("min_face = 3", "min_face (did you mean min_faces?)"),
        ("FACESETS_MIN_FACES = 3", "FACESETS_MIN_FACES (did you mean min_faces?)"),
        ("[embedder]\nurls = 3", "unknown setting in"),
        ('min_faces = "many"', "FACESETS_MIN_FACES: "),
        ('token = "hunter2"', "FACESETS_TOKEN: must have 16"),
    ],
)
def test_a_toml_file_that_is_wrong_is_told(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "facesets.toml"
    file.write_text(text, encoding="utf-8")
    message = refused(FACESETS_CONFIG=str(file))
    assert said in message
    assert "hunter2" not in message


def test_a_toml_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "FACESETS_CONFIG names a file that cannot be read" in refused(FACESETS_CONFIG=str(tmp_path / "none.toml"))
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'user = "J\xfcrgen"')
    assert "FACESETS_CONFIG names a file that cannot be read (not text)" in refused(FACESETS_CONFIG=str(latin))


# the users


def test_without_an_immich_or_a_key_it_is_said_what_to_set() -> None:
    with pytest.raises(SetupError, match="IMMICH_URL is not set"):
        load_users(read(IMMICH_API_KEY=KEY))
    with pytest.raises(SetupError, match="no API key: set IMMICH_API_KEY"):
        load_users(read(IMMICH_URL="http://immich:2283"))


def test_a_single_user_has_the_configured_name() -> None:
    name = "anna/../🦊 [b]"
    (user,) = load_users(read(IMMICH_URL="http://immich:2283", IMMICH_API_KEY=KEY, FACESETS_USER=name))
    assert (user.name, user.api_key.get_secret_value()) == (name, KEY)
    (me,) = load_users(read(IMMICH_URL="http://immich:2283", IMMICH_API_KEY=KEY))
    assert me.name == "me"


def test_several_users_come_from_a_file_with_keys_or_files_of_keys_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ben.key").write_text("bens-key\n", encoding="utf-8")
    path = tmp_path / "users.toml"
    path.write_text(f'[users.ben]\napi_key_file = "ben.key"\n[users.anna]\napi_key = "{KEY}"\n', encoding="utf-8")
    users = load_users(read(IMMICH_URL="http://immich:2283", FACESETS_USERS_FILE=str(path)))
    assert [(user.name, user.api_key.get_secret_value()) for user in users] == [("anna", KEY), ("ben", "bens-key")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "each user is a table [users.NAME]"),
        ("[users]", "names no user"),
        ("[users.anna]", "users.anna needs exactly one of api_key and api_key_file"),
        ('[users.anna]\napi_key = ""', "users.anna needs exactly one"),
        (f'[users.anna]\napi_key = "{KEY}"\napi_key_file = "a.key"', "users.anna"),
        (f'[users.anna]\nkey = "{KEY}"', "users.anna.key: each user is a table"),
        (f'[user.anna]\napi_key = "{KEY}"', "each user is a table [users.NAME]"),
        (f'[users."an\\nna"]\napi_key = "{KEY}"', r"users.'an\nna': a user's name must be"),
        (f'[users.""]\napi_key = "{KEY}"', "a user's name must be"),
        (f'[users."{"x" * 101}"]\napi_key = "{KEY}"', "a user's name must be"),
        ('[users.anna]\napi_key_file = "none.key"', "users.anna: api_key_file: names a file that cannot be read"),
        (f"[users.anna\napi_key = {KEY}", "is not TOML"),
        (
            f'[users.anna]\napi_key = "{KEY}"\n[users.Anna]\napi_key = "{KEY}"',
            "users.Anna and users.anna differ only in capitals",
        ),
        (f'[users."Zo\u00eb"]\napi_key = "{KEY}"\n[users."Zoe\u0308"]\napi_key = "{KEY}"', "encoding of accents"),
    ],
)
def test_a_users_file_that_is_wrong_is_told(text: str, said: str, tmp_path: Path) -> None:
    message = users_refused(tmp_path, text)
    assert said in message
    assert str(tmp_path / "users.toml") in message


def test_a_users_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="FACESETS_USERS_FILE names a file that cannot be read"):
        load_users(read(IMMICH_URL="http://immich:2283", FACESETS_USERS_FILE=str(tmp_path / "none.toml")))


def test_another_key_under_the_same_name_has_another_mark_that_does_not_tell_it() -> None:
    first, second = (marks_of([User(name="anna", api_key=SecretStr(key))])["anna"] for key in ("key-1", "key-2"))
    assert first != second
    assert "key" not in first
