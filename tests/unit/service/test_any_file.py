"""Any file that a user gives ends as a value that works, or as a message and exit code 3: never as a bug."""

import io
import json
import logging
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from builders import NOON
from nasty_values import DEEP, NASTY_JSON, NASTY_TOML, with_value
from sqlalchemy import Connection

from immich_facesets.errors import SetupError
from immich_facesets.imports.findings import Findings
from immich_facesets.imports.plan import plan_import
from immich_facesets.runtime.pack_description import MANIFEST_NAME, NOTES_NAME, read_notes
from immich_facesets.runtime.setting_files import MOST_BYTES
from immich_facesets.runtime.settings import known_names, read_secret, variable_names
from immich_facesets.runtime.shutdown import ExitCode, run_reported
from service.app import chosen_users
from service.cli.app import run
from service.files.imported_sets import read_earlier
from service.files.ownership import object_in
from service.reports.evaluation import labels
from service.reports.evaluation.labels import read_rows
from service.settings import Settings, load_settings
from service.storage import prepare_data_dir
from service.store.database import Store
from service.store.imports import record_import, survey

SHA256 = "ab" * 32
FACE: dict[str, Any] = {
    "path": "/a.jpg", "sha256": SHA256, "box": [1, 2, 30, 40], "aliases": ["/b.jpg"], "hash": "00", "bbox": None,
}  # fmt: skip
MANIFEST: dict[str, Any] = {"label": "Mira", "faces": [FACE], "era": [2001, 2004], "person": "Mira"}
ENTRY: dict[str, Any] = {"directory": "faceset_001", "label": "Mira", "name": "faceset_001", "era": [2001, 2004]}
TOP: dict[str, Any] = {"facesets": [ENTRY], "thin_eras": []}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings but a data folder, and the log as it was before."""
    for name in list(os.environ):
        if name.startswith(("FACESETS_", "IMMICH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FACESETS_DATA_DIR", str(tmp_path / "data"))
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def folder_of(place: Path, *, top: str | None = None, manifest: str | None = None) -> Path:
    """A folder with one face set and one of a period, whose manifests are these texts."""
    for name in ("faceset_001", "faceset_001_era_2001-2004"):
        (place / name).mkdir(parents=True, exist_ok=True)
        text = json.dumps(MANIFEST) if manifest is None else manifest
        (place / name / "manifest.json").write_text(text, encoding="utf-8")
    (place / "manifest.json").write_text(json.dumps(TOP) if top is None else top, encoding="utf-8")
    return place


def imported(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """The exit code of ``import-facesets`` and all that it prints."""
    code = run_reported(lambda: run(["import-facesets", *map(str, arguments)]))
    printed = "".join(capfd.readouterr())
    assert "Traceback" not in printed
    assert code in {ExitCode.STOPPED, ExitCode.SETUP}, printed[-2000:]
    return code, printed


class RolledBackError(Exception):
    """The end of a transaction whose rows are not wanted."""


def wrong(store: Store, folder: Path, *caches: Path) -> str | None:
    """The problems of an import, None where it can be written; any exception fails the test."""
    findings = Findings()
    sets = read_earlier(folder, caches, findings)
    if findings.problems:
        return "; ".join(findings.problems)

    def write(tx: Connection) -> None:
        record_import(tx, plan_import(sets, survey(tx, sets).existing), NOON)
        raise RolledBackError

    with pytest.raises(RolledBackError):
        store.write_now(write)
    return None


@pytest.mark.parametrize("name", list(FACE))
def test_any_value_of_a_face(store: Store, name: str, tmp_path: Path) -> None:
    for text in NASTY_JSON:
        body = with_value(MANIFEST, "faces", f"[{with_value(FACE, name, text)}]")
        said = wrong(store, folder_of(tmp_path, manifest=body))
        assert said is None or "faceset_001/manifest.json" in said, (text[:40], said)


def test_a_wrong_value_of_a_face_is_named(store: Store, tmp_path: Path) -> None:
    values = {
        "path": '"a\\u0000b"',
        "sha256": '"x"',
        "box": f"[0, 0, {'9' * 400}, {'9' * 400}]",
        "aliases": '["\\ud800"]',
    }
    words = {"path": "path", "sha256": "digest", "box": "box", "aliases": "path"}
    for name, text in values.items():
        body = with_value(MANIFEST, "faces", f"[{with_value(FACE, name, text)}]")
        said = wrong(store, folder_of(tmp_path, manifest=body)) or ""
        assert f"its {words[name]}" in said, (name, said)


@pytest.mark.parametrize("name", list(MANIFEST))
def test_any_value_of_a_manifest(store: Store, name: str, tmp_path: Path) -> None:
    for text in NASTY_JSON:
        said = wrong(store, folder_of(tmp_path, manifest=with_value(MANIFEST, name, text)))
        assert said is None or "faceset_001" in said, (text[:40], said)


@pytest.mark.parametrize("name", [*TOP, *(f"entry {name}" for name in ENTRY)])
def test_any_value_of_the_manifest_of_all(store: Store, name: str, tmp_path: Path) -> None:
    for text in NASTY_JSON:
        field = name.removeprefix("entry ")
        top = with_value(TOP, name, text) if name in TOP else f'{{"facesets": [{with_value(ENTRY, field, text)}]}}'
        said = wrong(store, folder_of(tmp_path, top=top))
        assert said is None or "manifest.json" in said or "faceset_" in said, (text[:40], said)


def test_a_deep_manifest_is_told_with_exit_code_3(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("[" * DEEP, '{"faces": ' + "9" * 5000 + "}", '{"label": "\\ud800"}'):
        code, printed = imported(capfd, folder_of(tmp_path, manifest=text))
        assert code == ExitCode.SETUP
        assert "faceset_001" in printed


def raw(array: np.ndarray[Any, Any], **header: Any) -> bytes:
    """A member of a cache: an array's bytes with a header that may say something else."""
    file = io.BytesIO()
    stated = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    np.lib.format.write_array_header_1_0(file, stated)
    return file.getvalue() + array.tobytes()


