"""The reading routes: parameters, cursors, ETags, and what a merged number answers."""

import pytest
from invented_reads import MERGED, NOBODY, SURVIVOR
from web_scene import BEARER, Scene, visit

from immich_facesets.errors import RequestError
from service.web.cursors import decode_cursor, encode_cursor
from service.web.examples import IDENTITIES


async def test_an_answer_has_the_etag_of_its_bytes_and_is_not_sent_twice() -> None:
    scene = Scene()
    async with visit(scene) as client:
        async with client.get("/api/identities", headers=BEARER) as answer:
            tag, body = answer.headers["ETag"], await answer.read()
            assert answer.headers["Cache-Control"] == "private, no-cache"
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            async with client.get("/api/identities", headers={**BEARER, "If-None-Match": known}) as answer:
                assert (answer.status, await answer.read()) == (304, b""), known
                assert answer.headers["ETag"] == tag
                assert answer.headers["Cache-Control"] == "private, no-cache"
        async with client.get("/api/identities", headers={**BEARER, "If-None-Match": '"other"'}) as answer:
            assert (answer.status, await answer.read()) == (200, body)
        async with client.head("/api/identities", headers=BEARER) as answer:
            assert answer.headers["ETag"] == tag
        async with client.get("/api/identities/5", headers=BEARER) as answer:
            assert answer.headers["ETag"] != tag
        async with client.get("/api/identities", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 401, "no 304 without the token"


async def test_errors_have_no_etag() -> None:
    async with visit(Scene()) as client, client.get(f"/api/identities/{NOBODY}", headers=BEARER) as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")
        assert "ETag" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=" + "9" * 400,
        "limit=1&limit=2",
        "sort=size",
        "named=perhaps",
        "min_pictures=-1",
        "birth=today",
        "lmiit=3",
        "q=a%00b",
        "q=" + "x" * 201,
    ],
)
async def test_impossible_parameters_are_refused_with_their_name(query: str) -> None:
    async with visit(Scene()) as client, client.get(f"/api/identities?{query}", headers=BEARER) as answer:
        problem = await answer.json()
        assert (answer.status, problem["reason"]) == (400, "bad_request")
        assert query.partition("=")[0] in problem["detail"] or "twice" in problem["detail"]


async def test_a_merged_number_leads_on_with_its_parameters() -> None:
    async with visit(Scene()) as client:
        path = f"/api/identities/{MERGED}/faces?sort=time&limit=3"
        async with client.get(path, headers=BEARER, allow_redirects=False) as answer:
            assert answer.status == 308
            assert answer.headers["Location"] == f"/api/identities/{SURVIVOR}/faces?sort=time&limit=3"


async def test_the_whole_answer_is_what_the_library_said() -> None:
    async with visit(Scene()) as client, client.get("/api/identities", headers=BEARER) as answer:
        told = await answer.json()
    assert told["total"] == IDENTITIES.total
    assert told["identities"][0]["label"] == "Anna"


@pytest.mark.parametrize("key", [(0.5, 7), (1.0000000000000002, 0), ("Åsa \U0001f469‍\U0001f467", 2**53), ("", 1)])
def test_a_cursor_comes_back_as_it_was(key: tuple[float | str, int]) -> None:
    told = encode_cursor("faces", key)
    assert told is not None
    assert decode_cursor(told, "faces", type(key[0])) == key


@pytest.mark.parametrize("text", ["x", "%%%", "é", "W10", "bnVsbA", "A" * 1001, "e30"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="cursor") as error:
        decode_cursor(text, "faces")
    assert error.value.status == 400


def test_a_cursor_of_another_order_or_kind_is_refused() -> None:
    numbers, texts = encode_cursor("faces", (1.0, 2)), encode_cursor("time", ("2014", 2))
    assert numbers is not None
    assert texts is not None
    for text, order, kind in ((numbers, "time", float), (texts, "time", float), (numbers, "faces", str)):
        with pytest.raises(RequestError):
            decode_cursor(text, order, kind)
    for key in ((1.0, -1), (1.0, 2**63), ("a\0", 1)):
        told = encode_cursor("faces", key)
        assert told is not None
        with pytest.raises(RequestError):
            decode_cursor(told, "faces", type(key[0]))
