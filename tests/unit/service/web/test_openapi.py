"""The OpenAPI document: complete and consistent with the routes."""

from typing import Any

from aiohttp import web
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from web_scene import BEARER, Scene, address_of, busy_scene, visit

from service.web.routes import Access
from service.web.server import ROUTES, build_web

QUERIES = {"/api/search": {"q": "Anna"}}


async def document() -> dict[str, Any]:
    async with visit(Scene()) as client, client.get("/api/openapi.json", headers=BEARER) as answer:
        assert answer.status == 200
        told: dict[str, Any] = await answer.json()
        return told


async def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(await document()).validate()


async def test_every_route_is_in_the_document() -> None:
    paths = (await document())["paths"]
    documented = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    app: web.Application = build_web(Scene().context())
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    assert documented == served


async def test_the_document_names_the_routes_that_need_the_token() -> None:
    paths = (await document())["paths"]
    for route in ROUTES:
        operation = paths[route.path][route.method.lower()]
        assert bool(operation["security"]) == (route.access is not Access.EVERYBODY)
        assert route.access is Access.EVERYBODY or "401" in operation["responses"]
        if route.method == "GET":
            assert ("403" in operation["responses"]) == (route.access is Access.ADMINISTRATOR)


async def test_answers_keep_what_the_document_promises() -> None:
    told = await document()
    async with visit(busy_scene()) as client:
        for path, methods in told["paths"].items():
            content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            if schema is None or path == "/api/openapi.json":
                continue
            async with client.get(address_of(path), params=QUERIES.get(path), headers=BEARER) as answer:
                assert answer.status == 200, path
                OAS31Validator({**schema, "components": told["components"]}).validate(await answer.json())


async def test_every_json_answer_of_the_library_has_an_example_that_keeps_its_schema() -> None:
    told = await document()
    missing = []
    for path, methods in told["paths"].items():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    if "example" in content:
                        OAS31Validator({**content["schema"], "components": told["components"]}).validate(
                            content["example"]
                        )
                    elif path.startswith("/api/") and "$ref" in content.get("schema", {}):
                        missing.append((path, status))
    assert missing == []


async def test_every_parameter_is_described() -> None:
    for path, methods in (await document())["paths"].items():
        for operation in methods.values():
            names = [parameter["name"] for parameter in operation.get("parameters", ())]
            assert len(names) == len(set(names)), path
            for parameter in operation.get("parameters", ()):
                assert parameter["in"] == "path" or parameter["description"], (path, parameter["name"])
