"""
Export artifacts: the directories of the export folder, each a face set, or a form of it or of a library for one reader.

Every artifact holds a manifest that names its files and all their inputs. Its digest therefore shows whether it must be
written again. All artifacts are planned, written, removed and recorded in one way.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from immich_facesets.exports import imagefolder, kohya, visomaster
from immich_facesets.exports.contact_sheet import SHEET, Thumbnail, draw_sheet
from immich_facesets.exports.faceset_folder import Content, ReadBack, faceset_files
from immich_facesets.exports.manifests import (
    NO_NOTES,
    SCHEMA,
    Json,
    face_entry,
    faceset_entry,
    faceset_manifest,
    json_bytes,
    years,
)
from immich_facesets.exports.npz import CACHE, Cache, columns, write_cache
from immich_facesets.exports.requests import FOLDERS, FOR_SWAPPING, ExportRequest, Profile, picked
from immich_facesets.exports.xmp import PictureRegions, sidecar
from immich_facesets.facesets.faceset import ExportFace, ExportRules, Faceset, Reason, Shelf, digest
from immich_facesets.facesets.preflight import as_json, look_over

MANIFEST, PREFLIGHT = "manifest.json", "preflight.json"

Draw = Callable[[ExportFace, int, int | None], bytes]
"""Returns the PNG of a face of an identity (its number), with sides of so many pixels, or at stored size."""

Files = Callable[[], Iterator[tuple[str, Content]]]


@dataclass(frozen=True, slots=True)
class ExportArtifact:
    """
    One directory. ``path`` is relative to the export folder; ``entry`` is the record kept in the store.

    ``identity`` is None for an artifact of a whole library. ``files`` makes the files anew, the manifest last.
    """

    path: str
    profile: Profile
    identity: int | None
    manifest: bytes = field(repr=False)
    entry: Json = field(repr=False)
    files: Files = field(repr=False, compare=False)

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def of_faceset(
    faceset: Faceset, *, space: str, rules: ExportRules, draw: Draw, thumbnail: Thumbnail, without_crop: int = 0
) -> ExportArtifact:
    """
    Return the face set itself: the profile ``fsz``. Candidates, which a moderator must review first, get no report.

    ``without_crop``: how many faces of the identity were too small to be cut out.
    """
    is_reported = faceset.shelf is not Shelf.CANDIDATES
    report = look_over(faceset, rules.top, without_crop=without_crop)
    told = json_bytes(as_json(faceset, report))
    notes = {PREFLIGHT: hashlib.sha256(told).hexdigest(), SHEET: None} if is_reported else NO_NOTES
    manifest = faceset_manifest(faceset, space=space, rules=rules, notes=notes)
    top = frozenset(face.candidate.face.face_id for face in picked(faceset, ExportRequest(Profile.FSZ, rules.top)))

    def for_people() -> Iterator[tuple[str, Content]]:
        if is_reported:
            yield PREFLIGHT, told
            yield SHEET, draw_sheet(faceset, top, report, thumbnail)

    def files() -> Iterator[tuple[str, Content]]:
        def picture(face: ExportFace) -> bytes:
            return draw(face, faceset.identity, None)

        return faceset_files(faceset, manifest=manifest, top=rules.top, picture=picture, notes=for_people())

    entry = faceset_entry(faceset, rules.top)
    return ExportArtifact(faceset.directory, Profile.FSZ, faceset.identity, manifest, entry, files)


def of_reader(
    faceset: Faceset,
    wish: ExportRequest,
    *,
    space: str,
    rules: ExportRules,
    draw: Draw,
    class_name: str = "",
    vectors: NDArray[np.float32] | None = None,
) -> ExportArtifact | None:
    """
    Return a face set in the form of one reader; None when no face of it is allowed in that form.

    ``class_name`` is the identity's, for imagefolder; ``vectors`` (n, 512) are those of the picked faces, for
    visomaster.
    """
    faces = picked(faceset, wish)
    if not faces:
        return None
    pixels = wish.pixels or rules.out_size
    leaf = class_name if wish.profile is Profile.IMAGEFOLDER else faceset.name
    named, notes = _layout(faceset, faces, wish, pixels, leaf, vectors)
    manifest = json_bytes(
        {
            "schema": SCHEMA,
            "name": leaf,
            "profile": str(wish.profile),
            "faceset": faceset.name,
            "identity": faceset.identity,
            "label": faceset.label,
            "era": years(faceset.era),
            "space": space,
            "settings": {"faces": wish.faces, "pixels": pixels, "out_size": rules.out_size, "pad": rules.pad_ratio},
            "bundles": {note: note for note in notes if "/" not in note},
            "notes": {note: hashlib.sha256(body).hexdigest() for note, body in notes.items()},
            "faces": [face_entry(rank, face, file) for rank, (face, file) in enumerate(named, start=1)],
            "left_out": _left_out(faceset, wish, len(faces)),
        }
    )

    def files() -> Iterator[tuple[str, Content]]:
        for face, file in named:
            if file is not None:
                yield file, draw(face, faceset.identity, wish.pixels)
        yield from notes.items()
        yield MANIFEST, manifest

    entry = _entry(wish.profile, faceset.identity, len(faces))
    return ExportArtifact(f"{FOLDERS[wish.profile]}/{leaf}", wish.profile, faceset.identity, manifest, entry, files)


def of_sidecars(
    user: str, folder: str, pictures: Mapping[str, PictureRegions], left_out: Mapping[str, int]
) -> ExportArtifact | None:
    """
    Return the XMP sidecars of a user's pictures, by file name relative to the user's ``folder``; None without any.

    The folders in it are those of the user's library, so that the tree can be copied over the library.
    """
    digests = {name: hashlib.sha256(sidecar(item)).hexdigest() for name, item in sorted(pictures.items())}
    if not digests:
        return None
    regions = sum(len(item.regions) for item in pictures.values())
    manifest = json_bytes(
        {
            "schema": SCHEMA,
            "name": folder,
            "profile": str(Profile.XMP),
            "user": user,
            "bundles": {},
            "faces": [{"file": name, "sha256": value} for name, value in digests.items()],
            "left_out": {reason: left_out[reason] for reason in sorted(left_out) if left_out[reason]},
        }
    )

    def files() -> Iterator[tuple[str, Content]]:
        for name in digests:
            yield name, sidecar(pictures[name])
        yield MANIFEST, manifest

    path = f"{FOLDERS[Profile.XMP]}/{folder}"
    return ExportArtifact(path, Profile.XMP, None, manifest, _entry(Profile.XMP, None, regions), files)


def of_cache(user: str, folder: str, cache: Cache, *, space: str) -> ExportArtifact | None:
    """Return the npz file of a user's faces; None when it has no picture."""
    if not (cache.rows or cache.empty):
        return None
    manifest = json_bytes(
        {
            "schema": SCHEMA,
            "name": folder,
            "profile": str(Profile.NPZ),
            "user": user,
            "space": space,
            "bundles": {"cache": CACHE},
            "faces": [],
            "rows": len(cache.rows),
            "pictures_without_a_face": len(cache.empty),
            "columns": {
                name: hashlib.sha256(np.ascontiguousarray(column).tobytes()).hexdigest()
                for name, column in columns(cache).items()
            },
        }
    )

    def files() -> Iterator[tuple[str, Content]]:
        yield CACHE, partial(_write_cache, cache)
        yield MANIFEST, manifest

    path = f"{FOLDERS[Profile.NPZ]}/{folder}"
    return ExportArtifact(path, Profile.NPZ, None, manifest, _entry(Profile.NPZ, None, len(cache.rows)), files)


