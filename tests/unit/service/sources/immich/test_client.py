"""The Immich client: URLs, handling of the API key, and the error of each failure."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from pydantic import SecretStr

from immich_facesets.errors import FacesetsError, ItemError, SetupError, TransientError
from service.remote.pacing import Pacer
from service.sources.immich.api_errors import AnswerError, KeyRefusedError, message_of, retry_after_of
from service.sources.immich.client import ImmichClient
from service.sources.immich.conversion import instant

KEY = "abc-very-secret"
ID = "de3b6a03-5074-4421-8ae8-fae1b624ae1d"
Handle = Callable[[httpx.Request], httpx.Response]


def client_of(handle: Handle, url: str = "http://immich:2283", key: SecretStr | str = KEY) -> ImmichClient:
    return ImmichClient("anna", url, key, pacer=Pacer(), transport=httpx.MockTransport(handle))


def version(request: httpx.Request) -> httpx.Response:
    del request
    return httpx.Response(200, json={"major": 3, "minor": 1, "patch": 0})


async def error_of(handle: Handle) -> FacesetsError:
    """Return the error of a version request to such a server."""
    client = client_of(handle)
    with pytest.raises(FacesetsError) as caught:
        await client.server_version()
    await client.close()
    assert KEY not in str(caught.value)
    return caught.value


def always(status: int, content: bytes | str = b"", **headers: str) -> Handle:
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, content=content, headers=written)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("http://immich:2283", "http://immich:2283/api/server/version"),
        ("http://immich:2283/", "http://immich:2283/api/server/version"),
        ("http://immich:2283/api", "http://immich:2283/api/server/version"),
        (" http://immich:2283/api/ ", "http://immich:2283/api/server/version"),
        ("https://photos.example.org/immich/", "https://photos.example.org/immich/api/server/version"),
        ("https://photos.example.org/api?x=1#top", "https://photos.example.org/api/server/version"),
    ],
)
async def test_the_address_may_be_typed_in_every_usual_way(typed: str, asked: str) -> None:
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return version(request)

    client = client_of(handle, typed)
    await client.server_version()
    await client.close()
    assert seen == [asked]


@pytest.mark.parametrize("typed", ["immich:2283", "", "ftp://immich", "http://", "http://immich:port", "/api"])
def test_what_is_no_address_is_a_setup_error(typed: str) -> None:
    with pytest.raises(SetupError, match="IMMICH_URL"):
        client_of(version, typed)


@pytest.mark.parametrize("key", ["", "  \n", "schlüssel", "two\nlines"])
def test_what_is_no_key_is_a_setup_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(SetupError, match="API key of user 'anna'") as caught:
        client_of(version, key=key)
    assert not key.strip() or key not in str(caught.value)


async def test_the_key_and_the_program_are_in_the_headers() -> None:
    seen: list[httpx.Headers] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return version(request)

    client = client_of(handle, key=SecretStr(f"{KEY}\n"))
    await client.server_version()
    await client.close()
    assert seen[0]["x-api-key"] == KEY
    assert seen[0]["user-agent"] == "immich-facesets"


async def test_redirects_are_followed_within_the_server() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/version"):
            return httpx.Response(302, headers={"Location": "/api/elsewhere?x=1"})
        return version(request)

    client = client_of(handle)
    assert str(await client.server_version()) == "3.1.0"
    await client.close()


@pytest.mark.parametrize(
    "target", ["https://immich:2283/api/x", "http://auth.example.org/", "http://immich:8080/api/x"]
)
async def test_a_redirect_to_another_origin_never_carries_the_key_there(target: str) -> None:
    hosts: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        hosts.append(f"{request.url.scheme}://{request.url.netloc.decode()}")
        return httpx.Response(302, headers={"Location": target})

    error = await error_of(handle)
    assert isinstance(error, SetupError)
    assert "login proxy" in str(error)
    assert set(hosts) == {"http://immich:2283"}


async def test_a_redirect_that_would_turn_a_search_into_something_else_is_refused() -> None:
    client = client_of(lambda _: httpx.Response(301, headers={"Location": "/api/search"}))
    with pytest.raises(SetupError, match="redirects"):
        await client.search({})
    await client.close()


async def test_a_circle_of_redirects_ends() -> None:
    asked = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(302, headers={"Location": str(request.url)})

    assert isinstance(await error_of(handle), SetupError)
    assert asked <= 5


@pytest.mark.parametrize(
    ("handle", "kind", "words"),
    [
        (always(200, b"<!DOCTYPE html><html>login</html>"), AnswerError, "answered HTML"),
        (always(200, b"pong"), AnswerError, "not JSON"),
        (always(200, b""), AnswerError, "not JSON"),
        (always(200, b'{"major": 3, "mi'), AnswerError, "not JSON"),
        (always(200, b'{"version": "3.1.0"}'), SetupError, "a way this program does not know"),
        (always(401, b"<html>"), SetupError, "a login before"),
        (always(401, b'{"message":"Invalid API key"}'), KeyRefusedError, "API key of user 'anna'"),
        (always(403, b"<html>blocked</html>"), SetupError, "proxy or firewall"),
        (always(404, b"404 page not found"), AnswerError, "not as Immich does"),
        (always(413, b""), SetupError, "HTTP 413"),
        (always(500, b"{}"), AnswerError, "internal error"),
        (always(502, b"<html>bad gateway</html>"), TransientError, "HTTP 502"),
        (always(504, b""), TransientError, "HTTP 504"),
        (always(520, b""), TransientError, "HTTP 520"),
    ],
)
async def test_every_strange_answer_has_its_error_and_clear_words(
    handle: Handle, kind: type[FacesetsError], words: str
) -> None:
    error = await error_of(handle)
    assert type(error) is kind
    assert words in str(error)


@pytest.mark.parametrize("status", [429, 503])
async def test_the_pause_a_server_asks_for_is_kept_in_the_error(status: int) -> None:
    error = await error_of(always(status, b"", Retry_After="17"))
    assert isinstance(error, TransientError)
    assert error.retry_after == 17


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("-5", 0.0), ("999999", 3600.0), ("soon", None), ("", None), ("0.5", 0.5)]
)
def test_a_pause_is_read_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after_of({"retry-after": text}) == seconds


def test_a_pause_is_read_as_a_date_too() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=60)
    seconds = retry_after_of({"retry-after": format_datetime(moment, usegmt=True)})
    assert seconds is not None
    assert 50 < seconds <= 60


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message":["a must be b","c"]}', "a must be b; c"),
        (b'{"message":"Validation failed","errors":[{"path":["size"],"message":"Too big"}]}', "(size: Too big)"),
        (b'{"message":"x","errors":"y"}', "x"),
    ],
)
def test_what_immich_complains_about_is_read_in_every_dialect(body: bytes, said: str) -> None:
    assert said in str(message_of(body))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b"{}", b"\xff\xfe"])
def test_what_is_not_immichs_complaint_is_none(body: bytes) -> None:
    assert message_of(body) is None


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (httpx.ConnectError("refused"), TransientError, "nobody answers at immich:2283"),
        (httpx.ConnectTimeout("slow"), TransientError, "nobody answers at immich:2283"),
        (httpx.ReadTimeout("slow"), AnswerError, "stopped answering"),
        (httpx.WriteTimeout("slow"), AnswerError, "stopped answering"),
        (httpx.RemoteProtocolError("bye"), AnswerError, "closed the connection"),
        (httpx.ProxyError("no"), SetupError, "proxy settings"),
        (httpx.PoolTimeout("full"), TransientError, "no connection was free in time"),
    ],
)
async def test_every_failed_connection_has_its_error(
    failure: httpx.HTTPError, kind: type[FacesetsError], words: str
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        del request
        raise failure

    error = await error_of(handle)
    assert type(error) is kind
    assert words in str(error)


async def test_an_untrusted_certificate_is_a_setup_error() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        del request
        raise httpx.ConnectError("tls") from ssl.SSLCertVerificationError(1, "self-signed certificate")

    error = await error_of(handle)
    assert isinstance(error, SetupError)
    assert "SSL_CERT_FILE" in str(error)


@pytest.mark.parametrize(
    "failure", [httpx.RemoteProtocolError("gone"), httpx.ReadError("reset"), httpx.WriteError("x")]
)
async def test_an_idle_connection_that_was_closed_is_replaced_at_once(failure: httpx.HTTPError) -> None:
    asked = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise failure
        return version(request)

    client = client_of(handle)
    await client.server_version()
    await client.close()
    assert asked == 2


async def test_a_404_of_an_immich_that_is_not_in_maintenance_is_a_wrong_address() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/server/config":
            return httpx.Response(200, json={"maintenanceMode": False})
        return httpx.Response(404, json={"message": f"Cannot GET {request.url.path}"})

    error = await error_of(handle)
    assert isinstance(error, SetupError)
    assert "no Immich API" in str(error)


async def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    paths: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(400, json={"message": "Not found or no asset.read access"})

    client = client_of(handle)
    with pytest.raises(ItemError):
        await client.asset("../server/x?y=1")
    await client.close()
    assert paths == [b"/api/assets/..%2Fserver%2Fx%3Fy%3D1"]


async def test_an_answer_that_only_drips_is_given_up_in_time() -> None:
    """Every byte arrives before the read timeout, but the answer never ends."""

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    client = ImmichClient(
        "anna",
        "http://immich",
        KEY,
        pacer=Pacer(),
        total_seconds=0.2,
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=drip())),
    )
    started = time.monotonic()
    with pytest.raises(AnswerError, match=r"more than 0\.2 seconds"):
        await client.server_version()
    await client.close()
    assert time.monotonic() - started < 3


async def test_a_probe_is_not_held_up_by_calls_that_hang() -> None:
    release = asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/faces"):
            await release.wait()
            return httpx.Response(200, json=[])
        return httpx.Response(200, json={"permissions": ["all"]})

    client = ImmichClient(
        "anna", "http://immich", KEY, pacer=Pacer(start=1, most=1), transport=httpx.MockTransport(handle)
    )
    hanging = asyncio.create_task(client.faces(ID))
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await client.probe()
    release.set()
    await hanging
    await client.close()


@pytest.mark.parametrize(
    ("text", "year"), [("2024-05-05T10:00:00.000Z", 2024), ("-000005-01-01T00:00:00.000Z", 1), ("+012024-01-01", 9999)]
)
def test_a_strange_year_does_not_spoil_a_page(text: str, year: int) -> None:
    assert instant(text).year == year
    assert instant(text).tzinfo is UTC
