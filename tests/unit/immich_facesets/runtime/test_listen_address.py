"""Listen addresses: parsing, the token for network addresses, and the announcement of a process."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from immich_facesets.errors import SetupError
from immich_facesets.runtime.listen_address import Announcement, Listen, check_exposure


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


def test_a_network_address_needs_a_token() -> None:
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
