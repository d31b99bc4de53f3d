"""What an evaluation found, as ``evaluate --json`` and its page say it."""

import msgspec

from immich_facesets.evaluation.confusions import Confusions
from immich_facesets.evaluation.metrics import Said, Score, Strangers


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
    How good a grouping is. ``clusters``: over how many the labelled faces lie; ``strangers``: of the sets large enough
    to be exported.
    """

    bcubed: Rates
    pairwise: Rates
    clusters: int
    strangers: Strangers


class MethodFindings(msgspec.Struct, frozen=True, kw_only=True):
    """
    One method. ``standing`` is None when it was left out, which ``setting`` then explains. ``confusions`` are told of
    our own groupings only; the examples in them are ids of faces.
    """

    name: str
    setting: str
    seconds: float | None = None
    standing: MethodScore | None = None
    confusions: Confusions | None = None
    calibration: tuple[Said, ...] = ()


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How many pairs of labelled faces are how far apart; ``cut``, ``match`` and ``merge`` are the distances in use."""

    edges: tuple[float, ...]
    same: tuple[int, ...]
    different: tuple[int, ...]
    cut: float
    match: float
    merge: float


class UnusedLabel(msgspec.Struct, frozen=True):
    """A label that was not judged by. ``line`` is that of the file, 0 where there is none."""

    line: int
    reason: str


class ExampleFace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a face of an example is. ``box``: x1, y1, x2, y2 in upright original pixels."""

    face_id: int
    source: str
    asset: str
    path: str
    box: tuple[float, float, float, float]


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. ``faces``: of the library; ``labelled``: those whose ``people`` are known; ``source``: of the labels."""

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
