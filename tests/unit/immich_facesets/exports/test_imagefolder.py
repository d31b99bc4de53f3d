"""The imagefolder export, loaded with Hugging Face's ``datasets`` offline."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from artifact_builders import drawn, form, put
from faceset_builders import candidate, faceset

from immich_facesets.exports.imagefolder import class_names

LOAD = """
import json, sys
from datasets import load_dataset
found = load_dataset("imagefolder", data_dir=sys.argv[1], cache_dir=sys.argv[2])
rows = {
    split: [
        {**{key: row[key] for key in row if key != "image"}, "size": row["image"].size, "text": row["image"].text}
        for row in rows
    ]
    for split, rows in found.items()
}
print(json.dumps(rows, default=str))
"""


def loaded(folder: Path, cache: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of every split, read in a child process, because the library reads its settings on import."""
    if importlib.util.find_spec("datasets") is None:
        pytest.skip("the library datasets is not installed: make setup")
    run = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), str(cache)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found: dict[str, list[dict[str, Any]]] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_the_library_loads_every_person_as_a_class_of_one_training_split(tmp_path: Path) -> None:
    labels = {1: "Anna", 2: "Val", 3: "test person", 4: None, 5: "Anna", 6: "__hidden [1]", 7: "日本"}
    classes = class_names(labels)
    numbers = iter(range(1, 100))
    for identity, label in labels.items():
        built = faceset(
            identity=identity,
            label=label,
            candidates=[candidate(next(numbers)) for _ in range(2 + identity % 2)],
        )
        put(tmp_path, form("imagefolder:0:96", built, class_name=classes[identity]))
    rows = loaded(tmp_path / "_profiles/imagefolder", tmp_path / "cache")
    assert rows.keys() == {"train"}
    counts = {name: sum(row["label"] == name for row in rows["train"]) for name in classes.values()}
    assert counts == {classes[identity]: 2 + identity % 2 for identity in labels}
    assert len(rows["train"]) == sum(counts.values())
    assert all(row["size"] == [96, 96] for row in rows["train"])
    assert {row["label"]: row["identity"] for row in rows["train"]} == {name: key for key, name in classes.items()}
    assert {row["text"]["Identity"] for row in rows["train"]} == {str(identity) for identity in labels}
    assert all(row["rank"] >= 1 and row["score"] > 0 and len(row["sha256"]) == 64 for row in rows["train"])


def test_one_person_alone_loads_too(tmp_path: Path) -> None:
    put(tmp_path, form("imagefolder", faceset(3)))
    (split,) = loaded(tmp_path / "_profiles/imagefolder", tmp_path / "cache").items()
    assert split[0] == "train"
    assert [row["label"] for row in split[1]] == ["Anna"] * 3


def test_classes_are_folders_of_their_own_that_no_reader_takes_for_a_split() -> None:
    labels = {1: "anna", 2: "Anna", 3: "", 4: "dev", 5: "a/b", 6: "_x", 7: "anna-val", 8: "Devi", 9: "latest"}
    assert class_names(labels) == {
        1: "anna-001",
        2: "Anna-002",
        3: "faceset_003",
        4: "Dev",
        5: "a_b",
        6: "x",
        7: "anna-Val",
        8: "Devi",
        9: "latest",
    }


def test_a_name_with_a_number_never_meets_a_name_that_has_it_already() -> None:
    labels = {1: "Anna", 2: "Anna", 3: "Anna-001", 4: "Zoe\u0308", 5: "ZOË"}
    names = class_names(labels)
    assert names == {1: "Anna-001-001", 2: "Anna-002", 3: "Anna-001-003", 4: "Zoë-004", 5: "ZOË-005"}


@pytest.mark.parametrize("label", ["con", "_con", "NUL.old", ". aux"])
def test_no_class_is_a_device_of_windows(label: str) -> None:
    (name,) = class_names({1: label}).values()
    stem = name.split(".")[0]
    assert stem.endswith("_")
    assert stem[:-1].casefold() in {"con", "nul", "aux"}


def test_a_line_of_metadata_stands_for_each_picture_and_the_pictures_are_those_of_the_face_set() -> None:
    built = faceset(3)
    found = dict(form("imagefolder", built).files())
    body = found["metadata.jsonl"]
    assert isinstance(body, bytes)
    lines = [json.loads(line) for line in body.splitlines()]
    assert [line["file_name"] for line in lines] == ["0001.png", "0002.png", "0003.png"]
    assert [found[line["file_name"]] for line in lines] == [drawn(face, 1, None) for face in built.faces]
