"""The check of prose in `make lint` finds what CONTRIBUTING.md forbids, and nothing else."""

import pytest
from prose_check import findings, prose_of_code, prose_of_document


@pytest.mark.parametrize(
    "text",
    [
        "Whoever merged looks once more.",
        "The face. Who comes first is kept.",
        "A cluster keeps her number.",
        "The rule of PRODUCT 3.3.",
        "A setting that the server hears.",
        " ".join(["word"] * 26) + ".",
    ],
)
def test_a_bad_habit_is_found(text: str) -> None:
    assert list(findings(text))


@pytest.mark.parametrize("text", ["Return the nearest identity of each row, (n,).", "Who may import whom?"])
def test_plain_english_passes(text: str) -> None:
    assert not list(findings(text))


def test_docstrings_and_comments_are_read_and_code_is_not() -> None:
    source = '"""Module."""\nher = 1  # a comment\nLIMIT = 2\n"""Pixels."""\n'
    assert {text for _, text in prose_of_code(source)} == {"Module.", "a comment", "Pixels."}


def test_examples_in_docstrings_are_left_alone() -> None:
    module = '"""\nA module::\n\n    her = 1\n\n    his = 2\n\nMore of it.\n"""\n'
    function = 'def f():\n    """\n    A list:\n\n    - of one\n      item\n\n        closed --> open\n    """\n'
    assert [text for _, text in prose_of_code(module)] == ["A module::\n\nMore of it."]
    assert [text for _, text in prose_of_code(function)] == ["A list:\n\n- of one\n  item"]


def test_code_blocks_of_documents_are_left_alone() -> None:
    assert [text for _, text in prose_of_document("One `her`.\n```\nher\n```\n    her\n")] == ["One x."]


def test_paragraphs_items_and_cells_of_documents_are_read_as_wholes() -> None:
    source = "# Title\n\nOne line\nand more of [it](that.md).\n- an item\n  of two lines\n1. first\n\n| a | b |\n"
    assert list(prose_of_document(source)) == [
        (1, "# Title"),
        (3, "One line and more of [it]."),
        (5, "an item of two lines"),
        (7, "1. first"),
        (9, " a "),
        (9, " b "),
    ]
