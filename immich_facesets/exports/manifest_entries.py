"""The entries of manifests that are on the disk already: of the whole folder, and of users."""

import json
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from immich_facesets.exports.manifests import Json, json_bytes, user_manifest
from immich_facesets.facesets.faceset import Faceset

_ENTRY_KINDS: Mapping[str, type] = MappingProxyType({"identity": int, "name": str, "directory": str})


def entries_of(manifest: Json) -> list[Json]:
    """Return the entries of a manifest of the whole folder, or of a user; those that were damaged by hand are left out."""
    parts = (manifest.get(name) for name in ("facesets", "thin_eras", "candidates"))
    entries = [one for part in parts if isinstance(part, list) for one in part]
    return [one for one in entries if isinstance(one, dict) and _is_entry(one)]


def _is_entry(value: Json) -> bool:
    kinds = all(isinstance(value.get(key), kind) for key, kind in _ENTRY_KINDS.items())
    return kinds and isinstance(value.get("bundles", {}), dict)


def user_manifest_with(user: str, facesets: Iterable[Faceset], numbers: Collection[int], previous: Json) -> bytes:
    """Return the manifest of a user in which these face sets take the place of all of these identities."""
    own = json.loads(user_manifest(user, facesets))
    others = [one for one in entries_of(previous) if one["identity"] not in numbers]
    ordered = sorted((*others, *own["facesets"]), key=lambda one: (one["identity"], one["name"]))
    return json_bytes({**own, "facesets": ordered})


def without_identities(manifest: Json, numbers: Collection[int]) -> bytes | None:
    """Return a manifest of the whole folder, or of a user, without the face sets of these identities; None if it has none."""
    parts = {name: value for name, value in manifest.items() if isinstance(value, list)}
    kept = {
        name: [one for one in value if not (isinstance(one, dict) and _is_of(one, numbers))]
        for name, value in parts.items()
    }
    return None if kept == parts else json_bytes({**manifest, **kept})


def _is_of(entry: Json, numbers: Collection[int]) -> bool:
    identity = entry.get("identity")
    return isinstance(identity, int) and identity in numbers
