"""Immich's structs as the project's values: assets, face hints, people, and instants."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta

from immich_facesets.assets import Asset, FaceHint, Person, Rendition
from immich_facesets.dates import DateKind, judged
from immich_facesets.faces import Box
from service.sources.immich.payloads import AssetPayload, FacePayload, PersonPayload, PersonRef, PersonWithFaces

# fmt: off
FULLSIZE_SUFFIXES = frozenset({
    ".3fr", ".ari", ".arw", ".cap", ".cin", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff",
    ".iiq", ".k25", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".ori", ".pef", ".psd", ".raf", ".raw",
    ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".svg", ".x3f",
})
# fmt: on
"""Raw files, layered files and drawings, which Immich itself renders as a full-size JPEG."""


FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
LAST_INSTANT = datetime.max.replace(microsecond=999_000, tzinfo=UTC)


_FILE_STEP, _UPLOAD = timedelta(seconds=2), timedelta(seconds=60)
"""Some file systems keep times in steps of two seconds; an upload takes a while."""


def instant(text: str) -> datetime:
    """Return an aware UTC instant; years outside Python's range become its first or last instant."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return FIRST_INSTANT if text.startswith("-") else LAST_INSTANT
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # the zone moves it out of the calendar
        return FIRST_INSTANT if moment.year == 1 else LAST_INSTANT


def iso_day(text: str | None) -> str | None:
    """Return the date of a birth date, to which some versions add a time."""
    return text[:10] if text else None


def hint_from_payload(face: FacePayload, person: PersonRef | PersonWithFaces | None) -> FaceHint:
    return FaceHint(
        face_id=face.id,
        box=Box(face.bounding_box_x1, face.bounding_box_y1, face.bounding_box_x2, face.bounding_box_y2),
        image_width=int(face.image_width),
        image_height=int(face.image_height),
        person_id=None if person is None else person.id,
        birth_date=None if person is None else iso_day(person.birth_date),
    )


def hints_of_faces(faces: tuple[FacePayload, ...]) -> tuple[FaceHint, ...]:
    """Return the face hints of an answer to ``GET /faces``."""
    return tuple(hint_from_payload(face, face.person) for face in faces)


def inline_hints(asset: AssetPayload) -> tuple[FaceHint, ...] | None:
    """
    Return the faces that 2.7 includes with an asset.

    None for an edited asset: the search has the boxes of the unedited picture; only ``/faces`` has those that fit the
    edited bytes.
    """
    if asset.is_edited:
        return None
    known = [hint_from_payload(face, person) for person in asset.people for face in person.faces]
    return (*known, *(hint_from_payload(face, None) for face in asset.unassigned_faces))


def rendition_of(asset: AssetPayload) -> Rendition:
    if asset.is_edited:
        return Rendition.EDITED
    name = asset.original_path.rsplit("/", 1)[-1].lower()
    suffix = name[name.rfind(".") :] if "." in name else ""
    return Rendition.FULLSIZE if suffix in FULLSIZE_SUFFIXES else Rendition.ORIGINAL


def checksum_of(asset: AssetPayload) -> str | None:
    """Return the SHA-1 of the original in hex; None for an external library, where it may hash the path."""
    if asset.library_id is not None:
        return None
    try:
        digest = b64decode(asset.checksum, validate=True)
    except ValueError:  # also for characters beyond ASCII
        return None
    return digest.hex() if len(digest) == 20 else None


def date_kind_of(asset: AssetPayload) -> DateKind:
    """
    Return the kind of a picture's date.

    A listing does not say where Immich has a date from, and ``exifInfo`` repeats the date in either case. Without a
    date in the metadata the server takes the time when the file was changed, or made on its disk, which is the upload.
    It then gives no local time of its own. So a date that equals one of the two is the file's. A person who sets the
    date in Immich makes it differ.

    In the zone of UTC a phone's date may equal its file's too. Where the answer has the metadata of a camera, the date
    is the camera's.
    """
    taken, local = instant(asset.file_created_at), instant(asset.local_date_time)
    uploaded = instant(asset.created_at or asset.updated_at)
    changed = instant(asset.file_modified_at or asset.updated_at)
    is_files = local == taken and (abs(taken - changed) <= _FILE_STEP or abs(taken - uploaded) <= _UPLOAD)
    kind = DateKind.METADATA
    if is_files:
        kind = DateKind.CAMERA if asset.exif_info is not None and asset.exif_info.is_of_camera else DateKind.FILE
    return judged(kind, local.date(), uploaded.date())


def asset_from_payload(payload: AssetPayload, source: str, hints: tuple[FaceHint, ...] | None) -> Asset:
    """Return the project's asset. Width and height are upright on every version, and the edit's if there is one."""
    updated_at = instant(payload.updated_at)
    return Asset(
        source=source,
        asset_id=payload.id,
        checksum=checksum_of(payload),
        path=payload.original_path,
        file_name=payload.original_file_name,
        mime_type=payload.original_mime_type or "",
        taken_at=instant(payload.file_created_at),
        local_date=payload.local_date_time[:10],
        date_kind=date_kind_of(payload),
        created_at=updated_at if payload.created_at is None else instant(payload.created_at),
        updated_at=updated_at,
        width=int(payload.width) if payload.width else None,
        height=int(payload.height) if payload.height else None,
        visibility=payload.visibility,
        is_external=payload.library_id is not None,
        is_edited=payload.is_edited,
        is_offline=payload.is_offline,
        rendition=rendition_of(payload),
        hints=hints,
    )


def person_from_payload(payload: PersonPayload) -> Person:
    return Person(
        person_id=payload.id,
        name=payload.name,
        birth_date=iso_day(payload.birth_date),
        is_hidden=payload.is_hidden,
    )
