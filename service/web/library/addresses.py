"""Addresses of the API inside its answers, below the base path."""

import re
from urllib.parse import quote

from immich_facesets.errors import RequestError

CROP_NAME = re.compile(r"([0-9a-f]{64})\.([0-9a-f]{64})\.jpg")
"""The picture and the crop itself, as digests: another crop has another address, so that it never changes."""

THUMBNAIL_SIDES = (64, 128, 256)
"""The sides in pixels of the thumbnails that there are."""

SLASH = ":"
"""Takes the place of a slash in addresses: no name in the export folder holds it, and proxies decode %2F."""


def identity_address(base: str, number: int) -> str:
    """Return the address of an identity."""
    return f"{base}/api/identities/{number}"


def crop_address(base: str, file: str) -> str:
    """Return the address of a stored crop; ``file`` as the store names it."""
    return f"{base}/api/crops/{file.rpartition('/')[2]}"


def thumbnail_address(base: str, file: str, side: int) -> str:
    """Return the address of a reduced crop."""
    return f"{base}/api/thumbnails/{side}/{file.rpartition('/')[2]}"


def original_address(base: str, reference: int) -> str:
    """Return the address of the original of a reference picture."""
    return f"{base}/api/references/{reference}/original"


def reference_address(base: str, file: str) -> str:
    """Return the address of a file of a reference picture."""
    return f"{base}/api/reference-pictures/{file.rpartition('/')[2]}"


def picture_address(base: str, sha256: str) -> str:
    """Return the address of a whole picture, reduced."""
    return f"{base}/api/pictures/{sha256}"


def faceset_address(base: str, directory: str) -> str:
    """Return the address of a directory of the export folder."""
    return f"{base}/api/facesets/{path_name(directory)}"


def file_address(base: str, directory: str, name: str) -> str:
    """Return the address of a file in a directory of the export folder."""
    return f"{faceset_address(base, directory)}/files/{path_name(name)}"


def name_from_path(text: str) -> str:
    """Return the name of a directory or file that an address holds; ``RequestError`` (404) for what none can be."""
    if "\0" in text:
        raise RequestError("there is nothing at an address with a character 0", status=404)
    return text.replace(SLASH, "/")


def path_name(name: str) -> str:
    """Return the name of a directory or file as a part of an address; ``name_from_path`` reads it."""
    return quote(name.replace("/", SLASH), safe=SLASH)
