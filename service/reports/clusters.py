"""
Raw clusters as folders of pictures, to inspect the clustering itself: a view, never state.

Each cluster is a folder, largest first. It holds links to (or copies of) files from folders, and face crops where the
originals are in Immich. The previous view is replaced whole; nothing is ever read back.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.errors import SetupError
from immich_facesets.exports.file_names import OURS, safe_name
from immich_facesets.exports.manifests import SCHEMA, json_bytes
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.imports.manifests import MANIFEST
from immich_facesets.runtime.file_modes import make_folder, private_opener
from service.files.durable import discard, disk_trouble, exchange, sync_folder, write_durably
from service.files.ownership import manifest_of, refuse_closed_folder
from service.reports.thumbnails import folder_file
from service.store.picture_copies import Copy, FaceCrop

How = Literal["links", "copies"]

KIND = "clusters"
SINGLETONS, NO_FACE = "_singletons", "_noface"
_PERSON = "person_"
_LONGEST_STEM = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One face of a cluster, or a picture without any.

    ``distance`` is to the cluster's mean. ``identity`` is the face's identity in the library, independent of the
    cluster.
    """

    sha256: str
    face: FaceCrop | None = None
    distance: float | None = None
    identity: int | None = None


@dataclass(frozen=True, slots=True)
class ClusterFolder:
    """One folder of the view."""

    name: str
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class ClusterView:
    """Content of the view. ``places``: by content; ``crops``: the folder that crop files are relative to."""

    space: str
    cut: float
    folders: tuple[ClusterFolder, ...]
    places: dict[str, list[Copy]] = field(repr=False)
    crops: Path


def cluster_faces(table: FaceTable, cut: float) -> list[tuple[tuple[int, float], ...]]:
    """
    Return the clusters of average linkage at ``cut``, as (face id, distance to the cluster's mean), nearest first.

    Largest cluster first, equal ones by content, so that face ids have no influence.
    """
    faces = table.in_order_of_content()
    parts = split_by(average_linkage(faces.vectors, cut))
    parts.sort(key=lambda rows: (-len(rows), rows[0]))
    return [_nearest_first(faces, rows) for rows in parts]


def folders_of(
    clusters: Sequence[Sequence[tuple[int, float]]],
    crops: dict[int, FaceCrop],
    identities: dict[int, int],
    faceless: Sequence[str],
) -> tuple[ClusterFolder, ...]:
    """Return the folders: one per cluster, then single faces, then pictures without a face."""
    seen = [
        tuple(Seen(crops[face].sha256, crops[face], distance, identities.get(face)) for face, distance in cluster)
        for cluster in clusters
    ]
    several = [one for one in seen if len(one) > 1]
    people = [ClusterFolder(f"{_PERSON}{number:03d}", one) for number, one in enumerate(several, start=1)]
    alone = tuple(one[0] for one in seen if len(one) == 1)
    return (*people, ClusterFolder(SINGLETONS, alone), ClusterFolder(NO_FACE, tuple(map(Seen, faceless))))


def check_target(target: Path, closed: Sequence[Path]) -> None:
    """Refuse a folder with foreign content, and one in or around ``closed`` ones: sources and the service's own folders."""
    refuse_closed_folder(target, closed)
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    manifest = manifest_of(target) if target.is_dir() else {}
    strangers = [] if not target.is_dir() else [path.name for path in target.iterdir() if not _is_own_name(path.name)]
    if manifest.get("kind") != KIND or manifest.get("schema") != SCHEMA or strangers:
        what = f" (it holds {strangers[0]})" if manifest and strangers else ""
        raise SetupError(
            f"{target} was not made by this command alone{what} and will not be replaced: name another folder"
        )


def write_view(target: Path, view: ClusterView, how: How) -> int:
    """
    Replace the previous view, at once for every reader; return the number of its files. Blocking.

    It shows faces, so only its owner can read it. A disk error raises a ``SetupError``, and the previous view stays.
    """
    target = target.resolve()
    draft = target.with_name(f"{OURS}draft-{target.name}")
    with disk_trouble(target):
        make_folder(target.parent)
        discard(draft)
        try:
            make_folder(draft)
            count = _fill(draft, view, how)
            _swap(draft, target)
        finally:
            discard(draft)
    return count


