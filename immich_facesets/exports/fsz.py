"""
The face sets' own directories, with bundles for roop-unleashed.

A bundle (.fsz) is a flat, stored ZIP of ``0.png``, ``1.png``, ... in rank order. The reader takes the entries in
directory order, fails on folders, and averages every face it finds. A bundle therefore holds checked pictures of one
face each, best first. The same pictures give the same bytes: the archive holds no timestamp and no host.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import BinaryIO

from immich_facesets.checkpoints import checkpoint
from immich_facesets.exports.artifacts import Draw, ExportArtifact
from immich_facesets.exports.contact_sheet import SHEET, Thumbnail, draw_sheet
from immich_facesets.exports.face_choice import picked
from immich_facesets.exports.file_names import THIN_NOTE, marker_name
from immich_facesets.exports.manifests import (
    NO_NOTES,
    bundle_names,
    face_file,
    faceset_entry,
    faceset_manifest,
    json_bytes,
    marker,
    thin_note,
)
from immich_facesets.exports.profile import Content, FolderProfile, PictureFile, ReadBack
from immich_facesets.facesets.faceset import ExportFace, ExportRules, Faceset, FacesetFolder
from immich_facesets.facesets.preflight import as_json, check_faceset
from immich_facesets.imports.manifests import MANIFEST

FSZ = FolderProfile(
    name="fsz",
    is_for_swapping=True,
    usual_faces=None,  # all of them, and the best in a bundle of their own
    settings=("FACESETS_EXPORT_TOP", "FACESETS_CROP_SIZE"),
)

PREFLIGHT = "preflight.json"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a ZIP can hold
_UNIX = 3
_READABLE = 0o100644 << 16


def write_bundle(file: BinaryIO, pictures: Iterable[bytes]) -> None:
    """Write a bundle into an empty, seekable file; only one picture (PNG) is held in memory at a time."""
    with zipfile.ZipFile(file, "w", compression=zipfile.ZIP_STORED) as archive:
        for number, picture in enumerate(pictures):
            checkpoint()
            entry = zipfile.ZipInfo(f"{number}.png", date_time=_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _READABLE
            archive.writestr(entry, picture)


def of_faceset(faceset: Faceset, *, space: str, rules: ExportRules, draw: Draw, thumbnail: Thumbnail) -> ExportArtifact:
    """Return the face set itself: the profile ``fsz``. Candidates, which a moderator must review first, get no report."""
    is_reported = faceset.folder is not FacesetFolder.CANDIDATES
    report = check_faceset(faceset, rules.top)
    report_bytes = json_bytes(as_json(faceset, report))
    notes = {PREFLIGHT: hashlib.sha256(report_bytes).hexdigest(), SHEET: None} if is_reported else NO_NOTES
    pictures = {
        face.candidate.face.face_id: draw(face, faceset.identity, None, for_swapping=True) for face in faceset.faces
    }
    manifest = faceset_manifest(faceset, space=space, rules=rules, notes=notes, pictures=pictures)
    top = frozenset(face.candidate.face.face_id for face in picked(faceset, rules.top, is_for_swapping=True))

    def for_people() -> Iterator[tuple[str, Content]]:
        if is_reported:
            yield PREFLIGHT, report_bytes
            yield SHEET, draw_sheet(faceset, top, report, thumbnail)

    def files() -> Iterator[tuple[str, Content]]:
        def picture(face: ExportFace) -> PictureFile:
            return pictures[face.candidate.face.face_id]

        return faceset_files(faceset, manifest=manifest, top=rules.top, picture=picture, notes=for_people())

    entry = faceset_entry(faceset, rules.top)
    return ExportArtifact(faceset.directory, FSZ, faceset.identity, manifest, entry, files)


def faceset_files(
    faceset: Faceset,
    *,
    manifest: bytes,
    top: int,
    picture: Callable[[ExportFace], Content],
    notes: Iterable[tuple[str, Content]] = (),
) -> Iterator[tuple[str, Content]]:
    """
    Yield the files of a faceset as (name, content), the manifest last.

    ``picture`` returns the finished PNG of a face. One bundle is written where both would hold the same faces.
    ``notes`` are for users.
    """
    file_of = {face.candidate.face.face_id: face_file(rank) for rank, face in enumerate(faceset.faces, start=1)}
    for face in faceset.faces:
        yield file_of[face.candidate.face.face_id], picture(face)
    names = bundle_names(faceset, top)
    best = picked(faceset, top, is_for_swapping=True)
    bundles = {names["top"]: best, names["all"]: faceset.swappable}
    for name, faces in bundles.items():
        if name is not None:
            yield name, partial(_write_bundle, [file_of[face.candidate.face.face_id] for face in faces])
    if faceset.folder is FacesetFolder.THIN:
        yield THIN_NOTE, thin_note(faceset)
    yield marker_name(faceset.label, faceset.name), marker(faceset)
    yield from notes
    yield MANIFEST, manifest


def _write_bundle(files: list[str], file: BinaryIO, read_back: ReadBack) -> None:
    write_bundle(file, (read_back(name) for name in files))
