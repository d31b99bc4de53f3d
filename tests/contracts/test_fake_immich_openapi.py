"""Answers of the fake Immich against the official API documents of each version."""

import json
from typing import Any

import httpx
import pytest
from contract_scene import Scene, full_scene
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from testdata import shared_data

DOCUMENTS = {"2.7.5": "immich-2.7.5.json", "3.1.0": "immich-3.1.0.json", "3.3.5": "immich-3.3.5-derived.json"}
SCHEMAS = {
    "/api/server/ping": "ServerPingResponse",
    "/api/server/version": "ServerVersionResponseDto",
    "/api/server/config": "ServerConfigDto",
    "/api/server/features": "ServerFeaturesDto",
    "/api/server/about": "ServerAboutResponseDto",
    "/api/server/media-types": "ServerMediaTypesResponseDto",
    "/api/server/statistics": "ServerStatsResponseDto",
    "/api/users/me": "UserAdminResponseDto",
    "/api/people?withHidden=true": "PeopleResponseDto",
}


def strict(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema: `nullable` spelt out, and no keys but those named."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: strict(part) for name, part in schema.items() if name != "nullable"}
    if "properties" in plain and plain.get("type") == "object":
        plain.setdefault("additionalProperties", False)
    return {"anyOf": [{"type": "null"}, plain]} if schema.get("nullable") else plain


class Document:
    def __init__(self, version: str) -> None:
        document = json.loads((shared_data() / "openapi" / DOCUMENTS[version]).read_text())
        self.components = strict(document["components"])

    def complaints(self, schema: dict[str, Any], answer: httpx.Response) -> list[str]:
        assert answer.status_code == 200, answer.text
        validator = OAS31Validator(schema | {"components": self.components}, format_checker=oas31_format_checker)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(answer.json())]

    def named(self, name: str) -> dict[str, Any]:
        found = {known.lower(): known for known in self.components["schemas"]}
        return {"$ref": f"#/components/schemas/{found[name.lower()]}"}

    @property
    def search(self) -> dict[str, Any]:
        schema = self.named("SearchAssetResponseDto")
        return {"type": "object", "properties": {"assets": schema}, "required": ["assets", "albums"]}


@pytest.mark.parametrize("version", DOCUMENTS)
async def test_answers_obey_the_official_document(version: str) -> None:
    document = Document(version)
    async with full_scene(version) as made:
        key = made.immich.add_key(made.anna, {"all"})
        for path, name in SCHEMAS.items():
            answer = await made.get(path, **{"x-api-key": key})
            assert document.complaints(document.named(name), answer) == [], path
        assert document.complaints(document.named("ApiKeyResponseDto"), await made.get("/api/api-keys/me")) == []
        await assets_obey(document, made)
        person = await made.get(f"/api/people/{made.people['Clara'].person_id}")
        assert document.complaints(document.named("PersonResponseDto"), person) == []


async def assets_obey(document: Document, made: Scene) -> None:
    bodies: list[dict[str, Any]] = [
        {"withPeople": True, "withExif": True, "withDeleted": True},
        {"visibility": "hidden"},
    ]
    if made.immich.dialect.filters:
        bodies.append({"filter": {}, "withPeople": True, "size": 2})
    for body in bodies:
        answer = await made.client.post("/api/search/metadata", json=body)
        assert len(answer.json()["assets"]["items"]) > 0
        assert document.complaints(document.search, answer) == []
    listed = {"type": "array", "items": document.named("AssetFaceResponseDto")}
    for asset in made.assets.values():
        if asset.file_name.startswith(("locked", "foreign")):
            continue
        shown = await made.get(f"/api/assets/{asset.asset_id}")
        assert document.complaints(document.named("AssetResponseDto"), shown) == [], asset.file_name
        assert document.complaints(listed, await made.get(f"/api/faces?id={asset.asset_id}")) == []
