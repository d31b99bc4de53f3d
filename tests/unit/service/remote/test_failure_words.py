"""Failed connections in words."""

import socket

import httpx
import pytest

from service.remote.failure_words import words_of


def test_a_port_where_nobody_listens_refuses_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(httpx.ConnectError) as caught:
        httpx.get(f"http://127.0.0.1:{port}", trust_env=False)
    assert words_of(caught.value) == "connection refused"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.PoolTimeout(""), "no connection was free in time"),
        (httpx.ReadTimeout(""), "no answer in time"),
        (httpx.RemoteProtocolError("x"), "the connection broke off"),
        (httpx.WriteError("x"), "the connection broke off"),
        (httpx.UnsupportedProtocol("x"), "the connection failed"),
    ],
)
def test_a_failure_without_a_reason_of_the_system_has_words_for_its_kind(error: httpx.HTTPError, words: str) -> None:
    assert words_of(error) == words
