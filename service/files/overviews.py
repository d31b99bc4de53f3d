"""The files of the export folder that list people: its manifest, those of users, and ``identities.json``."""

from collections.abc import Collection

from immich_facesets.exports.identities_file import IDENTITIES, numbers_in
from immich_facesets.exports.manifest_entries import without_identities
from immich_facesets.imports.manifests import MANIFEST
from service.files.export_places import USERS_FOLDER
from service.files.export_tree import ExportTree
from service.files.ownership import object_in


def leave_out(tree: ExportTree, barred: Collection[int]) -> None:
    """
    Take the face sets of these identities out of the manifests, and remove ``identities.json`` where it names one. Blocks.

    The next publish writes that file again, without them.
    """
    if not barred:
        return
    for name in (MANIFEST, *(f"{USERS_FOLDER}/{user}/{MANIFEST}" for user in sorted(tree.users_on_disk()))):
        body = tree.read_file(name)
        if body is not None and (kept := without_identities(object_in(body), barred)) is not None:
            tree.write_file(name, kept)
    listed = tree.read_file(IDENTITIES)
    if listed is not None and not numbers_in(listed).isdisjoint(barred):
        tree.remove_file(IDENTITIES)
