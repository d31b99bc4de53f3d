"""The changes that a grouping makes, as values: what the store has to write."""

from dataclasses import dataclass

from immich_facesets.assets import PersonKey
from immich_facesets.grouping.identities import Origin
from immich_facesets.grouping.report import GroupingReport
from immich_facesets.grouping.state import How


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """An identity to create; its ``people`` are also among the plan's links."""

    number: int
    origin: Origin
    people: frozenset[PersonKey]


@dataclass(frozen=True, slots=True)
class Join:
    """
    A face that becomes a member of an identity, and of no other; ``distance`` is to what it was compared with.

    ``confidence``: in [0, 1], that the membership is right. It is None where a user decided, or where the identity has
    no other face to compare with.
    """

    face_id: int
    identity: int
    distance: float
    how: How
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An attachment of a source's person to an identity."""

    source: str
    person_id: str
    identity: int


@dataclass(frozen=True, slots=True)
class Naming:
    """The person whose name an identity shows from now on."""

    identity: int
    source: str
    person_id: str


@dataclass(frozen=True, slots=True)
class Carried:
    """A membership from before: in another space, or before the picture was absent; and how the face got it."""

    identity: int
    how: How


@dataclass(frozen=True, slots=True)
class Former:
    """A face, and the dissolved identity of which it was a member."""

    face_id: int
    identity: int


@dataclass(frozen=True, slots=True)
class GroupingPlan:
    """
    The changes: first create ``new``, then drop ``leaves`` (face ids), then add ``joins``, set ``links`` and ``namings``.

    ``absorbed``: (number, number of the identity that took over all of it); what else is known of it follows.
    ``dissolved``: the members of identities that end because they do not hold by the present rules.
    """

    new: tuple[NewIdentity, ...]
    joins: tuple[Join, ...]
    leaves: tuple[int, ...]
    links: tuple[Link, ...]
    report: GroupingReport
    namings: tuple[Naming, ...] = ()
    absorbed: tuple[tuple[int, int], ...] = ()
    dissolved: tuple[Former, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.new or self.joins or self.leaves or self.links or self.namings or self.absorbed)
