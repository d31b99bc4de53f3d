"""Where the bytes of one picture may be fetched now."""

from dataclasses import dataclass

from sqlalchemy import Connection, exists, select

from immich_facesets.assets import Asset
from service.store.assets import asset_from_row
from service.store.spaces import active_space
from service.store.tables import assets, contents, faces


@dataclass(frozen=True, slots=True)
class WholePicture:
    """A picture by the SHA-256 of its bytes, its upright size, and the assets that may give it now."""

    sha256: str
    width: int
    height: int
    places: tuple[Asset, ...]


def whole_picture(tx: Connection, sha256: str) -> WholePicture | None:
    """Return a picture with a face in the space in use; None for every other."""
    has_face = exists().where(faces.c.sha256 == contents.c.sha256, faces.c.space == (active_space(tx) or ""))
    content = tx.execute(select(contents).where(contents.c.sha256 == sha256, has_face)).first()
    if content is None:
        return None
    here = (assets.c.content == sha256, assets.c.is_gone.is_(False), assets.c.is_offline.is_(False))
    rows = tx.execute(select(assets).where(*here).order_by(assets.c.source, assets.c.asset_id))
    return WholePicture(sha256, content.width, content.height, tuple(asset_from_row(row) for row in rows))
