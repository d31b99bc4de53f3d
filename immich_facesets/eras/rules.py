"""The distances and sizes that eras are made by (PRODUCT 3.4)."""

from dataclasses import dataclass, field

from immich_facesets.faces import Gate
from immich_facesets.spaces import BUFFALO_L, OperatingPoints


@dataclass(frozen=True, slots=True)
class EraRules:
    """
    Distances of the buffalo_l space, and sizes. ``scaled`` gives the same rules for another space.

    ``recover``: candidates within it of the seed come in; ``tighten``: the gate after recentring; ``cluster``: the cut
    of sub-clusters; ``join``: a fragment and its nearest anchor, whose dominant years differ by ``max_years`` at most;
    ``min_anchor``: faces of an anchor, and of an era that is not thin; fewer than ``least_thin`` are no era: a burst, or
    an odd picture. An undated face joins when it is ``sure`` enough, see ``placing``.
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
        """The rules in proportion to the cut of a space's clusters."""
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
    def scale(self) -> float:
        """How much farther apart faces are than in the buffalo_l space."""
        return self.cluster / EraRules().cluster
