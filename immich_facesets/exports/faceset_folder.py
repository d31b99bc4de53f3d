"""One faceset's directory: every file in it, in the order of writing."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import BinaryIO

from immich_facesets.exports.file_names import THIN_NOTE, marker_name
from immich_facesets.exports.fsz import write_bundle
from immich_facesets.exports.manifests import bundle_names, face_file, marker, thin_note
from immich_facesets.exports.requests import ExportRequest, Profile, picked
from immich_facesets.facesets.faceset import ExportFace, Faceset, Shelf

ReadBack = Callable[[str], bytes]
"""Returns the bytes of a file that was written before, by its name in the directory."""

Content = bytes | Callable[[BinaryIO, ReadBack], None]
"""
The bytes of a file, or a function that writes them into it: bundles of thousands of pictures are never held in memory.
"""


def faceset_files(
    faceset: Faceset,
    *,
    manifest: bytes,
    top: int,
    picture: Callable[[ExportFace], bytes],
    notes: Iterable[tuple[str, Content]] = (),
) -> Iterator[tuple[str, Content]]:
    """
    Yield the files of a faceset as (name, content), the manifest last.

    ``picture`` makes the finished PNG of a face; it is called once for each, in order. ``notes`` are for users.
    """
    file_of = {face.candidate.face.face_id: face_file(rank) for rank, face in enumerate(faceset.faces, start=1)}
    for face in faceset.faces:
        yield file_of[face.candidate.face.face_id], picture(face)
    names = bundle_names(faceset, top)
    for name, faces in (
        (names["top"], picked(faceset, ExportRequest(Profile.FSZ, top))),
        (names["all"], faceset.swappable),
    ):
        if name is not None:
            yield name, partial(_write_bundle, [file_of[face.candidate.face.face_id] for face in faces])
    if faceset.shelf is Shelf.THIN:
        yield THIN_NOTE, thin_note(faceset)
    yield marker_name(faceset.label, faceset.name), marker(faceset)
    yield from notes
    yield "manifest.json", manifest


def _write_bundle(files: list[str], file: BinaryIO, read_back: ReadBack) -> None:
    write_bundle(file, (read_back(name) for name in files))
