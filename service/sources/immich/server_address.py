"""The address of an Immich server: what a user gave, as the base of the API, and its origin."""

import httpx

from immich_facesets.errors import SetupError


def base_url(url: str) -> httpx.URL:
    """Return the API's base URL from a user's input, with or without ``/api`` and slashes at the end."""
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise SetupError(f"IMMICH_URL is not an address: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise SetupError("IMMICH_URL must look like http://immich-server:2283 or https://photos.example.org")
    path = parsed.path.rstrip("/")
    return parsed.copy_with(path=f"{path if path.endswith('/api') else f'{path}/api'}/", query=None, fragment=None)


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return the origin of a server, which identifies it: scheme, host and port."""
    return (url.scheme, url.host, url.port)
