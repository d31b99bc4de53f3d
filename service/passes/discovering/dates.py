"""The worth of the dates of listed assets, where the listing alone does not show it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from immich_facesets.assets import Asset
from immich_facesets.dates import DateKind
from immich_facesets.errors import ItemError, TransientError
from immich_facesets.listing import KnownAsset
from service.passes.context import PassContext
from service.passes.fan_out import QUESTIONS_AT_ONCE, each, fan_out
from service.remote.guard import CircuitOpenError
from service.sources import Source

_LOOKED_UP = (DateKind.FILE, DateKind.CAMERA)
"""The possible worth of a date that may be the file's, once it is looked up."""


async def with_dates(
    context: PassContext, source: Source, found: Sequence[Asset], known: Mapping[str, KnownAsset]
) -> tuple[Asset, ...] | None:
    """
    Return the assets with what their dates are worth; None when a stop left some open.

    A date that may be the file's is looked up for each asset that is new or changed. One that cannot be looked up
    stays open, and the next listing of the asset asks again.
    """
    kinds: dict[str, DateKind] = {}
    unclear: list[str] = []  # open until they are looked up
    for asset in found:
        before = known.get(asset.asset_id)
        if asset.date_kind is not DateKind.FILE:
            continue
        if before is not None and before.updated_at == asset.updated_at and before.date_kind in _LOOKED_UP:
            kinds[asset.asset_id] = before.date_kind
        else:
            unclear.append(asset.asset_id)
            kinds[asset.asset_id] = DateKind.OPEN

    async def look_up(asset_id: str) -> None:
        try:
            asset = await source.find(asset_id)
        except CircuitOpenError:
            raise
        except (ItemError, TransientError):
            return
        if asset is not None:
            kinds[asset_id] = asset.date_kind

    await fan_out(each(unclear), look_up, workers=QUESTIONS_AT_ONCE, stop=context.stop)
    if unclear and context.stop.is_set():
        return None
    return tuple(replace(asset, date_kind=kinds.get(asset.asset_id, asset.date_kind)) for asset in found)
