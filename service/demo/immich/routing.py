"""The route of each path, and the permission that each route requires of the API key."""

import json

PUBLIC = frozenset({"ping", "version", "config", "features", "media-types"})
PERMISSIONS = {
    "about": "server.about",
    "statistics": "server.statistics",
    "me": "user.read",
    "search": "asset.read",
    "faces": "face.read",
    "asset": "asset.read",
    "original": "asset.download",
    "thumbnail": "asset.view",
    "people": "person.read",
    "person": "person.read",
}
FIXED_PATHS = {
    ("GET", "/api/server/ping"): "ping",
    ("GET", "/api/server/version"): "version",
    ("GET", "/api/server/config"): "config",
    ("GET", "/api/server/features"): "features",
    ("GET", "/api/server/media-types"): "media-types",
    ("GET", "/api/server/about"): "about",
    ("GET", "/api/server/statistics"): "statistics",
    ("GET", "/api/api-keys/me"): "key",
    ("GET", "/api/users/me"): "me",
    ("POST", "/api/search/metadata"): "search",
    ("GET", "/api/faces"): "faces",
    ("GET", "/api/people"): "people",
}
MAINTENANCE = frozenset({"ping", "version", "config"})


def route_of(method: str, path: str) -> tuple[str, str]:
    """Return the short name of the route, and the id in the path (empty where there is none)."""
    method = "GET" if method == "HEAD" else method
    fixed = FIXED_PATHS.get((method, path))
    if fixed is not None:
        return fixed, ""
    match path.split("/"):
        case ["", "api", "assets", item] if method == "GET":
            return "asset", item
        case ["", "api", "assets", item, ("original" | "thumbnail") as name] if method == "GET":
            return name, item
        case ["", "api", "people", item] if method == "GET":
            return "person", item
    return "unknown", ""


def decoded(sent: bytes) -> tuple[object, str | None]:
    """Return the JSON of a body, and its error message if any; as in Express, only objects and lists are valid."""
    if not sent:
        return None, None
    try:
        body: object = json.loads(sent)
    except ValueError:
        return None, f"Unexpected token '{sent[:1].decode(errors='replace')}' is not valid JSON"
    if isinstance(body, dict | list):
        return body, None
    return body, f"Unexpected token '{sent[:1].decode()}', \"{sent.decode()}\" is not valid JSON"
