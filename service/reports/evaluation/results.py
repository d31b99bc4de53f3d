"""Results of an evaluation, as in ``evaluate --json`` and on its page."""

import msgspec

from immich_facesets.evaluation.confusions import Confusions
from immich_facesets.evaluation.metrics import CalibrationBin, Score, Strangers


class Rates(msgspec.Struct, frozen=True):
    """Precision, recall and F, in [0, 1]."""

    precision: float
    recall: float
    f: float

    @classmethod
    def of(cls, score: Score) -> "Rates":
        return cls(score.precision, score.recall, score.f)


class MethodScore(msgspec.Struct, frozen=True, kw_only=True):
    """
    Quality of a grouping.

    ``clusters``: number of clusters with labelled faces. ``strangers``: those in the sets large enough to be exported.
    """

    bcubed: Rates
    pairwise: Rates
    clusters: int
    strangers: Strangers


class MethodFindings(msgspec.Struct, frozen=True, kw_only=True):
    """
    Findings on one method.

    ``standing`` is None when it was left out, which ``setting`` then explains. ``confusions`` exist only for our own
    groupings; the examples in them are face ids.
    """

    name: str
    setting: str
    seconds: float | None = None
    standing: MethodScore | None = None
    confusions: Confusions | None = None
    calibration: tuple[CalibrationBin, ...] = ()


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of pairs of labelled faces by distance; ``cut``, ``match`` and ``merge`` are the distances in use."""

    edges: tuple[float, ...]
    same: tuple[int, ...]
    different: tuple[int, ...]
    cut: float
    match: float
    merge: float


class UnusedLabel(msgspec.Struct, frozen=True):
    """A label that was not used. ``line`` is its line in the file, 0 where there is none."""

    line: int
    reason: str


class ExampleFace(msgspec.Struct, frozen=True, kw_only=True):
    """Location of an example face. ``box``: x1, y1, x2, y2 in upright original pixels."""

    face_id: int
    source: str
    asset: str
    path: str
    box: tuple[float, float, float, float]


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """
    All findings.

    ``faces``: number in the library; ``labelled``: those with a known person; ``people``: number of these; ``source``:
    of the labels.
    """

    source: str
    space: str
    family: str
    faces: int
    labelled: int
    people: int
    min_pictures: int
    methods: tuple[MethodFindings, ...]
    histogram: Histogram
    unused: tuple[UnusedLabel, ...]
    examples: tuple[ExampleFace, ...]
