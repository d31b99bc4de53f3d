"""The distances and sizes that define eras (docs/eras.md)."""

from dataclasses import dataclass, field

from immich_facesets.faces import Gate
from immich_facesets.spaces import BUFFALO_L, OperatingPoints


@dataclass(frozen=True, slots=True)
class EraRules:
    """
    Distances in the buffalo_l space, and sizes. ``scaled`` gives the same rules for another space.

    ``recover``: maximal distance of candidates from the seed; ``tighten``: maximal distance after recentring;
    ``cluster``: the cut of sub-clusters; ``join``: maximal distance of a fragment to its nearest anchor, whose dominant
    years differ by ``max_years`` at most; ``min_anchor``: least faces of an anchor, and of an era that is not thin.
    Fewer than ``least_thin`` faces are no era, but a burst or an odd picture. An undated face joins when its confidence
    is at least ``sure``, see ``undated``.
    """

    recover: float = 0.55
    tighten: float = 0.50
    cluster: float = 0.35
    join: float = 0.40
    near: float = 0.05
    max_years: int = 5
    min_anchor: int = 20
    least_thin: int = 5
    sure: float = 0.9
    gate: Gate = field(default_factory=lambda: Gate(face_short=100.0))

    @classmethod
    def scaled(cls, points: OperatingPoints, gate: Gate | None = None) -> "EraRules":
        """Return the rules in proportion to the cut of a space's clusters."""
        factor = points.cluster / BUFFALO_L.cluster
        plain = cls()
        return cls(
            recover=plain.recover * factor,
            tighten=plain.tighten * factor,
            cluster=plain.cluster * factor,
            join=plain.join * factor,
            near=points.near,
            gate=plain.gate if gate is None else gate,
        )

    @property
    def least_faces(self) -> int:
        """Return the least dated faces of two periods: an anchor, and a thin era."""
        return self.min_anchor + self.least_thin

    @property
    def scale(self) -> float:
        """Return the ratio of distances in this space to those in the buffalo_l space."""
        return self.cluster / EraRules().cluster
