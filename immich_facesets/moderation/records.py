"""Decisions as they are recorded and carried to another installation: who made each, when, from where, and why."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.faces import Box
from immich_facesets.json_text import has_null_character
from immich_facesets.moderation.decisions import Decision, Part, ReferencePicture, Undo

MadeFrom = Literal["page", "api", "command", "import"]
MOST_REASON = 2000
MOST_ORIGINAL_BYTES = 32 * 1024 * 1024
Text = Annotated[str, msgspec.Meta(max_length=MOST_REASON)]
Uid = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class Author(msgspec.Struct, frozen=True):
    """The author of decisions, from where they are made, and why (free text)."""

    made_by: str
    made_from: MadeFrom
    reason: str = ""


class Record(msgspec.Struct, frozen=True):
    """
    One decision as stored.

    ``uid`` is the same in every installation; ``batch``: that of the first decision of those made in one step. ``members``:
    the identities that it mentions, with their faces at that time. By these they are found after a new import.
    """

    decision_id: int
    uid: str
    batch: str
    decision: Decision
    made_by: str
    made_from: str
    made_at: datetime
    reason: str = ""
    members: tuple[Part, ...] = ()


class CarriedPicture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A reference picture in an export: ``image`` is the JPEG of the square around the face, which shows ``area``.

    Both the area and the face of the decision are in upright pixels of the picture that was sent. ``original``: its bytes,
    where they were kept and the export was asked for them.
    """

    area: Box
    image: Annotated[bytes, msgspec.Meta(max_length=4 * 1024 * 1024)]
    original: Annotated[bytes, msgspec.Meta(max_length=MOST_ORIGINAL_BYTES)] | None = None

    def is_of(self, sha256: str) -> bool:
        """Return whether the original, if there is one, is the picture with this SHA-256."""
        return self.original is None or hashlib.sha256(self.original).hexdigest() == sha256


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of an export (docs/decisions.md); ``version`` is that of its form. ``undoes``: the uid of the decision that an undo takes back. ``picture``: of a decision about a reference picture."""

    version: Literal[1] = 1
    uid: Uid
    batch: Uid
    made_by: Annotated[str, msgspec.Meta(max_length=200)]
    made_from: MadeFrom
    made_at: Annotated[datetime, msgspec.Meta(tz=True)]
    reason: Text = ""
    undoes: Uid | None = None
    decision: Decision
    members: tuple[Part, ...] = ()
    picture: CarriedPicture | None = None


def uid_of(decision_id: int, made_at: datetime, kind: str) -> str:
    """Return the uid of a decision that was recorded without one: the same at every look."""
    return hashlib.sha256(f"{decision_id} {made_at.isoformat()} {kind}".encode()).hexdigest()[:16]


def to_lines(records: Iterable[Record], pictures: Mapping[str, CarriedPicture] = {}) -> Iterator[bytes]:
    """Return each record as one line of JSON, in their order. ``pictures``: the reference pictures, by their digests."""
    uids: dict[int, str] = {}
    for one in records:
        uids[one.decision_id] = one.uid
        undoes = uids.get(one.decision.decision) if isinstance(one.decision, Undo) else None
        made_from = one.made_from if one.made_from in ("page", "api", "command", "import") else "command"
        line = Line(
            uid=one.uid,
            batch=one.batch,
            made_by=one.made_by,
            made_from=made_from,  # type: ignore[arg-type]  # narrowed above, which mypy does not follow
            made_at=one.made_at,
            reason=one.reason,
            undoes=undoes,
            decision=one.decision,
            members=one.members,
            picture=pictures.get(one.decision.digest) if isinstance(one.decision, ReferencePicture) else None,
        )
        yield msgspec.json.encode(line) + b"\n"


class _Peek(msgspec.Struct, frozen=True):
    open_picture: msgspec.Raw = msgspec.Raw()


def is_open_picture(text: bytes) -> bool:
    """Return whether a line of an export is a reference picture of which no decision says whose it is."""
    try:
        return b'"open_picture"' in text and msgspec.json.decode(text, type=_Peek).open_picture != b""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def from_lines(content: bytes) -> list[Line]:
    """Return all decisions of an export, without its open pictures; ``RequestError`` (400) with the number of the first line that is none."""
    found: list[Line] = []
    seen: set[str] = set()
    decoder = msgspec.json.Decoder(Line)
    for number, text in enumerate(content.splitlines(), start=1):
        if not text.strip() or is_open_picture(text):
            continue
        if has_null_character(text):
            raise RequestError(f"line {number} has a character 0, which no text may have", status=400)
        try:
            line = decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RequestError(f"line {number} is no decision: {error}", status=400) from error
        if line.uid in seen:
            raise RequestError(f"line {number} has the uid of an earlier line: each decision has its own", status=400)
        if isinstance(line.decision, Undo) and line.undoes is None:
            raise RequestError(f"line {number} is an undo without 'undoes', the uid of what it takes back", status=400)
        if line.picture is not None and not _is_of_decision(line.picture, line.decision):
            raise RequestError(f"line {number} has another reference picture than its decision", status=400)
        if line.undoes is not None and line.undoes not in seen:
            raise RequestError(f"line {number} undoes a decision that is on no earlier line", status=400)
        seen.add(line.uid)
        found.append(line)
    return found


def _is_of_decision(picture: CarriedPicture, decision: Decision) -> bool:
    return (
        isinstance(decision, ReferencePicture)
        and decision.digest == hashlib.sha256(picture.image).hexdigest()
        and picture.is_of(decision.face.sha256)
    )


def active_ids(undone: frozenset[int], records: Mapping[int, Record]) -> list[int]:
    """Return the ids of the decisions that are in effect, ascending; undos are none."""
    return [
        number for number, one in sorted(records.items()) if number not in undone and not isinstance(one.decision, Undo)
    ]