def headed(text: str) -> bytes:
    body = text.encode().ljust(119, b" ") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


COLUMNS: dict[str, np.ndarray[Any, Any]] = {
    "path": np.array(["/a.jpg"]), "sha256": np.array([SHA256]), "box": np.array([[1.0, 2.0, 30.0, 40.0]]),
    "identity": np.array([1]), "record": np.array([json.dumps(FACE)]), "path_aliases": np.array([["/a.jpg", "/b.jpg"]]),
}  # fmt: skip
MEMBERS: tuple[bytes, ...] = (
    b"", b"\x93NUMPY", raw(np.array(["\ud800"])), raw(np.array(["a\0b"])), raw(np.full((1, 8), 0x7FFFFFFF, np.int32), descr="<U8", shape=(1,)),
    raw(np.array(["9" * 5000])), raw(np.array([json.dumps({"path": "/a", "box": [0, 0, 10**400, 10**400]})])),
    raw(np.array('{"/a.jpg": ["\\ud800"]}')), raw(np.array('{"/a.jpg": ["a\\u0000b", 5, null]}')), raw(np.array(["[" * 100_000])), raw(np.array([1e300])), raw(np.array([[0, 0, 1e308, 1e308]])), raw(np.array([[np.nan] * 4])),
    raw(np.array([2**63], np.uint64)), raw(np.array([-1])), raw(np.array([10**9])), raw(np.array([b"\xff\xfe"])),
    raw(np.array([], "<U0"), shape=(10**15,), descr="<U0"), raw(np.zeros(1, np.uint8), shape=(10**400,)),
    raw(np.zeros(1, np.uint8), descr="|V0", shape=(10**15,)), raw(np.zeros(1, "M8[s]")), raw(np.zeros(1, complex)),
    headed("{" * 60), headed("(" * 118), headed("{'descr': '<U8', 'fortran_order': False, 'shape': (1,), "), headed("[" * 50 + "]" * 50),
    headed("{'descr': 5, 'fortran_order': 1, 'shape': 'a'}"), headed("{'descr': '<U99999999999', 'fortran_order': False, 'shape': (1,)}"),
    headed("{'descr': '<f8', 'fortran_order': False, 'shape': (True, -1)}"), headed("-" * 118 + "1"), headed("\x00"),
)  # fmt: skip


