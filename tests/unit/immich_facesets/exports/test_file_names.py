"""File names made from names that users typed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.exports.file_names import (
    MAX_NAME_BYTES,
    file_stems_of,
    marker_name,
    safe_name,
    titles_of,
    unique_names,
    user_directories,
)

anything = st.text(st.characters(codec=None), max_size=200)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Anna", "Anna.txt"),
        ("Anna Müller-Lüdenscheid", "Anna Müller-Lüdenscheid.txt"),
        ("Мария", "Мария.txt"),
        ("../../etc/passwd", "_.._etc_passwd.txt"),
        ("..", "faceset_001.txt"),
        ("...hidden", "hidden.txt"),
        ("a/b\\c", "a_b_c.txt"),
        ("Anna\nand\tBen\r\n", "Anna and Ben.txt"),
        ("Anna\x00\x1b[31m", "Anna [31m.txt"),
        ("party 🎉", "party 🎉.txt"),
        ("right\u202eto left", "rightto left.txt"),
        ("half a pair \ud83d", "half a pair.txt"),
        ('who? "me" <you>|*:', "who_ _me_ _you____.txt"),
        ("CON", "CON_.txt"),
        ("nul.old", "nul_.old.txt"),
        ("com1", "com1_.txt"),
        ("LPT¹", "LPT¹_.txt"),
        ("Conrad", "Conrad.txt"),
        ("thin", "_thin.txt"),
        ("", "faceset_001.txt"),
        (None, "faceset_001.txt"),
        ("   ", "faceset_001.txt"),
        ("///", "faceset_001.txt"),
        ("Anna.", "Anna.txt"),
        ("~", "~.txt"),
    ],
)
def test_a_label_becomes_a_readable_file_name(label: str | None, name: str) -> None:
    assert marker_name(label, "faceset_001") == name


def test_two_ways_to_write_one_name_give_one_file() -> None:
    assert safe_name("Zoe\u0308") == safe_name("Zoë")


@given(anything)
def test_no_label_leaves_its_folder(label: str) -> None:
    name = marker_name(label, "faceset_001")
    folder = Path("/export/faceset_001")
    assert (folder / name).parent == folder
    assert Path(name).name == name
    assert len(name.encode()) <= MAX_NAME_BYTES + 5
    assert not name.startswith((".", " "))
    assert name.casefold() != "thin.txt"
    assert not set(name) & set('<>:"/\\|?*\0\n\r')
    assert name.isprintable()


@given(anything)
def test_a_safe_name_is_safe_already(text: str) -> None:
    assert safe_name(safe_name(text)) == safe_name(text)


@given(st.dictionaries(st.integers(1, 999), st.sampled_from(["a", "A", "a-001", "a-002", "a-001-001", "b"])))
def test_unique_names_are_unique_and_leave_those_alone_that_were(names: dict[int, str]) -> None:
    found = unique_names(names, {key: f"{key:03d}" for key in names})
    folded = [name.casefold() for name in found.values()]
    assert len(set(folded)) == len(names)
    assert all(found[key].startswith(name) for key, name in names.items())
    if len({name.casefold() for name in names.values()}) == len(names):
        assert found == names


def test_people_of_one_name_are_shown_with_their_numbers() -> None:
    assert titles_of(
        {(1, None): "Anna", (2, None): "Anna", (2, "2011"): "Anna", (3, None): None, (4, None): "Ben"}
    ) == {
        (1, None): "Anna-001",
        (2, None): "Anna-002",
        (2, "2011"): "Anna-002 2011",
        (3, None): "faceset_003",
        (4, None): "Ben",
    }


def test_an_era_and_a_person_of_that_name_are_shown_under_two_names() -> None:
    titles = titles_of({(1, None): "Anna", (1, "2011"): "Anna", (2, None): "Anna 2011", (2, "2011-2012"): "Anna 2011"})
    assert len(set(titles.values())) == 4
    assert titles[1, None] == "Anna"
    assert titles[2, None] == "Anna 2011-002"


def test_two_people_whose_names_are_one_file_name_have_their_numbers_in_it() -> None:
    titles = titles_of({(1, None): "AC/DC", (2, None): "AC:DC", (2, "2011"): "AC:DC", (3, None): "Ben"})
    assert file_stems_of(titles) == {
        (1, None): "AC_DC-001",
        (2, None): "AC_DC-002",
        (2, "2011"): "AC_DC 2011",
        (3, None): "Ben",
    }


@given(
    st.dictionaries(
        st.integers(1, 99), st.none() | anything | st.sampled_from(["a/b", "a:b", "A_b", "x" * 200]), max_size=6
    )
)
def test_files_of_all_people_may_lie_in_one_folder(labels: dict[int, str | None]) -> None:
    stems = file_stems_of(titles_of({(number, None): label for number, label in labels.items()}))
    assert len({stem.casefold() for stem in stems.values()}) == len(labels)
    assert all(stem and len(stem.encode()) < 200 for stem in stems.values())


@given(st.sets(anything, max_size=8))
def test_users_never_share_a_directory_even_where_case_does_not_count(users: set[str]) -> None:
    directories = user_directories(users)
    assert set(directories) == users
    assert len({directory.casefold() for directory in directories.values()}) == len(users)
    assert all(Path(directory).name == directory for directory in directories.values())


def test_a_plain_user_name_is_its_directory() -> None:
    assert user_directories(["anna", "Ben Oliver", "me"]) == {"anna": "anna", "Ben Oliver": "Ben Oliver", "me": "me"}


def test_names_that_differ_in_case_or_were_changed_get_a_suffix_of_their_own() -> None:
    directories = user_directories(["anna", "Anna", "a/b", ".."])
    assert directories["anna"].startswith("anna-")
    assert directories["Anna"].startswith("Anna-")
    assert directories["a/b"].startswith("a_b-")
    assert directories[".."].startswith("user-")
