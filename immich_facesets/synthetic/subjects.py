"""The sitter and the pose of a picture: everything that is drawn follows from these two values."""

from dataclasses import dataclass

from immich_facesets.synthetic.head_geometry import Frame, half_sides
from immich_facesets.synthetic.identity_code import SITTERS


@dataclass(frozen=True, slots=True)
class Sitter:
    """
    One invented person. The whole look follows from ``seed`` (0 to 4095) and ``is_kin``.

    Those who are kin are of one family: they have one face and hair, and a pink gem, by which the engine knows them.
    """

    seed: int
    is_kin: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SITTERS:
            raise ValueError(f"a sitter's seed lies between 0 and {SITTERS - 1}, not {self.seed}")


@dataclass(frozen=True, slots=True)
class Pose:
    """
    The appearance of a sitter in one picture.

    ``x`` and ``y`` are the centre of the face box and ``size`` its short edge, in pixels. ``roll``
    (clockwise, within 25) and ``yaw`` (to the right of the picture, within 30) are degrees. ``expression`` runs from -1
    (sad) to 1 (laughing), ``light`` from -1 (blue dusk) to 1 (evening sun). ``age`` is in years, ``blur`` a sigma in
    pixels. A muffler (``has_muffler``) covers mouth and chin. ``is_reflection``: seen in a mirror, to be drawn upright.
    """

    x: float
    y: float
    size: float
    roll: float = 0.0
    yaw: float = 0.0
    expression: float = 0.4
    light: float = 0.0
    age: float = 35.0
    blur: float = 0.0
    has_muffler: bool = False
    is_reflection: bool = False

    def frame(self) -> Frame:
        return Frame(self.x, self.y, self.size / (2 * min(half_sides(self.roll))), self.roll)
