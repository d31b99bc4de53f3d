"""
Embedding spaces: which vectors may be compared, and at which distances.

A space is named by a hash over everything that affects a vector. Distances are cosine distances, and every family of
recognition models has its own thresholds: the table below is measured.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from immich_facesets.errors import SetupError


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """
    The threshold cosine distances of a space. Defaults: the buffalo_l space (docs/grouping.md).

    ``match``: a face joins a known identity. ``cluster``: the cut of average linkage. ``merge``: centroids of two
    clusters are one person. ``drop``: a face farther from its centroid leaves a new cluster, and the first pass over
    asserted faces; ``outlier``: the gate of an export, and the second pass over asserted faces. ``near``: two pictures
    of one moment (bursts, re-saves) that count once.
    """

    match: float = 0.45
    cluster: float = 0.55
    merge: float = 0.40
    drop: float = 0.55
    outlier: float = 0.45
    near: float = 0.05


BUFFALO_L = OperatingPoints()

OPERATING_POINTS: dict[str, OperatingPoints] = {
    "w600k_r50": BUFFALO_L,
    # Measured on LFW with these weights. cluster: average linkage is best at 0.65 (FAR 1e-4 of pairs lies at 0.69).
    # match: 99.6 % of faces lie within 0.55 of the centroid of their person's others, 3 of a million within that of
    # another person. merge: centroids of 3 faces of one person are at most 0.40 apart, of two persons at least 0.55.
    # drop, outlier: 99.9 % and 99.8 % of faces are nearer. near: turned and re-encoded copies stay within 0.03.
    "w600k_mbf": OperatingPoints(match=0.55, cluster=0.65, merge=0.50, drop=0.65, outlier=0.60, near=0.05),
    # Drawn faces of one person differ in a few numbers: without noise, a copy has the very vector of its original.
    # Measured on 330 labelled faces of 91 people (tests/bench/bench_free_pack.py): few, so each value is the careful one.
    # cluster: average linkage is best at 0.60; at 0.55 the false match rate of pairs is that of w600k_mbf at its own cut,
    # 2.2e-5, extrapolated from 1e-3 (0.650) and 1e-4 (0.592). match: 99 % of faces lie within 0.453 of the centroid of
    # their person's others, the nearest other person's at 0.537. merge: centroids of 3 faces of one person are at most
    # 0.34 apart, of two persons at least 0.59. near: 95 % of turned, reduced and re-encoded copies stay within 0.08.
    "face_recognition_sface": OperatingPoints(match=0.45, cluster=0.55, merge=0.42, drop=0.55, outlier=0.50, near=0.08),
    "synthetic": OperatingPoints(near=0.003),
}


def operating_points(family: str) -> OperatingPoints:
    """Return the measured points of a recogniser's family; ``SetupError`` with instructions for an unknown one."""
    try:
        return OPERATING_POINTS[family]
    except KeyError:
        known = ", ".join(sorted(OPERATING_POINTS))
        raise SetupError(
            f"no operating points are known for the recognition model {family!r} (known: {known}); "
            "measure them and set FACESETS_MATCH_DISTANCE, FACESETS_CLUSTER_DISTANCE, FACESETS_MERGE_DISTANCE, "
            "FACESETS_DROP_DISTANCE and FACESETS_OUTLIER_DISTANCE"
        ) from None


@dataclass(frozen=True, slots=True)
class SpaceRecogniser:
    """
    One recogniser of a space: the SHA-256 digest of its file, the normalisation of its input, ``(x - mean) / std``, and
    its share of the cosine similarity.
    """

    digest: str
    mean: float
    std: float
    weight: float = 1.0
    colours: str = "rgb"


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """
    All properties that affect a vector. Two vectors may be compared only when their spaces have the same ``name``.

    ``detector`` is the SHA-256 digest of its file; ``flip``: whether original and mirrored vectors are averaged;
    ``storage`` is the precision of stored vectors. Several ``recognisers`` make one space: their unit vectors are
    concatenated, each scaled by the square root of its weight. The cosine of two such vectors is then the weighted sum
    of the recognisers' cosines. The weights add up to 1.
    """

    detector: str
    recognisers: tuple[SpaceRecogniser, ...]
    alignment: str
    flip: bool
    storage: str = "float32"

    @property
    def name(self) -> str:
        """Return a stable 16-digit hexadecimal name."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
