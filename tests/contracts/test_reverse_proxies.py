"""The documented reverse proxies: they pass the path on, name the host of the browser, and come to the service's port."""

import re
from pathlib import Path

from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SECTION = (
    (ROOT / "docs/operations.md")
    .read_text(encoding="utf-8")
    .partition("## Behind a reverse proxy\n")[2]
    .partition("\n## ")[0]
)
ADDRESS = Settings.model_fields["listen"].default


def example(first: str) -> str:
    """The indented block that begins with this line."""
    block = re.search(rf"^    {re.escape(first)}.*(?:\n    .*|\n(?=\n    ))*", SECTION, re.MULTILINE)
    assert block is not None, first
    return block[0]


def test_nginx_passes_the_path_on_and_names_the_host_with_its_port() -> None:
    nginx = example("location /faces/ {")
    assert f"proxy_pass http://{ADDRESS};" in nginx, "a slash after the address would take the path away"
    assert "proxy_set_header Host $http_host;" in nginx, "$host has no port, and forms would be refused"
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in nginx


def test_caddy_passes_the_path_on() -> None:
    caddy = example("@faces path /faces /faces/*")
    assert "handle @faces {" in caddy
    assert f"reverse_proxy {ADDRESS}" in caddy
    assert "handle_path" not in caddy


def test_traefik_passes_the_path_on_to_the_port_of_the_container() -> None:
    traefik = example("traefik.http.routers.faces.rule")
    assert "Path(`/faces`) || PathPrefix(`/faces/`)" in traefik, "PathPrefix alone takes /facesets, too"
    assert f'loadbalancer.server.port: "{ADDRESS.rpartition(":")[2]}"' in traefik
    assert "strip" not in traefik.lower()
