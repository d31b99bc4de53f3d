"""Identification over a real store, with an embedder that is faked at the wire: each picture is a list of people."""

import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import msgspec
import numpy as np
from builders import INFO, RECIPE, face_answer, unit_like
from moderated_library import Moderated
from PIL import Image
from web_scene import invented_thresholds

from immich_facesets import wire
from immich_facesets.faces import Box
from service.embedders.client import Embedder
from service.embedders.pool import EmbedderPool
from service.reports.identification import Identify
from service.settings import Settings
from service.store import named_values
from service.store.database import Store

PROBE = 500
"""The first number of a face that no library holds."""


def picture_of(*people: int) -> bytes:
    """A picture of these people, the largest face first."""
    return msgspec.json.encode(people)


@dataclass
class FakeEmbedder:
    """The embedder's answers. ``space``: of its vectors; ``refusal``: what it answers instead, when set."""

    space: str = RECIPE.space
    refusal: httpx.Response | None = None
    is_down: bool = False
    asked: list[bytes] = field(default_factory=list)
    cut: dict[bytes, wire.FaceAnswer] = field(default_factory=dict)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ConnectError("nobody listens")
        if request.url.path == "/v1/info":
            limits = wire.Limits(max_pixels=10**8, max_bytes=10**8, max_in_flight=2)
            return _packed(msgspec.structs.replace(INFO, space=self.space, limits=limits))
        self.asked.append(request.content)
        if self.refusal is not None:
            return self.refusal
        if request.content in self.cut:  # a square that was cut around a face, sent again
            return _packed(self._in_square(self.cut[request.content]))
        people = msgspec.json.decode(request.content, type=list[int])
        faces = _faces(people)
        if "crops" in request.url.params:
            faces = tuple(self._with_crop(face, people) for face in faces)
        return _packed(wire.FacesAnswer(space=self.space, width=4000, height=3000, faces=faces))

    def _with_crop(self, face: wire.FaceAnswer, people: Sequence[int]) -> wire.FaceAnswer:
        box = face.face_box()
        pad = box.width / 2
        image = _square(f"{people} {box.x1}")
        self.cut[image] = face
        area = (box.x1 - pad, box.y1 - pad, box.x2 + pad, box.y2 + pad)
        return msgspec.structs.replace(face, crop=wire.CropAnswer(image=image, area=area))

    def _in_square(self, face: wire.FaceAnswer) -> wire.FacesAnswer:
        """The same face, in the middle of the square that was cut around it; in another space it is another vector."""
        vector = face.embedding if self.space == RECIPE.space else face.embedding[4:] + face.embedding[:4]
        again = msgspec.structs.replace(face_answer(box=Box(16, 16, 48, 48)), embedding=vector)
        return wire.FacesAnswer(space=self.space, width=64, height=64, faces=(again,))


def _faces(people: Sequence[int]) -> tuple[wire.FaceAnswer, ...]:
    found = []
    for place, person in reversed(list(enumerate(people))):  # the order of an embedder says nothing
        side = 300.0 - 20 * place
        box = Box(400.0 * place, 100, 400.0 * place + side, 100 + side)
        found.append(msgspec.structs.replace(face_answer(box=box), embedding=unit_like(person, PROBE + place)))
    return tuple(found)


def _square(text: str) -> bytes:
    """A small JPEG, another one for each text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((64, 64)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _packed(value: msgspec.Struct) -> httpx.Response:
    body, kind = wire.encode(value)
    return httpx.Response(200, content=body, headers={"Content-Type": kind})


@dataclass
class IdentifyScene:
    """A library of people 1 and 2 with four pictures each, named Anna and Ben."""

    library: Moderated
    embedder: FakeEmbedder
    identify: Identify
    settings: Settings
    pool: EmbedderPool

    @property
    def store(self) -> Store:
        return self.library.store

    def number(self, person: int) -> int:
        """The identity of a person by their first picture."""
        name = next(name for name, who in self.library.pictures.items() if person in who)
        found = self.library.number(name)
        assert found is not None
        return found

    async def verdicts(self, *people: int) -> list[tuple[str, int | None]]:
        """The verdict about each face of a picture, with the most probable identity where it is known."""
        answer = await self.identify.answer(picture_of(*people), 5)
        return [(one.verdict, one.identities[0].number if one.verdict == "known" else None) for one in answer.faces]


def library_of(store: Store) -> Moderated:
    """A store with the library of the scene, grouped."""
    library = Moderated(store)
    library.name_people(anna="Anna", ben="Ben")
    library.add(1, count=4, given="anna")
    library.add(2, count=4, given="ben")
    library.group()
    store.write_now(named_values.write_thresholds, replace(invented_thresholds(), space=RECIPE.space))
    return library


@asynccontextmanager
async def identifying(
    store: Store, *, embedder: FakeEmbedder | None = None, settings: Settings | None = None
) -> AsyncIterator[IdentifyScene]:
    """The scene over an empty, migrated store; ``embedder``: its answers, not awaited for long while it is down."""
    embedder = embedder or FakeEmbedder()
    transport = httpx.MockTransport(embedder.answer)
    pool = EmbedderPool([Embedder("http://embedder", None, failures=1, answer_seconds=0.1, transport=transport)])
    settings = settings or Settings()
    identify = Identify(store, settings, pool, answer_seconds=0.5 if embedder.is_down else 20)
    try:
        yield IdentifyScene(library_of(store), embedder, identify, settings, pool)
    finally:
        await pool.close()
