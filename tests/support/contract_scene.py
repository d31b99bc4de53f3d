"""A small library with one asset of every kind, on a fake Immich of any version."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from service.demo.immich import FakeAsset, FakeImmich, FakePerson, FakeUser

VERSIONS = ("2.7.5", "3.1.0", "3.3.5")
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Shared, because creating one reads every certificate of the machine."""
NOON = datetime(2020, 6, 1, 12, tzinfo=UTC)
JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 4
IMAGES = {"type": {"eq": "IMAGE"}, "trashedAt": {"eq": None}, "visibility": {"in": ["timeline", "archive"]}}


@dataclass
class Scene:
    """
    Anna's library, pictures of the partner Ben in its timeline, and a third user's pictures, which Anna must not see.
    """

    immich: FakeImmich
    client: httpx.AsyncClient
    anna: FakeUser
    ben: FakeUser
    stranger: FakeUser
    people: dict[str, FakePerson] = field(default_factory=dict)
    assets: dict[str, FakeAsset] = field(default_factory=dict)

    def add(self, name: str, **fields: Any) -> FakeAsset:
        known: dict[str, Any] = {"data": JPEG + name.encode(), "owner": "Anna", "width": 1600, "height": 1200}
        known |= {"file_name": f"{name}.jpg", "taken_at": NOON - timedelta(days=len(self.assets))}
        self.assets[name] = self.immich.add_asset(**known | fields)
        return self.assets[name]

    def face(self, name: str, person: str | None = None, x: int = 600) -> str:
        who = None if person is None else self.people[person].person_id
        box = (x, 300, x + 300, 700)
        return self.immich.add_face(
            self.assets[name], box=box, image_width=1600, image_height=1200, person_id=who
        ).face_id

    async def search(self, body: dict[str, Any] | None = None, user: FakeUser | None = None) -> dict[str, Any]:
        answer = await self.client.post("/api/search/metadata", json=body or {}, headers=key_of(user or self.anna))
        assert answer.status_code == 200, answer.text
        assets: dict[str, Any] = answer.json()["assets"]
        return assets

    async def names(self, body: dict[str, Any] | None = None, user: FakeUser | None = None) -> list[str]:
        return [item["originalFileName"].partition(".")[0] for item in (await self.search(body, user))["items"]]

    async def refused(self, body: Any) -> httpx.Response:
        return await self.client.post("/api/search/metadata", json=body)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def original(self, name: str, query: str = "", **headers: str) -> httpx.Response:
        return await self.get(f"/api/assets/{self.assets[name].asset_id}/original{query}", **headers)


def key_of(user: FakeUser) -> dict[str, str]:
    return {"x-api-key": user.api_key}


@asynccontextmanager
async def scene(version: str, **options: Any) -> AsyncIterator[Scene]:
    """An empty scene: three users and a client with Anna's key."""
    async with FakeImmich(version, **options) as immich:
        anna = immich.add_user("Anna", is_admin=True)
        ben = immich.add_user("Ben", shares_with=["Anna"])
        stranger = immich.add_user("Stranger")
        async with httpx.AsyncClient(base_url=immich.url, headers=key_of(anna), timeout=5, verify=NO_TLS) as client:
            yield Scene(immich, client, anna, ben, stranger)


@asynccontextmanager
async def full_scene(version: str, **options: Any) -> AsyncIterator[Scene]:
    """One asset of every kind that a listing treats differently."""
    async with scene(version, **options) as made:
        for name, owner in (("Clara", "Anna"), ("Hidden", "Anna"), ("", "Anna"), ("Zoe", "Ben")):
            made.people[name or "unnamed"] = made.immich.add_person(owner=owner, name=name, is_hidden=name == "Hidden")
        made.people["Clara"].birth_date = "1980-01-02"
        made.add("plain")
        made.add("loose")
        made.add("empty")
        made.add("archived", visibility="archive")
        made.add("motion", visibility="hidden", type="VIDEO", mime_type="video/mp4", duration_ms=1500)
        made.add("locked", visibility="locked")
        made.add("trashed", is_trashed=True)
        made.add("offline", is_offline=True, library_id="9f1b7f5e-6a53-4c0e-8d27-3f4ea1c9b2d0")
        made.add("heic", mime_type="image/heic", file_name="heic.heic", preview_data=JPEG)
        made.add("bare", exif=None)
        made.add("partner", owner="Ben")
        made.add("foreign", owner="Stranger")
        for name, who in (("plain", "Clara"), ("plain", "Hidden"), ("archived", "Clara"), ("partner", "Zoe")):
            made.face(name, who)
        made.face("plain", "unnamed", x=1000)
        made.face("loose", None)
        yield made
