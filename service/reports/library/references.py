"""The reference pictures of an identity, as the API shows them."""

from typing import Literal

from service.computation import compute
from service.files.references import ReferenceFolder
from service.store.database import Store
from service.store.reference_pictures import original_file
from service.store.references import StoredReference, references_of
from service.web.library import references as shown
from service.web.library.addresses import original_address, reference_address
from service.web.library.faces import Edges


class ReferenceReads:
    """The answers about reference pictures. ``base``: the base path of addresses."""

    def __init__(self, store: Store, folder: ReferenceFolder, base: str) -> None:
        self._store = store
        self._folder = folder
        self._base = base

    async def of_identity(self, number: int) -> shown.ReferencesAnswer:
        found = await self._store.read(references_of, number)
        return shown.ReferencesAnswer(references=tuple(self._shown(one) for one in found))

    async def original(self, reference_id: int) -> bytes | None:
        """Return the bytes that were sent; None where they were not kept, and for a picture that is not here."""
        file = await self._store.read(original_file, reference_id)
        return None if file is None else await compute(self._folder.read, file)

    def _shown(self, one: StoredReference) -> shown.ReferenceShown:
        kept, box = one.picture, one.picture.face.box
        state: Literal["used", "waiting", "asked"] = "asked" if one.is_open else "used" if one.is_used else "waiting"
        return shown.ReferenceShown(
            id=one.reference_id,
            identity=one.identity,
            rival=one.rival,
            state=state,
            sha256=kept.face.sha256,
            box=Edges(x1=box.x1, y1=box.y1, x2=box.x2, y2=box.y2),
            display=reference_address(self._base, kept.display),
            aligned=None if kept.aligned is None else reference_address(self._base, kept.aligned),
            original=None if kept.original is None else original_address(self._base, one.reference_id),
            made_at=one.made_at,
        )