def cache_of(path: Path, members: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, body in members.items():
            archive.writestr(f"{name}.npy", body)
    return path


@pytest.mark.parametrize("name", list(COLUMNS))
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_any_array_of_a_cache(store: Store, name: str, tmp_path: Path) -> None:
    place = folder_of(tmp_path / "sets")
    without: tuple[tuple[str, ...], ...] = ((), ("record",), ("path", "sha256"))
    for body in MEMBERS:
        for left_out in without:
            members = {key: raw(array) for key, array in COLUMNS.items() if key not in left_out} | {name: body}
            said = wrong(store, place, cache_of(tmp_path / "c.npz", members))
            assert said is None or "c.npz" in said or "cache" in said or "faceset_" in said, (body[:60], said)


BOMB_BYTES = 4 << 30


def shared_bomb(path: Path) -> Path:
    """One packed member of 32 MB that the directory of the archive names as often as it takes."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a0.npy", raw(np.zeros(32 << 20, np.uint8)))
    packed = whole.getvalue()
    start = packed.rindex(b"PK\x01\x02")
    end = packed.rindex(b"PK\x05\x06")
    entry, tail, count = packed[start:end], packed[end:], BOMB_BYTES >> 25
    entries = b"".join(entry.replace(b"a0.npy", f"{number:02x}.npy"[-6:].encode()) for number in range(count))
    numbers = count.to_bytes(2, "little") * 2 + len(entries).to_bytes(4, "little") + start.to_bytes(4, "little")
    path.write_bytes(packed[:start] + entries + tail[:8] + numbers + tail[20:])
    return path


def packed_bomb(path: Path) -> Path:
    return cache_of(path, {"path": raw(np.zeros(256 << 20, np.uint8))}, compression=zipfile.ZIP_DEFLATED)


def lzma_bomb(path: Path) -> Path:
    return cache_of(path, {"path": raw(np.zeros(16 << 20, np.uint8))}, compression=zipfile.ZIP_LZMA)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [shared_bomb, packed_bomb, lzma_bomb])
def test_a_cache_that_unpacks_to_gigabytes_is_refused_before_it_is(
    make: Callable[[Path], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = make(tmp_path / "bomb.npz")
    assert cache.stat().st_size < 400_000
    opened: list[str] = []
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda _self, info, *_: opened.append(str(info)))
    code, printed = imported(capfd, folder_of(tmp_path / "sets"), "--cache", cache)
    assert code == ExitCode.SETUP
    assert "bomb.npz unpacks from" in printed or "bomb.npz is packed as no npz file is" in printed
    assert opened == [], "nothing was unpacked"


@pytest.mark.timeout(60)
def test_devices_in_place_of_files_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = folder_of(tmp_path / "sets")
    code, printed = imported(capfd, place, "--cache", "/dev/zero")
    assert (code, "zero is no ordinary file" in printed) == (ExitCode.SETUP, True)
    (place / "faceset_001/manifest.json").unlink()
    (place / "faceset_001/manifest.json").symlink_to("/dev/zero")
    code, printed = imported(capfd, place)
    assert (code, "faceset_001/manifest.json is no ordinary file" in printed) == (ExitCode.SETUP, True)
    (place / "faceset_001/manifest.json").unlink()
    os.mkfifo(place / "faceset_001/manifest.json")
    code, printed = imported(capfd, place)
    assert (code, "faceset_001/manifest.json is no ordinary file" in printed) == (ExitCode.SETUP, True)


def test_names_of_files_that_are_no_text_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = folder_of(tmp_path / "sets", manifest=json.dumps({"faces": [FACE]}), top="{}")
    (place / os.fsdecode(b"faceset_002_era_\xff")).mkdir()
    (place / "faceset_003").mkdir()
    (place / os.fsdecode(b"faceset_003/Mira\xff.txt")).touch()
    code, printed = imported(capfd, place)
    assert code == ExitCode.SETUP
    assert "faceset_002_era_" in printed
    assert "faceset_003" in printed


# settings


def refused(load: Callable[[], object]) -> str | None:
    """The message that refuses it, or None: anything but a ``SetupError`` fails the test."""
    try:
        load()
    except SetupError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"config"}))
def test_any_value_in_a_file_of_settings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("FACESETS_CONFIG", str(path))
    if name == "data_dir":
        monkeypatch.delenv("FACESETS_DATA_DIR")
    variable = variable_names(Settings)[name]
    for text in NASTY_TOML:
        path.write_text(f"{name} = {text}\n", encoding="utf-8")
        said = refused(lambda: prepare_data_dir(load_settings()))
        assert said is None or variable in said or name in said or "FACESETS_CONFIG" in said, (text[:40], said)


@pytest.mark.parametrize("field", ["api_key", "api_key_file", "users", "another", "users.x"])
def test_any_value_in_a_file_of_users(field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users.toml"
    monkeypatch.setenv("FACESETS_USERS_FILE", str(path))
    monkeypatch.setenv("IMMICH_URL", "http://immich:2283")
    for text in NASTY_TOML:
        table = "" if field.startswith("users") else "[users.anna]\n"
        path.write_text(f"{table}{field} = {text}\n", encoding="utf-8")
        said = refused(lambda: chosen_users(load_settings()))
        assert said is None or str(path) in said or "FACESETS_USERS_FILE" in said, (text[:40], said)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name", ["FACESETS_CONFIG", *sorted(one for one in known_names(Settings) if one.endswith("_FILE"))]
)
def test_a_device_in_place_of_a_file_of_a_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMMICH_URL", "http://immich:2283")
    for path in ("/dev/zero", "/proc/self/mem", "/", "/dev/null", "/dev/full", "a/" * 3000, "a" * 5000):
        monkeypatch.setenv(name, path)
        said = refused(lambda: chosen_users(load_settings()))
        if name == "FACESETS_CONFIG" and path == "/dev/null":  # an empty file of settings
            continue
        assert said is not None, path
        assert name in said or f"{path}: users" in said, path


def test_a_nul_in_the_path_of_a_key_is_told() -> None:
    with pytest.raises(SetupError, match="KEY_FILE names a file that cannot be read"):
        read_secret("KEY", {"KEY_FILE": "a\0b"})


def test_a_large_file_is_called_large_though_its_part_ends_within_a_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large"
    path.write_text("\N{EURO SIGN}" * MOST_BYTES, encoding="utf-8")
    monkeypatch.setattr(labels, "_MOST_BYTES", MOST_BYTES)
    for read in (lambda: read_secret("KEY", {"KEY_FILE": str(path)}), lambda: read_rows(path)):
        with pytest.raises(SetupError, match=r"(larger|more) than 1 MiB"):
            read()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [MANIFEST_NAME, NOTES_NAME])
def test_any_description_of_a_pack(name: str, tmp_path: Path) -> None:
    for text in NASTY_JSON if name == MANIFEST_NAME else NASTY_TOML:
        for body in (
            text,
            f"licence = {text}",
            f'{{"manifest_version": {text}}}',
            f'{{"manifest_version": 2, "tasks": {text}}}',
        ):
            (tmp_path / name).write_text(body, encoding="utf-8")
            said = refused(lambda: read_notes(tmp_path))
            assert said is None or name in said, body[:60]


@pytest.mark.timeout(60)
def test_labels_that_never_end_or_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe")
    for path in ("/dev/zero", tmp_path, tmp_path / "labels.csv"):
        said = refused(lambda path=path: read_rows(Path(path)))  # type: ignore[misc]  # a default value
        assert said is not None
        assert str(path) in said


def test_a_deep_manifest_of_an_export_counts_as_none() -> None:
    for text in ("[" * DEEP, '{"a":' * DEEP, "9" * 5000):
        assert object_in(text.encode()) == {}
