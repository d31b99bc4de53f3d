"""The routes of reference pictures: what reaches the call, what is refused, and what is answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from multidict import CIMultiDict
from web_scene import BEARER, Scene, visit

from immich_facesets.errors import ItemError, RequestError
from immich_facesets.faces import Box
from immich_facesets.moderation.requests import NewPerson
from service.web import examples
from service.web.library.references import (
    ReferenceAdded,
    ReferenceCalls,
    ReferencePreview,
    ReferencesAnswer,
    SentPicture,
    SeveralFacesError,
)

JPEG = b"\xff\xd8\xff\xe0"
BYTES = {"Content-Type": "application/octet-stream"}


@dataclass
class Calls:
    """The pictures that reached the call; ``error``: what it raises."""

    seen: list[SentPicture] = field(default_factory=list)
    error: Exception | None = None
    refusals: int = 0

    async def add(self, sent: SentPicture) -> ReferenceAdded | None:
        self.seen.append(sent)
        if self.error is not None:
            raise self.error
        self.refusals -= 1
        return None if self.refusals >= 0 else examples.REFERENCE_ADDED

    async def preview(self, sent: SentPicture) -> ReferencePreview:
        self.seen.append(sent)
        if self.error is not None:
            raise self.error
        return examples.REFERENCE_PREVIEW

    async def last(self) -> int:
        return 17

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ClientSession]:
        async with visit(
            Scene(references=ReferenceCalls(add=self.add, preview=self.preview, last=self.last))
        ) as client:
            yield client


async def sent(client: ClientSession, path: str, body: bytes = JPEG, **headers: str) -> tuple[int, Any]:
    told = BEARER | BYTES | {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(path, data=body, headers=told) as answer:
        return answer.status, await answer.json()


async def test_a_picture_of_a_known_and_of_a_new_person_reach_the_call_whole() -> None:
    calls = Calls()
    async with calls.client() as client:
        headers = {"Idempotency_Key": "a-key", "Facesets_Reason": "her%20mother%20%C3%A9"}
        query = "box=1e-05,2,30.123456789012345,40&keep_original=true"  # as many digits as answers have
        status, told = await sent(client, f"/api/identities/3/references?{query}", JPEG, **headers)
        assert (status, msgspec.convert(told, ReferenceAdded)) == (200, examples.REFERENCE_ADDED)
        for name in ("Zo%C3%AB", "Zoë"):
            assert (await sent(client, "/api/references?is_namesake=true", Facesets_Label=name))[0] == 200
    known, new, again = calls.seen
    assert (known.picture, known.person, known.box) == (JPEG, 3, Box(1e-05, 2, 30.123456789012345, 40))
    assert (known.keeps_original, known.author.reason, known.after) == (True, "her mother é", None)
    assert known.key is not None
    assert known.key.text == "a-key"
    assert (new.person, new.box, new.key) == (NewPerson(label="Zoë", is_namesake=True), None, None)
    assert again == new, "raw UTF-8, as curl sends it"


async def test_another_box_name_or_reason_under_one_key_is_another_request() -> None:
    calls = Calls()
    async with calls.client() as client:
        for box, label, reason in (("1,2,3,4", "Zoe", ""), ("1,2,3,5", "Zoe", ""), ("1,2,3,4", "Zo", "e")) * 2:
            headers = {"Idempotency_Key": "a-key", "Facesets_Label": label, "Facesets_Reason": reason}
            await sent(client, f"/api/references?box={box}", JPEG, **headers)
    digests = [one.key.digest for one in calls.seen if one.key is not None]
    assert (len(set(digests)), digests[:3]) == (3, digests[3:])


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([], "name Facesets-Label once"),
        ([("Facesets-Label", "Zoe"), ("Facesets-Label", "Ben")], "name Facesets-Label once"),
        ([("Facesets-Label", "%ff")], "Facesets-Label is wrong"),
        ([("Facesets-Label", "x" * 501)], "Facesets-Label is wrong"),
        ([("Facesets-Label", "Zoe"), ("Facesets-Reason", "%C3")], "Facesets-Reason is wrong"),
    ],
    ids=["none", "two", "no UTF-8", "long", "half a letter"],
)
async def test_a_name_that_cannot_be_read_is_refused_with_its_header(
    headers: list[tuple[str, str]], words: str
) -> None:
    calls = Calls()
    async with calls.client() as client:
        told = CIMultiDict([*BEARER.items(), *BYTES.items(), *headers])
        async with client.post("/api/references", data=JPEG, headers=told) as answer:
            assert (answer.status, words in (await answer.json())["detail"]) == (400, True)
    assert calls.seen == []


async def test_a_preview_reaches_its_own_call_and_has_the_errors_of_adding() -> None:
    calls = Calls()
    async with calls.client() as client:
        for path in ("identities/3/references", "references"):
            status, told = await sent(client, f"/api/{path}/preview?box=1,2,3,4", Facesets_Label="Zoe")
            assert (status, msgspec.convert(told, ReferencePreview)) == (200, examples.REFERENCE_PREVIEW)
        assert [(one.person, one.box) for one in calls.seen] == [
            (3, Box(1, 2, 3, 4)),
            (NewPerson(label="Zoe"), Box(1, 2, 3, 4)),
        ]
        assert (await sent(client, "/api/references/preview"))[0] == 400, "no name"
        calls.error = SeveralFacesError([Box(1, 2, 3, 4)])
        status, told = await sent(client, "/api/identities/3/references/preview")
        assert (status, told["reason"], len(told["boxes"])) == (409, "several_faces", 1)


async def test_several_faces_are_answered_with_their_boxes() -> None:
    calls = Calls(error=SeveralFacesError([Box(1, 2, 3, 4), Box(5, 6, 7, 8)]))
    async with calls.client() as client:
        status, told = await sent(client, "/api/identities/3/references")
        assert (status, told["reason"]) == (409, "several_faces")
        assert told["boxes"] == [{"x1": 1, "y1": 2, "x2": 3, "y2": 4}, {"x1": 5, "y1": 6, "x2": 7, "y2": 8}]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ItemError("no face", reason="no_face"), 422, "no_face"),
        (RequestError("erased", status=410), 410, "gone"),
        (RequestError("there is no identity 3", status=404), 404, "not_found"),
    ],
)
async def test_what_fails_is_told_with_its_reason(error: Exception, status: int, reason: str) -> None:
    async with Calls(error=error).client() as client:
        found, told = await sent(client, "/api/identities/3/references")
        assert (found, told["reason"]) == (status, reason)


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("identities/3/references", b"", "application/octet-stream", 400),
        ("identities/3/references", JPEG, "text/plain", 415),
        ("identities/3/references?box=1,2,3", JPEG, "image/jpeg", 400),
        ("identities/3/references?box=3,2,1,4", JPEG, "image/jpeg", 400),
        ("identities/3/references?label=Zoe", JPEG, "image/jpeg", 400),
        ("references?label=Zoe", JPEG, "image/jpeg", 400),
    ],
    ids=["empty", "text", "three", "no area", "a name", "a name in the address"],
)
async def test_what_makes_no_sense_reaches_no_call(path: str, body: bytes, kind: str, status: int) -> None:
    calls = Calls()
    async with calls.client() as client:
        assert (await sent(client, f"/api/{path}", body, Content_Type=kind))[0] == status
    assert calls.seen == []


async def test_a_caller_who_saw_an_older_identity_adds_nothing() -> None:
    calls = Calls(refusals=1)
    async with calls.client() as client:
        status, told = await sent(client, "/api/identities/3/references", If_Match='"older"')
        assert (status, [one["number"] for one in told["changed"]]) == (412, [3])
        assert calls.seen == []
        status, _ = await sent(client, "/api/identities/3/references", If_Match=told["changed"][0]["etag"])
        assert (status, [one.after for one in calls.seen]) == (200, [17, 17]), "tried again after another decision"


async def test_they_are_listed_shown_and_deleted() -> None:
    async with visit(Scene()) as client:
        async with client.get("/api/identities/3/references", headers=BEARER) as answer:
            assert msgspec.convert(await answer.json(), ReferencesAnswer) == examples.REFERENCES
        address = examples.REFERENCES.references[0].display
        async with client.get(address, headers=BEARER) as answer:
            assert (answer.status, answer.content_type) == (200, "image/jpeg")
            assert "immutable" in answer.headers["Cache-Control"]
        async with client.get("/api/reference-pictures/..%2Ftoken", headers=BEARER) as answer:
            assert answer.status == 404
        async with client.get(f"{examples.REFERENCES.references[0].original}", headers=BEARER) as answer:
            assert (answer.status, answer.content_type) == (200, "application/octet-stream")
            assert 'filename="reference_5.jpg"' in answer.headers["Content-Disposition"]
            assert answer.headers["Cache-Control"] == "no-store"
        removal = client.post("/api/references/5/remove", json={"reason": "wrong"}, headers=BEARER)
        async with removal as answer:
            assert answer.status == 200


async def test_another_site_cannot_add_with_the_session_of_a_user() -> None:
    async with visit(Scene()) as client:
        headers = BYTES | {"Sec-Fetch-Site": "cross-site"}
        async with client.post("/api/identities/3/references", data=JPEG, headers=headers) as answer:
            assert answer.status == 403
        async with client.post("/api/references", data=JPEG, headers=BYTES | {"Facesets-Label": "Zoe"}) as answer:
            assert answer.status == 401
