"""The fake Immich with a client generated from the official API document."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from contract_scene import Scene, full_scene
from immichpy import AsyncClient
from immichpy.client.generated import exceptions
from immichpy.client.generated.models.metadata_search_dto import MetadataSearchDto

VERSION = "3.3.5"
"""The version whose API document the installed client was generated from."""


@pytest.fixture
async def made() -> AsyncIterator[Scene]:
    async with full_scene(VERSION) as scene:
        yield scene


async def client_of(made: Scene) -> Any:
    return AsyncClient(base_url=made.immich.url, api_key=made.anna.api_key)


async def test_it_lists_reads_faces_and_downloads(made: Scene) -> None:
    client = await client_of(made)
    try:
        asked = MetadataSearchDto.model_validate(
            {"filter": {"type": {"eq": "IMAGE"}, "visibility": {"in": ["timeline"]}}, "size": 4, "withPeople": True}
        )
        found = await client.search.search_assets(asked)
        assert (found.assets.count, found.assets.next_page) == (4, None)
        assert found.assets.next_cursor is not None
        plain = found.assets.items[0]
        assert (plain.original_file_name, plain.people[0].name) == ("plain.jpg", "Clara")
        faces = await client.faces.get_faces(plain.id)
        assert [face.bounding_box_x2 for face in faces] == [900, 900, 1300]
        assert faces[0].person.birth_date.year == 1980
        assert bytes(await client.assets.download_asset(plain.id)) == made.assets["plain"].data
        assert (await client.assets.get_asset_info(plain.id)).exif_info.exif_image_width == 1600
        people = await client.people.get_all_people(with_hidden=True)
        assert [person.name for person in people.people] == ["Clara", "Hidden"]
        version = await client.server.get_server_version()
        assert f"{version.major}.{version.minor}.{version.patch}" == VERSION
        assert (await client.users.get_my_user()).name == "Anna"
    finally:
        await client.close()


async def test_it_understands_the_refusals(made: Scene) -> None:
    client = await client_of(made)
    try:
        with pytest.raises(exceptions.BadRequestException):
            await client.faces.get_faces(UUID(made.assets["foreign"].asset_id))
        with pytest.raises(exceptions.NotFoundException):
            await client.assets.download_asset(UUID(made.assets["offline"].asset_id))
        made.immich.revoke_key(made.anna.api_key)
        with pytest.raises(exceptions.UnauthorizedException):
            await client.users.get_my_user()
    finally:
        await client.close()