def _layout(
    faceset: Faceset,
    faces: Sequence[ExportFace],
    wish: ExportRequest,
    pixels: int,
    leaf: str,
    vectors: NDArray[np.float32] | None,
) -> tuple[list[tuple[ExportFace, str | None]], dict[str, bytes]]:
    """Return the file of each face, or None, and the other files by name."""
    files = [f"{rank:04d}.png" for rank in range(1, len(faces) + 1)]
    match wish.profile:
        case Profile.KOHYA:
            inside = f"{kohya.PICTURES}/{kohya.folder(faceset, len(faces))}"
            captions = {f"{inside}/{file[:-4]}.txt": kohya.caption(faceset) for file in files}
            notes = captions | {kohya.CONFIG: kohya.config(faceset, len(faces), pixels)}
            return [(face, f"{inside}/{file}") for face, file in zip(faces, files, strict=True)], notes
        case Profile.IMAGEFOLDER:
            lines = imagefolder.metadata(faceset, leaf, dict(zip(files, faces, strict=True)))
            return list(zip(faces, files, strict=True)), {imagefolder.METADATA: lines}
        case Profile.VISOMASTER:
            if vectors is None or len(vectors) != len(faces):
                raise ValueError("visomaster needs the vector of every face")
            return [(face, None) for face in faces], {
                f"{faceset.name}.json": visomaster.embedding_file(faceset, vectors)
            }
        case Profile.FACEFUSION | Profile.PLAIN:
            return list(zip(faces, files, strict=True)), {}
        case _:
            raise ValueError(f"{wish.profile} is no form of one face set")


def _left_out(faceset: Faceset, wish: ExportRequest, count: int) -> dict[str, int]:
    """Return how many of the face set's faces are left out, by reason."""
    minors = sum(face.candidate.is_minor for face in faceset.faces) if wish.profile in FOR_SWAPPING else 0
    reasons = {str(Reason.MINOR): minors, "beyond_the_best": len(faceset.faces) - minors - count}
    return {reason: number for reason, number in reasons.items() if number}


def _entry(profile: Profile, identity: int | None, faces: int) -> Json:
    return {"profile": str(profile), "identity": identity, "faces": faces}


def _write_cache(cache: Cache, file: BinaryIO, _read_back: ReadBack) -> None:
    write_cache(file, cache)
