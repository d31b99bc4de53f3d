"""
The hard cases of the demo album, as every real album has them: what no program can tell, so that a person is asked.

Two sisters look alike. Immich knows the elder only, and takes the younger one for the elder once. Of a third person half
of the pictures show a muffler. Two more are one person to Immich. Two strangers are in a few pictures. One picture
shows a mirror.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from immich_facesets.synthetic import SITTERS, Pose, Sitter
from service.demo.album import SHAPES, Member, Shot, cast, plan_shots, side_by_side, standing

LEAST_PEOPLE, LEAST_PICTURES = 8, 100
"""The smallest album with hard cases: in it they are the smaller part."""

_SPELL = 7  # pictures of a person at one occasion: one more than an identity needs
_OF_STRANGER = 4  # pictures: fewer than an identity needs
_MUFFLED, _MIRRORS = 3, 2  # pictures

_WINTER, _SUMMER, _AUTUMN = (datetime(2023, month, 14, 10, tzinfo=UTC) for month in (1, 7, 10))
_PARK, _STREET, _ROOM, _KINDS = 9, 12, 5, 9  # seeds of backgrounds: every ninth is of one kind
_DAYS = 6  # of one occasion


@dataclass(frozen=True, slots=True)
class HardCases:
    """The people of the hard cases: ``one`` and ``another`` are one person to Immich."""

    elder: Member
    younger: Member
    wrapped: Member
    one: Member
    another: Member
    strangers: tuple[Member, Member]

    @property
    def people(self) -> tuple[Member, ...]:
        """Return those who count among the people of the album."""
        return (self.elder, self.wrapped, self.one, self.younger, self.another)

    @property
    def members(self) -> tuple[Member, ...]:
        return (*self.people, *self.strangers)


def plan_doubtful_album(
    people: int, pictures: int, users: Sequence[str], dice: np.random.Generator
) -> tuple[tuple[Member, ...], list[Shot]]:
    """
    Return the members and the planned pictures of an album with hard cases, oldest first.

    The person by the mirror has no name: beside a named one, loose faces would form an identity with the reflections.
    """
    cases = cast_hard_cases(users, dice)
    shown, unnamed, *others = cast(people - len(cases.people), users, dice, taken=cases.members)
    by_mirror = replace(unnamed, is_named=False)
    members = (shown, by_mirror, *others, *cases.members)
    shots = plan_hard_cases(cases, by_mirror, dice)
    shots += plan_shots(members, pictures - len(shots), users, dice)
    return members, sorted(shots, key=lambda shot: shot.taken_at)


def cast_hard_cases(users: Sequence[str], dice: np.random.Generator) -> HardCases:
    """Return people for the hard cases, who are in the first user's library or in the last one's."""
    seeds = dice.permutation(SITTERS)[:7].tolist()

    def member(place: int, born: int, user: str, *, is_kin: bool = False) -> Member:
        day = date(born, int(dice.integers(1, 13)), int(dice.integers(1, 28)))
        return Member(Sitter(seeds[place], is_kin), day, 0.0, frozenset({user}), is_named=True)

    return HardCases(
        elder=member(0, 1988, users[0], is_kin=True),
        younger=member(1, 1991, users[0], is_kin=True),
        wrapped=member(2, 1979, users[-1]),
        one=member(3, 1985, users[0]),
        another=member(4, 1983, users[0]),
        strangers=(member(5, 1975, users[-1]), member(6, 1994, users[-1])),
    )


def plan_hard_cases(cases: HardCases, by_mirror: Member, dice: np.random.Generator) -> list[Shot]:
    """Return the pictures of the hard cases. Two who are hard to tell apart are never side by side, which would settle it."""
    elder, younger, wrapped, one = cases.elder, cases.younger, cases.wrapped, cases.one
    first, second = cases.strangers
    shots = [_shot(_SUMMER, [(elder, elder), (one, one)], dice) for _ in range(_SPELL)]
    shots += [_shot(_AUTUMN, [(elder, elder)], dice) for _ in range(_SPELL)]
    shots += [_shot(_AUTUMN, [(younger, None), (cases.another, one)], dice) for _ in range(_SPELL)]
    shots += [_shot(_AUTUMN, [(younger, None)], dice) for _ in range(_SPELL)]
    shots += [_shot(_AUTUMN, [(younger, elder)], dice)]
    shots += [_shot(_WINTER, [(younger, None)], dice, has_muffler=True) for _ in range(_MUFFLED)]
    shots += [_shot(_SUMMER, [(wrapped, wrapped), (first, None)], dice) for _ in range(_OF_STRANGER)]
    shots += [_shot(_SUMMER, [(wrapped, wrapped)], dice) for _ in range(_SPELL - _OF_STRANGER)]
    shots += [_shot(_WINTER, [(wrapped, None), (second, None)], dice, has_muffler=True) for _ in range(_OF_STRANGER)]
    shots += [_shot(_WINTER, [(wrapped, None)], dice, has_muffler=True) for _ in range(_SPELL - _OF_STRANGER)]
    return [*shots, *(_shot_of_mirror(by_mirror, _SUMMER, dice) for _ in range(_MIRRORS))]


def _shot(
    day: datetime,
    shown: Sequence[tuple[Member, Member | None]],
    dice: np.random.Generator,
    *,
    has_muffler: bool = False,
) -> Shot:
    """
    Return a picture of people side by side, of whom the first may wear a muffler.

    ``shown``: each person, and whom Immich takes this one for.
    """
    taken_at, (width, height) = _moment(day, dice), SHAPES[0]
    background = (_PARK if day == _SUMMER else _STREET) + _KINDS * taken_at.day
    poses = side_by_side(len(shown), width, height, 0.0, dice)
    sitters = [
        (member.sitter, standing(replace(pose, blur=0.0, age=_age(member, taken_at)), height))
        for (member, _), pose in zip(shown, poses, strict=True)
    ]
    sitters[0] = (sitters[0][0], replace(sitters[0][1], has_muffler=has_muffler))
    taken_for = tuple(None if to is None else to.sitter for _, to in shown)
    return Shot(min(shown[0][0].users), taken_at, width, height, background, tuple(sitters), taken_for)


def _shot_of_mirror(member: Member, day: datetime, dice: np.random.Generator) -> Shot:
    """Return a picture of somebody and the reflection in a mirror on the wall behind."""
    taken_at, (width, height) = _moment(day, dice), SHAPES[0]
    pose = Pose(
        x=width * float(dice.uniform(0.6, 0.7)),
        y=height * 0.4,
        size=height * float(dice.uniform(0.16, 0.2)),
        yaw=-float(dice.uniform(12, 20)),
        age=_age(member, taken_at),
    )
    reflection = replace(
        pose, x=width * 0.25, y=height * 0.33, size=0.65 * pose.size, yaw=-0.8 * pose.yaw, is_reflection=True
    )
    sitters = ((member.sitter, reflection), (member.sitter, standing(pose, height)))
    return Shot(min(member.users), taken_at, width, height, _ROOM, sitters, (None, member.sitter))


def _moment(day: datetime, dice: np.random.Generator) -> datetime:
    return day + timedelta(days=int(dice.integers(_DAYS)), seconds=int(dice.integers(8 * 3600)))


def _age(member: Member, taken_at: datetime) -> float:
    return (taken_at.date() - member.born).days / 365.25
