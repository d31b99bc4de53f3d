"""``identities.json`` in the export folder: every identity that may be named there."""

from immich_facesets.exports.identities_file import IDENTITIES, numbers_in
from service.computation import compute
from service.files.export_tree import ExportTree
from service.store.browsing.identity_records import read_identities
from service.store.database import Store
from service.store.export_folder import barred_identities

_TRIES = 3


async def write_identities_file(store: Store, tree: ExportTree) -> bool:
    """
    Write the file where it differs; return whether it was written.

    It is read outside of the folder's turn, because that takes seconds in a large library. Where somebody in it was barred
    from export meanwhile, it is read again; the next publish writes it where that does not end.
    """
    for _ in range(_TRIES):
        body = (await store.read(read_identities, {}, for_export=True)).body
        named = await compute(numbers_in, body)
        async with tree.turn:
            if not named & await store.read(barred_identities):
                return await compute(tree.write_file, IDENTITIES, body)
    return False
