"""The page that says whose faces a picture shows."""

import io
import re
from typing import Literal

import pytest
from web_scene import BEARER, HTML, Scene, visit

from immich_facesets.errors import ItemError, TransientError
from service.web import examples
from service.web.library.faces import Edges
from service.web.library.identify import IdentifiedAs, IdentifiedFace, IdentifyAnswer
from service.web.pages.identify import found_faces, percent, verdict_of
from service.web.uploads import MOST_PICTURE_BYTES, PICTURE_TYPE

BROWSER = {**BEARER, **HTML}
JPEG = b"\xff\xd8\xff\xe0"


def likely(number: int, label: str | None, confidence: float) -> IdentifiedAs:
    return IdentifiedAs(
        number=number, label=label, confidence=confidence, distance=0.4, is_never_exported=False, address=""
    )


def face(
    verdict: Literal["known", "unsure", "nobody"],
    nobody: float,
    *people: IdentifiedAs,
    box: tuple[float, float, float, float] = (1, 1, 2, 2),
) -> IdentifiedFace:
    x1, y1, x2, y2 = box
    return IdentifiedFace(
        box=Edges(x1=x1, y1=y1, x2=x2, y2=y2),
        det_score=0.9,
        is_clear=True,
        verdict=verdict,
        nobody=nobody,
        identities=people,
    )


async def asked(scene: Scene, body: bytes = JPEG, kind: str = PICTURE_TYPE) -> tuple[int, str]:
    async with visit(scene) as client:
        headers = BROWSER | {"Content-Type": kind}
        async with client.post("/identify", data=io.BytesIO(body), headers=headers) as answer:
            return answer.status, await answer.text()


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (face("known", 0.001, likely(3, "Anna", 0.9989)), "Anna, 99 % sure"),
        (face("known", 0.2, likely(41, None, 0.7)), "Person 41, 70 % sure"),
        (face("nobody", 0.971, likely(41, None, 0.026)), "Nobody we know, 97 % sure"),
        (
            face("unsure", 0.08, likely(3, "Anna", 0.6), likely(8, "Berta", 0.3), likely(9, "Emil", 0.02)),
            "Not sure: Anna 60 %, Berta 30 %, nobody we know 8 %",
        ),
    ],
    ids=["known", "nameless", "nobody", "unsure"],
)
def test_a_verdict_is_said_in_words(told: IdentifiedFace, words: str) -> None:
    assert verdict_of(told) == words


def test_no_probability_is_said_to_be_certain_or_impossible() -> None:
    assert [percent(one) for one in (0.0, 0.004, 0.29, 0.9999, 1.0)] == [1, 1, 29, 99, 99]


def test_faces_are_numbered_from_the_left_and_their_boxes_stay_in_the_picture() -> None:
    told = IdentifyAnswer(
        width=200,
        height=100,
        compared=2,
        faces=(
            face("nobody", 1.0, box=(150, 50, 220, 130)),
            face("known", 0.0, likely(3, "Anna", 1.0), likely(8, "Berta", 0.001), box=(-10, 10, 50, 60)),
        ),
    )
    left, right = found_faces(told, {})
    assert (left.number, left.face.verdict, [one.name for one in left.likely]) == (1, "known", ["Anna"])
    assert left.box == Edges(x1=0, y1=10, x2=25, y2=60)
    assert right.box == Edges(x1=75, y1=50, x2=100, y2=100)


async def test_the_answer_is_a_part_of_the_page_with_boxes_verdicts_covers_and_links() -> None:
    status, part = await asked(Scene())
    assert status == 200
    assert "<html" not in part
    assert "Anna, 99 % sure" in words_of(part)
    assert "Compared with 132 people." in words_of(part)
    assert 'href="/people/3"' in part
    assert examples.IDENTITY.identity.cover is not None
    assert f'src="{examples.IDENTITY.identity.cover.thumbnail}"' in part
    assert '<rect x="20.31%" y="10.0%"' in part
    assert "<img data-own" in part


async def test_a_picture_without_a_face_is_said_so() -> None:
    async def identify(picture: bytes, limit: int) -> IdentifyAnswer:
        del picture, limit
        return IdentifyAnswer(width=10, height=10, compared=3, faces=())

    assert "No face was found in this picture." in (await asked(Scene(identify=identify)))[1]


async def test_the_name_of_a_person_is_shown_as_text() -> None:
    async def identify(picture: bytes, limit: int) -> IdentifyAnswer:
        del picture, limit
        evil = likely(3, "<script>alert(1)</script>", 0.9)
        return IdentifyAnswer(width=10, height=10, compared=3, faces=(face("known", 0.1, evil),))

    assert "<script>" not in (await asked(Scene(identify=identify)))[1]


@pytest.mark.parametrize(
    ("trouble", "status"),
    [(ItemError("the picture is damaged", reason="corrupt"), 422), (TransientError("the embedder is down"), 503)],
    ids=["damaged", "away"],
)
async def test_what_keeps_a_picture_from_an_answer_is_told_on_a_page(trouble: Exception, status: int) -> None:
    async def identify(picture: bytes, limit: int) -> IdentifyAnswer:
        del picture, limit
        raise trouble

    answered, page = await asked(Scene(identify=identify))
    assert (answered, f"<p data-trouble>{str(trouble).capitalize()}</p>" in page) == (status, True)


async def test_what_is_no_picture_is_refused_with_a_sentence() -> None:
    assert (await asked(Scene(), kind="text/plain"))[0] == 415
    assert (await asked(Scene(), b""))[0] == 400
    status, page = await asked(Scene(), b"\0" * (MOST_PICTURE_BYTES + 1))
    assert (status, "The picture has more than 32 MiB: send a smaller copy of it" in page) == (413, True)


async def test_the_page_says_what_it_needs_and_names_the_command() -> None:
    async with visit(Scene()) as client, client.get("/identify", headers=BROWSER) as answer:
        page = await answer.text()
        assert "blob:" in answer.headers["Content-Security-Policy"]
    assert "This page needs scripts" in page
    assert "immich-facesets identify party.jpg" in page
    assert f'data-most="{MOST_PICTURE_BYTES}"' in page
    assert 'href="/identify" data-key="g i" aria-current="page"' in page
