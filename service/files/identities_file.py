"""``identities.json`` in the export folder: people barred from export must not stand in it."""

from collections.abc import Collection

from immich_facesets.exports.identities_file import IDENTITIES, numbers_in
from service.files.export_tree import ExportTree


def remove_where_named(tree: ExportTree, barred: Collection[int]) -> bool:
    """
    Remove the file where it names one of these identities; return whether it did. Blocks.

    The next publish writes it again, without them.
    """
    body = tree.read_file(IDENTITIES) if barred else None
    return body is not None and not numbers_in(body).isdisjoint(barred) and tree.remove_file(IDENTITIES)
