"""The fields of a form as requests for decisions."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import AllowTwice, Request
from service.web.library.decisions import MOST_REQUESTS, WriteKey

MOST_FIELDS = 100_000
"""A proposed part of a person has a field for each of its faces."""

_OF_THE_FORM = frozenset({"back", "key", "etag", "requests", "reason", "is_seen", "into_name", "twice"})
"""Fields that are no part of a request."""

_LISTS = frozenset({"faces", "numbers", "off", "on"})
_MAY_BE_EMPTY = frozenset({"label", "birth_date"})
"""Fields that remove what was there when they are empty."""

_OF_EACH = frozenset({"ignore", "never_export", "lock", "minor"})
"""Actions on one identity that are made for each of several chosen ones."""

TO_SOMEBODY = frozenset({"move", "merge"})
"""Actions that name a person beside the faces or people that they are about."""

_WITHOUT_IDENTITY = frozenset({"split", "move", "ignore_others", "not_a_face", "not_for_sets", "for_sets", "cover"})
"""Actions on the chosen faces of a person's page that need no person."""

_SELECTED = "select."


@dataclass(frozen=True, slots=True)
class DecisionForm:
    """A submitted form: its fields in their order."""

    fields: Sequence[tuple[str, str]]

    def one(self, name: str, default: str = "") -> str:
        """Return the first value of a field without surrounding blanks."""
        return next((value.strip() for field, value in self.fields if field == name), default)

    def every(self, name: str) -> tuple[str, ...]:
        """Return all values of a field, each once."""
        return tuple(dict.fromkeys(value for field, value in self.fields if field == name))

    def has(self, name: str) -> bool:
        """Whether a field is there and not empty."""
        return bool(self.one(name))

    def with_fields(self, **changed: str | None) -> "DecisionForm":
        """Return the form with other values of some fields; None removes a field."""
        kept = [(name, value) for name, value in self.fields if name not in changed]
        return DecisionForm([*kept, *((name, value) for name, value in changed.items() if value is not None)])

    @property
    def seen(self) -> frozenset[str] | None:
        """The ETags of the identities as the page showed them; None where it does not matter."""
        return frozenset(self.every("etag")) or None

    @property
    def write_key(self) -> WriteKey | None:
        """The key under which this form is done once; another choice in the same page is another form."""
        if not self.has("key"):
            return None
        kept = sorted(field for field in self.fields if field[0] not in {"key", "etag", "back"})
        digest = hashlib.sha256(msgspec.json.encode(kept)).hexdigest()
        given = hashlib.sha256(self.one("key").encode()).hexdigest()
        return WriteKey(f"page-{given[:32]}-{digest[:32]}", digest)

    def requests(self) -> tuple[Request, ...]:
        """Return what the form asks for; ``RequestError`` (400) for anything else."""
        try:
            if self.has("requests"):
                found = msgspec.json.decode(self.one("requests"), type=tuple[Request, ...])
                if self.has("even_if_locked"):
                    found = tuple(msgspec.structs.replace(one, even_if_locked=True) for one in found)
            else:
                found = tuple(msgspec.convert(one, Request, strict=False) for one in self._plain())
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise RequestError(f"choose what this is about first, and what to do ({error})", status=400) from error
        if self.has("twice"):
            found = (AllowTwice(faces=tuple(int(face) for face in self.every("twice"))), *found)
        if not 1 <= len(found) <= MOST_REQUESTS:
            raise RequestError(f"choose between 1 and {MOST_REQUESTS} at a time", status=400)
        return found

    def _plain(self) -> list[dict[str, Any]]:
        """Return the fields as plain JSON values, one request for each of several people."""
        plain: dict[str, Any] = {}
        for name, value in self.fields:
            text = value.strip()
            if name in _OF_THE_FORM or (not text and name not in _MAY_BE_EMPTY):
                continue
            if name in _LISTS:
                plain.setdefault(name, {})[_number(text)] = None
            elif name.startswith(_SELECTED):
                plain.setdefault("select", {})[name.removeprefix(_SELECTED)] = text
            else:
                plain.setdefault(name, text or None)
        plain |= {name: list(plain[name]) for name in _LISTS & plain.keys()}
        return _without_others(plain)


def _without_others(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the requests of a form without the fields that other buttons of it need."""
    action = plain.get("action")
    if "select" in plain:
        plain.pop("faces", None)
    if action == "cover" and "faces" in plain:
        plain["face"], *others = plain.pop("faces")
        if others:
            raise RequestError("choose one face as the cover", status=400)
    if action not in TO_SOMEBODY:
        plain.pop("into", None)
    if action in _WITHOUT_IDENTITY or (action == "ignore" and "faces" in plain):
        plain.pop("identity", None)
    if action in _OF_EACH and "numbers" in plain:
        return [plain | {"identity": number} for number in plain.pop("numbers")]
    return [plain]


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text
