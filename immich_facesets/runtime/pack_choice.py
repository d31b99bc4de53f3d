"""The choice of the model pack: the one that the settings name, otherwise the best that is installed."""

from pathlib import Path

from immich_facesets.model_packs import BEST_FIRST, FREE_PACK, recogniser_family
from immich_facesets.runtime.model_folder import EXTRA_FOLDER, InstalledPack, find_pack, likely_recognisers, list_packs
from immich_facesets.spaces import OPERATING_POINTS


def choose_pack(models_dir: Path, named: str = "") -> InstalledPack:
    """
    Return the pack to use; a ``SetupError`` with instructions where there is none.

    Without a name, the known packs with measured distances come first, in the order of ``BEST_FIRST``. Others with known
    distances follow by name, because a person installed them on purpose. The free pack is the last.
    """
    if named:
        return find_pack(models_dir, named)
    usable = [
        pack for pack in list_packs(models_dir) if pack.name not in {FREE_PACK, EXTRA_FOLDER} and _has_distances(pack)
    ]
    ranks = {name: rank for rank, name in enumerate(BEST_FIRST)}
    best = min(usable, key=lambda pack: (ranks.get(pack.name, len(ranks)), pack.name), default=None)
    return best or find_pack(models_dir, FREE_PACK)


def _has_distances(pack: InstalledPack) -> bool:
    """Return whether a pack holds further files beside exactly one recogniser, whose operating points are known."""
    likely = {name.removesuffix(".onnx") for name in likely_recognisers(pack.files)}
    noted = {name for name in pack.notes.recognisers if f"{name}.onnx" in pack.files}
    match sorted(likely | noted):
        case [only] if len(pack.files) > 1:
            note = pack.notes.recognisers.get(only)
            family = recogniser_family(only)
            names = {note.family if note is not None else None, family.name if family is not None else None}
            return (note is not None and note.distances is not None) or not names.isdisjoint(OPERATING_POINTS)
        case _:
            return False
