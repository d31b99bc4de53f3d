"""Texts of others on a terminal: nothing in them is obeyed, and nothing reorders what is read."""

import io
import json
import logging
import unicodedata
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.visible_text import visible, visible_json

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\r\b\x7f\u202etxt.exe\u2066\u200f\ufeff"
OBEYED = {"Cc", "Cs", "Zl", "Zp"}
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_unseen(letter: str) -> bool:
    return (
        unicodedata.category(letter) in OBEYED
        or unicodedata.bidirectional(letter) in DIRECTIONS
        or letter in "\u200e\u200f\u061c"
    )


def test_what_a_terminal_obeys_is_shown_by_its_number() -> None:
    assert visible("a\x1b[31mb\x9bc\u202ed\udcff") == "a\\x1b[31mb\\x9bc\\u202ed\\udcff"
    assert visible("one\ntwo") == "one\\x0atwo"
    assert visible("one\ntwo\r", keep_lines=True) == "one\ntwo\\x0d"
    assert visible("Zoë 李 שלום 👩‍👩‍👧") == "Zoë 李 שלום 👩‍👩‍👧"


@given(st.text(st.characters(codec=None)))
def test_no_such_character_is_left_in_any_text(text: str) -> None:
    assert not any(map(is_unseen, visible(text)))
    assert not any(map(is_unseen, visible(text, keep_lines=True).replace("\n", "")))


def test_every_such_character_of_unicode_is_known() -> None:
    assert not any(map(is_unseen, visible("".join(map(chr, range(0x110000))))))


@given(st.text(st.characters(codec="utf-8")))
def test_json_has_the_same_value(text: str) -> None:
    shown = visible_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(shown) == {text: [text]}
    assert not any(map(is_unseen, shown))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[Terminal, io.StringIO])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """A stream that the log goes to: a terminal, or a file."""
    before = structlog.get_config()
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    found: io.StringIO = request.param()
    configure_logging(None, "info", found)
    yield found
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.configure(**before)


def test_the_log_passes_nothing_of_it_on(stream: io.StringIO) -> None:
    log = structlog.get_logger("test")
    name = HOSTILE.replace(" ", "")
    log.error("setup", message=f"Immich says: {HOSTILE}", one=name, several=[name], key={name: name})
    log.warning(name)
    logging.getLogger("library").warning("said %s", HOSTILE)
    try:
        int(HOSTILE[1])
    except ValueError as error:
        error.add_note(HOSTILE)
        log.exception("bug")
    printed = stream.getvalue()
    assert "title" in printed
    assert "ValueError" in printed
    own = {"\x1b[0m", "\n"}
    rest = printed
    for colour in [*own, *(f"\x1b[{number}m" for number in range(1, 98))]:
        rest = rest.replace(colour, "")
    assert [letter for letter in rest if is_unseen(letter)] == []
