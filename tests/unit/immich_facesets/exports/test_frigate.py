"""Frigate's face library: the folders, names and pictures that it loads, and which faces it gets."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from artifact_builders import form, put
from faceset_builders import candidate, face, faceset
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from immich_facesets.exports.face_choice import picked
from immich_facesets.exports.frigate import FRIGATE, face_names
from immich_facesets.facesets.faceset import Faceset

LISTED = (".webp", ".png", ".jpg", ".jpeg")
"""The files that the page of the face library shows."""

RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}


def library(root: Path) -> dict[str, list[NDArray[np.uint8]]]:
    """The people whose vectors Frigate averages: every folder but one, and every file in it that OpenCV can read."""
    people = {}
    for folder in root.iterdir():
        if folder.name == "train" or not folder.is_dir():
            continue
        read = (cv2.imread(str(file)) for file in folder.iterdir())
        people[folder.name] = [picture.astype(np.uint8) for picture in read if picture is not None]
    return people


def is_name(name: str) -> bool:
    """Whether Frigate lets a person have this name: its own pattern, and no change by the rules of file systems."""
    kinds = [unicodedata.category(character)[0] in "LN" or character.isspace() for character in name]
    is_of_pattern = 1 <= len(name) <= 50 and all(
        kind or character in "'_-" for kind, character in zip(kinds, name, strict=True)
    )
    is_kept = name.casefold().partition(".")[0] not in RESERVED and name == name.rstrip(" .")
    return is_of_pattern and is_kept


def chosen(built: Faceset, count: int) -> set[int]:
    return {one.candidate.face.face_id for one in picked(built, count, is_for_swapping=False, weights=FRIGATE.weights)}


def test_the_library_holds_five_pictures_of_each_person_in_colour_and_nothing_else(tmp_path: Path) -> None:
    put(tmp_path, form("frigate", faceset(9), class_name="Anna"))
    root = tmp_path / "_profiles/frigate/clips/faces"
    people = library(root)
    assert people.keys() == {"Anna"}
    assert [picture.ndim for picture in people["Anna"]] == [3] * 5
    assert sum(file.name.endswith(LISTED) for file in (root / "Anna").iterdir()) == 5


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Anna Maria", "Anna Maria"),
        ("Anna-Maria", "Anna Maria"),
        ("O'Brien, jun.", "O'Brien jun"),
        ("José\u0301", "José"),
        ("Zoë 😀", "Zoë"),
        ("train", "train_"),
        ("Train", "Train_"),
        ("Unknown", "Unknown_"),
        ("None", "None_"),
        ("con", "con_"),
        ("李雷", "李雷"),
        ("../etc", "etc"),
        ("😀", "faceset_001"),
        (None, "faceset_001"),
        ("x" * 99, "x" * 40),
    ],
)
def test_a_folder_has_the_persons_name_as_far_as_frigate_allows(label: str | None, expected: str) -> None:
    assert face_names({1: label}) == {1: expected}
    assert is_name(expected)


def test_two_people_of_one_name_have_their_numbers_and_no_name_twice() -> None:
    assert face_names({1: "Anna", 2: "anna", 3: "Ben"}) == {1: "Anna_001", 2: "anna_002", 3: "Ben"}
    found = face_names({1: "Anna", 2: "Anna", 3: "Anna_001"})
    assert len({name.casefold() for name in found.values()}) == 3


@given(
    st.dictionaries(st.integers(1, 99), st.text(max_size=60) | st.sampled_from(["train", "Anna", "con"]), max_size=6)
)
def test_whatever_people_are_called_frigate_takes_their_names(labels: dict[int, str]) -> None:
    found = face_names(labels)
    assert found.keys() == labels.keys()
    assert all(is_name(name) and name.casefold() not in {"train", "unknown", "none"} for name in found.values())
    assert len({name.casefold() for name in found.values()}) == len(found)


def test_frontal_faces_are_taken_before_turned_ones() -> None:
    yaws = {number: (0.0 if number > 5 else 38.0) for number in range(1, 11)}
    rows = [candidate(number, of=face(number, yaw=yaw)) for number, yaw in yaws.items()]
    assert chosen(faceset(candidates=rows), 5) == {6, 7, 8, 9, 10}


def test_faces_of_today_are_taken_before_those_of_ten_years_ago() -> None:
    days = {number: f"{2024 if number > 5 else 2010}-05-{number:02d}" for number in range(1, 11)}
    rows = [candidate(number, taken=day) for number, day in days.items()]
    assert chosen(faceset(candidates=rows), 5) == {6, 7, 8, 9, 10}


def test_lights_vary() -> None:
    dark = replace(face(9).measures, brightness=80.0)
    rows = [candidate(number) for number in range(1, 9)]
    rows.append(candidate(9, of=replace(face(9), measures=dark)))
    assert 9 in chosen(faceset(candidates=rows), 3)
