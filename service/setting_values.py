"""Checks of the values of settings; every error is a ``ValueError`` that says what the value must be."""

import re
from datetime import timedelta

import httpx

from immich_facesets.errors import SetupError
from immich_facesets.runtime.listen_address import Listen

LONGEST_INTERVAL = timedelta(days=3650)
"""Beyond it, dates of the schedule would leave the calendar."""

USER_NAME_RULE = "a user's name must be 1 to 100 printable characters, without blanks around them"


ROOT_DOORS = frozenset({"healthz", "readyz", "metrics"})
"""Addresses that answer at the root whatever the base path, which therefore none begins with."""

_BASE_PATH = re.compile(r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+)+")


def is_user_name(name: str) -> bool:
    """
    Return whether this is a valid user name.

    The name is used in messages and manifests and, made safe, as a folder's name.
    """
    return bool(name) and name == name.strip() and len(name) <= 100 and name.isprintable()


def checked_addresses(text: str, example: str) -> str:
    """Return a list of HTTP addresses, separated by commas."""
    for url in filter(None, map(str.strip, text.split(","))):
        checked_address(url, f"addresses such as {example}, separated by commas")
    return text


def checked_address(url: str, what: str) -> str:
    """Return an HTTP address with a host and, if any, a possible port."""
    try:
        parsed = httpx.URL(url.strip())
        port = parsed.port
    except (httpx.InvalidURL, ValueError):
        raise ValueError(f"must be {what}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or not 0 < (port or 80) < 65536:
        raise ValueError(f"must be {what}")
    return url


def checked_listen(text: str) -> str:
    """Return an address to listen on."""
    try:
        Listen.parse(text)
    except SetupError as error:
        raise ValueError(str(error)) from None
    return text


def checked_base_path(text: str) -> str:
    """Return the path that all addresses of the pages begin with; only letters that no proxy writes otherwise."""
    if text and not _BASE_PATH.fullmatch(text):
        raise ValueError(
            "must be a path such as /faces: a slash at its beginning and none at its end; names of letters, digits "
            "and - . _ ~, none of them . or ..; leave it empty when the pages have a host name of their own"
        )
    if (first := text[1:].partition("/")[0]) in ROOT_DOORS:
        raise ValueError(f"must not begin with /{first}, which programs ask at the root")
    return text


def checked_interval(value: timedelta) -> timedelta:
    """Return a pause that a schedule can add to a date."""
    if value < timedelta(seconds=1):
        raise ValueError("must be a second at least")
    if value > LONGEST_INTERVAL:
        raise ValueError(f"must be {LONGEST_INTERVAL.days} days at most")
    return value


def checked_header_value(secret: str) -> str:
    """Return a key or token that fits into the header of a request."""
    if not secret.strip() or not secret.strip().isascii() or not secret.strip().isprintable():
        raise ValueError("is blank or holds signs that no key has: copy it again")
    return secret
