"""The OpenAPI document: complete and consistent with the routes."""

from typing import Any

from aiohttp import web
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from web_scene import BEARER, Scene, busy_scene, visit

from service.web.routes import Access
from service.web.server import ROUTES, build_web


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
        assert bool(operation["security"]) == (route.access is Access.TOKEN)
        assert route.access is Access.EVERYBODY or "401" in operation["responses"]


async def test_answers_keep_what_the_document_promises() -> None:
    told = await document()
    async with visit(busy_scene()) as client:
        for path, methods in told["paths"].items():
            content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            if schema is None or path == "/api/openapi.json":
                continue
            async with client.get(path, headers=BEARER) as answer:
                assert answer.status == 200
                OAS31Validator({**schema, "components": told["components"]}).validate(await answer.json())
