"""
The model packs we know: what is in them, whose they are, and how their recognisers want their input.

A pack is a folder of ONNX files in insightface's layout. Its files are told apart by what they take and give, not by
name; only a recogniser must be *known* by name, because its operating points are measured per family (``spaces``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NON_COMMERCIAL = "insightface: for non-commercial research purposes only"
IDIAP = "Idiap EdgeFace: BSD-3-Clause code; the weights keep the terms of the place they came from"
UNKNOWN_LICENCE = "unknown: ask whoever gave you these files"


@dataclass(frozen=True, slots=True)
class RecogniserFamily:
    """
    Recognisers whose vectors are distributed alike, so that one set of operating points fits them.

    ``mean`` and ``std`` normalise the RGB input: ``(x - mean) / std``; ``dimension`` is the length of a vector, ``side``
    that of the input in pixels, where the model itself leaves it open.
    """

    name: str
    dimension: int
    mean: float
    std: float
    licence: str
    side: int = 112


@dataclass(frozen=True, slots=True)
class Pack:
    """A published pack: its files as published, the two that we use first."""

    name: str
    detector: str
    recogniser: str
    licence: str
    others: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return (self.detector, self.recogniser, *self.others)


def _families(*families: RecogniserFamily) -> Mapping[str, RecogniserFamily]:
    return MappingProxyType({family.name: family for family in families})


def _packs(*packs: Pack) -> Mapping[str, Pack]:
    return MappingProxyType({pack.name: pack for pack in packs})


RECOGNISERS = _families(
    RecogniserFamily("w600k_r50", 512, 127.5, 127.5, NON_COMMERCIAL),
    RecogniserFamily("w600k_mbf", 512, 127.5, 127.5, NON_COMMERCIAL),
    RecogniserFamily("glintr100", 512, 127.5, 127.5, NON_COMMERCIAL),
    RecogniserFamily("edgeface_base", 512, 127.5, 127.5, IDIAP),
    RecogniserFamily("edgeface_s", 512, 127.5, 127.5, IDIAP),
    RecogniserFamily("edgeface_xs", 512, 127.5, 127.5, IDIAP),
    RecogniserFamily("edgeface_xxs", 512, 127.5, 127.5, IDIAP),
)

_EXTRAS = ("1k3d68.onnx", "2d106det.onnx", "genderage.onnx")

PACKS = _packs(
    Pack("buffalo_l", "det_10g.onnx", "w600k_r50.onnx", NON_COMMERCIAL, _EXTRAS),
    Pack("buffalo_m", "det_2.5g.onnx", "w600k_r50.onnx", NON_COMMERCIAL, _EXTRAS),
    Pack("buffalo_s", "det_500m.onnx", "w600k_mbf.onnx", NON_COMMERCIAL, _EXTRAS),
    Pack("buffalo_sc", "det_500m.onnx", "w600k_mbf.onnx", NON_COMMERCIAL),
    Pack("antelopev2", "scrfd_10g_bnkps.onnx", "glintr100.onnx", NON_COMMERCIAL, _EXTRAS),
)


def recogniser_family(file_name: str) -> RecogniserFamily | None:
    """
    The family of a recogniser by its file's name: ``w600k_mbf.onnx``, but also ``w600k_mbf_int8.onnx``; None if unknown.

    A variant gives other vectors, hence another space (its digest differs), but at the same distances.
    """
    stem = file_name.lower().removesuffix(".onnx")
    fitting = (name for name in RECOGNISERS if stem == name or stem.startswith((f"{name}_", f"{name}-", f"{name}.")))
    name = max(fitting, key=len, default=None)
    return None if name is None else RECOGNISERS[name]


def pack_licence(pack: str, recogniser: str | None = None) -> str:
    """The terms of a pack, or of its recogniser when the pack itself is not one we know."""
    if pack in PACKS:
        return PACKS[pack].licence
    family = None if recogniser is None else recogniser_family(recogniser)
    return UNKNOWN_LICENCE if family is None else family.licence
