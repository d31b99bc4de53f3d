"""The manifests of each user and of the whole export folder."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from immich_facesets.exports.file_names import user_directories
from immich_facesets.exports.manifest_entries import entries_of, user_manifest_with
from immich_facesets.exports.manifests import (
    Json,
    faceset_entry,
    top_manifest,
    user_manifest,
)
from immich_facesets.facesets.faceset import Faceset, FacesetFolder, Place
from immich_facesets.imports.manifests import MANIFEST
from service.files.export_places import USERS_FOLDER
from service.files.export_tree import ExportTree
from service.files.ownership import object_in


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """Facts of the top manifest: the space, how many faces the small bundles take, and the current time."""

    space: str
    top: int
    now: datetime


def write_overviews(tree: ExportTree, known: Collection[str], facesets: Sequence[Faceset], about: FolderFacts) -> None:
    """
    Write the manifests of all users and of the whole folder; unchanged ones are left as they are.

    ``known``: the users who each get a manifest, even an empty one. Blocking: a manifest lists all pictures of a user.
    """
    users = sorted({*known, *(place.user for place in _all_places(facesets))})
    directories = user_directories(users)
    for former in sorted(tree.users_on_disk() - set(directories.values())):  # of a user with a new name
        tree.remove_directory(f"{USERS_FOLDER}/{former}")
    for user, folder in directories.items():
        tree.write_file(f"{USERS_FOLDER}/{folder}/{MANIFEST}", user_manifest(user, facesets))
    entries = [faceset_entry(faceset, about.top) for faceset in facesets]
    body = top_manifest(entries, space=about.space, now=about.now, previous=tree.read_file(MANIFEST))
    tree.write_file(MANIFEST, body)


def write_overviews_with(
    tree: ExportTree, known: Collection[str], facesets: Sequence[Faceset], people: Collection[int], about: FolderFacts
) -> None:
    """
    Write the manifests of users and of the whole folder after an export of some ``people`` alone.

    These face sets take the place of all entries of these people. The entries of others, and of faces for review, stay as
    they are. Blocking.
    """
    previous = tree.read_file(MANIFEST)
    kept = [one for one in entries_of(object_in(previous or b"{}")) if not _is_replaced(one, people)]
    entries = [*kept, *(faceset_entry(faceset, about.top) for faceset in facesets)]
    before = {
        str(manifest.get("user")): (folder, manifest)
        for folder in sorted(tree.users_on_disk())
        if (manifest := object_in(tree.read_file(f"{USERS_FOLDER}/{folder}/{MANIFEST}") or b"{}"))
    }
    users = sorted({*before, *(place.user for place in _all_places(facesets))})
    directories = user_directories({*known, *users})
    for user in users:
        folder, manifest = before.get(user, (directories[user], {}))
        body = user_manifest_with(user, facesets, people, manifest)
        tree.write_file(f"{USERS_FOLDER}/{folder}/{MANIFEST}", body)
    tree.write_file(MANIFEST, top_manifest(entries, space=about.space, now=about.now, previous=previous))


def _is_replaced(entry: Json, people: Collection[int]) -> bool:
    is_for_review = str(entry["directory"]).rpartition("/")[0] == FacesetFolder.CANDIDATES
    return entry["identity"] in people and not is_for_review


def _all_places(facesets: Sequence[Faceset]) -> Iterator[Place]:
    for faceset in facesets:
        for face in faceset.faces:
            yield from face.candidate.places
