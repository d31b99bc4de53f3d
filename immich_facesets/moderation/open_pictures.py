"""Reference pictures of which no decision says whose they are, as an export of decisions carries them."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.moderation.decisions import FaceRef, Part, ReferencePicture
from immich_facesets.moderation.records import CarriedPicture, Line, is_open_picture
from immich_facesets.moderation.requests import Number


class OpenPicture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A picture that was sent for an identity, and resembles ``rival`` as well (None: nobody any more).

    ``face``: in the picture that was sent. ``members``: faces of the two identities, by which they are found after a new import.
    """

    face: FaceRef
    sent_for: Number
    rival: Number | None = None
    made_at: Annotated[datetime, msgspec.Meta(tz=True)]
    members: tuple[Part, ...] = ()
    picture: CarriedPicture

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the square that is kept."""
        return hashlib.sha256(self.picture.image).hexdigest()


class _OpenLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Literal[1] = 1
    open_picture: OpenPicture


def open_lines(pictures: Iterable[OpenPicture]) -> Iterator[bytes]:
    """Return each picture as one line of JSON."""
    for one in pictures:
        yield msgspec.json.encode(_OpenLine(open_picture=one)) + b"\n"


def open_pictures_in(content: bytes) -> list[OpenPicture]:
    """Return the open pictures of an export; ``RequestError`` (400) with the number of the first line that is none."""
    found: list[OpenPicture] = []
    for number, text in enumerate(content.splitlines(), start=1):
        if not is_open_picture(text):
            continue
        try:
            found.append(msgspec.json.decode(text, type=_OpenLine).open_picture)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RequestError(f"line {number} is no open picture: {error}", status=400) from error
        if not found[-1].picture.is_of(found[-1].face.sha256):
            raise RequestError(f"line {number} has another original than its face", status=400)
    return found


def as_line(one: OpenPicture) -> Line:
    """Return the line that a picture would be, were it decided: by it the numbers of its identities are found here."""
    uid = one.digest[:32]
    decision = ReferencePicture(one.digest, one.face, one.sent_for)
    return Line(
        uid=uid,
        batch=uid,
        made_by="",
        made_from="import",
        made_at=one.made_at,
        decision=decision,
        members=one.members,
    )