def _nearest_first(faces: FaceTable, rows: NDArray[np.intp]) -> tuple[tuple[int, float], ...]:
    checkpoint()
    mean = faces.vectors[rows].mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean)) or 1.0
    gaps = np.maximum(0.0, 1.0 - faces.vectors[rows] @ (mean / length))
    order = np.lexsort((rows, gaps))
    return tuple(zip(faces.face_ids[rows[order]].tolist(), gaps[order].tolist(), strict=True))


def _is_own_name(name: str) -> bool:
    return name in {MANIFEST, SINGLETONS, NO_FACE} or name.removeprefix(_PERSON).isdecimal()


def _fill(draft: Path, view: ClusterView, how: How) -> int:
    clusters: list[dict[str, Any]] = []
    count = 0
    for cluster in view.folders:
        folder = draft / cluster.name
        make_folder(folder)
        entries = list(_entries(folder, cluster, view, how))
        count += len({entry["file"] for entry in entries} - {None})
        clusters.append(
            {"name": cluster.name, "faces": sum(one.face is not None for one in cluster.seen), "seen": entries}
        )
    manifest = {"schema": SCHEMA, "kind": KIND, "space": view.space, "cut": view.cut, "how": how, "clusters": clusters}
    write_durably(draft / MANIFEST, json_bytes(manifest))
    sync_folder(draft)
    return count


def _entries(folder: Path, cluster: ClusterFolder, view: ClusterView, how: How) -> Iterator[dict[str, Any]]:
    """Write the files of one folder, and yield the manifest entry of each face with its file."""
    file_of: dict[Path, str] = {}
    for rank, one in enumerate(cluster.seen, start=1):
        checkpoint()
        places = view.places.get(one.sha256, [])
        file = None
        for source in _at_hand(one, places, view.crops):
            if source in file_of or _put(source, folder / (name := _name(rank, places, source)), how):
                file = file_of.setdefault(source, name)
                break
        box = None if one.face is None else one.face.box
        yield {
            "file": None if file is None else f"{cluster.name}/{file}",
            "sha256": one.sha256,
            "box": None if box is None else [round(edge, 2) for edge in (box.x1, box.y1, box.x2, box.y2)],
            "distance": None if one.distance is None else round(one.distance, 4),
            "identity": one.identity,
            "places": [{"source": copy.source, "asset_id": copy.asset_id, "path": copy.path} for copy in places],
        }


def _at_hand(one: Seen, places: Sequence[Copy], crops: Path) -> Iterator[Path]:
    """Return the files that can show a face, best first: the file of a folder, then the face's crop."""
    yield from (path for copy in places if (path := folder_file(copy)) is not None)
    if one.face is not None and one.face.file is not None:
        yield crops / one.face.file


def _name(rank: int, places: Sequence[Copy], source: Path) -> str:
    stem = safe_name(PurePosixPath(places[0].path).stem if places else "")[:_LONGEST_STEM].strip(". ")
    return f"{rank:04d}_{stem or 'picture'}{source.suffix.lower()}"


def _put(source: Path, path: Path, how: How) -> bool:
    """Link or copy a file; False when it is missing or unreadable."""
    if how == "copies":
        try:
            with source.open("rb") as content, open(path, "xb", opener=private_opener) as copy:
                shutil.copyfileobj(content, copy)
        except (FileNotFoundError, PermissionError):
            return False
        return True
    if not source.is_file():
        return False
    path.symlink_to(source.absolute())
    return True


def _swap(draft: Path, target: Path) -> None:
    """Put the draft in place; the previous view then has the draft's name, and is discarded."""
    if not target.exists():
        draft.rename(target)
    elif not exchange(draft, target):
        old = target.with_name(f"{OURS}old-{target.name}")
        discard(old)
        target.rename(old)
        draft.rename(target)
        discard(old)
    sync_folder(target.parent)
