"""Whether a picture and its crops are there, and where its bytes may be fetched now."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, exists, select

from immich_facesets.assets import Asset
from service.store.assets import asset_from_row
from service.store.spaces import active_space
from service.store.tables import assets, contents, crops, faces


@dataclass(frozen=True, slots=True)
class WholePicture:
    """A picture by the SHA-256 of its bytes, its upright size, and the assets that may give it now."""

    sha256: str
    width: int
    height: int
    places: tuple[Asset, ...]


def whole_picture(tx: Connection, sha256: str, source: str | None = None) -> WholePicture | None:
    """
    Return a picture with a face in the space in use; None for every other.

    With ``source``, the assets of that source alone are its places: others may have the same bytes.
    """
    content = tx.execute(_picture(tx, sha256)).first()
    if content is None:
        return None
    here = [assets.c.content == sha256, assets.c.is_gone.is_(False), assets.c.is_offline.is_(False)]
    if source is not None:
        here.append(assets.c.source == source)
    rows = tx.execute(select(assets).where(*here).order_by(assets.c.source, assets.c.asset_id))
    return WholePicture(sha256, content.width, content.height, tuple(asset_from_row(row) for row in rows))


def has_picture(tx: Connection, sha256: str) -> bool:
    """Return whether there is a picture of these bytes with a face in the space in use."""
    return tx.execute(_picture(tx, sha256)).first() is not None


def has_crop(tx: Connection, sha256: str, name: str) -> bool:
    """Return whether a file of this name, without its folder, is the crop of a face in a picture, in the space in use."""
    files = select(crops.c.file).join(faces, faces.c.face_id == crops.c.face_id)
    found = tx.scalars(files.where(faces.c.sha256 == sha256, faces.c.space == (active_space(tx) or "")))
    return any(file.rpartition("/")[2] == name for file in found)


def _picture(tx: Connection, sha256: str) -> Select[Any]:
    has_face = exists().where(faces.c.sha256 == contents.c.sha256, faces.c.space == (active_space(tx) or ""))
    return select(contents).where(contents.c.sha256 == sha256, has_face)
