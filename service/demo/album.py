"""The plan of the demo album: invented people, occasions over many years, and the poses in each picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from immich_facesets.synthetic import SITTERS, Pose, Sitter, standing_height

SHAPES = ((1600, 1200), (1600, 1200), (1600, 1200), (1200, 1600), (2400, 1800))
"""Upright widths and heights in pixels; the last is larger than a preview."""

_CLUMPS = ((2005, 2008), (2022, 2025))  # first and last year; the gap between them separates the eras
_OCCASIONS = 24


@dataclass(frozen=True, slots=True)
class Member:
    """
    One invented person: ``weight`` is the relative frequency in pictures, ``users`` own the libraries with it.

    ``is_named``: whether its users name it; None where that depends on its place.
    """

    sitter: Sitter
    born: date
    weight: float
    users: frozenset[str]
    is_named: bool | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """
    The plan of one picture. Sitters are ordered from back to front.

    ``taken_for``: for each of them the sitter that Immich takes it for, None for nobody; without these, chance decides.
    """

    user: str
    taken_at: datetime
    width: int
    height: int
    background: int
    sitters: tuple[tuple[Sitter, Pose], ...]
    taken_for: tuple[Sitter | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Occasion:
    day: datetime
    background: int
    light: float


def plan_album(
    people: int, pictures: int, users: Sequence[str], dice: np.random.Generator
) -> tuple[tuple[Member, ...], list[Shot]]:
    """Return the members and the planned pictures, oldest first."""
    members = cast(people, users, dice)
    return members, plan_shots(members, pictures, users, dice)


def cast(
    people: int, users: Sequence[str], dice: np.random.Generator, taken: Sequence[Member] = ()
) -> tuple[Member, ...]:
    """
    Return the members, most photographed first. Each user knows about two thirds of them, in overlapping windows.

    ``taken``: those whose sitters are left out.
    """
    others = {member.sitter.seed for member in taken}
    seeds = [seed for seed in dice.permutation(SITTERS).tolist() if seed not in others][:people]
    births = np.where(dice.random(people) < 0.3, dice.integers(2001, 2008, people), dice.integers(1945, 1990, people))
    known = min(people, math.ceil(people * 0.65)) if len(users) > 1 else people
    members = []
    for place, (seed, year) in enumerate(zip(seeds, births.tolist(), strict=True)):
        windows = [round(number * people / max(len(users), 1)) for number in range(len(users))]
        own = {user for user, start in zip(users, windows, strict=True) if (place - start) % people < known}
        born = date(year, int(dice.integers(1, 13)), int(dice.integers(1, 28)))
        members.append(Member(Sitter(seed), born, 1 / (1 + 0.35 * place), frozenset(own)))
    return tuple(members)


def plan_shots(members: Sequence[Member], pictures: int, users: Sequence[str], dice: np.random.Generator) -> list[Shot]:
    """Return the planned pictures, oldest first; about one in fifteen repeats another one two seconds later."""
    occasions = _occasions(dice)
    taken = {member.sitter.seed for member in members}
    strangers = [Sitter(seed) for seed in dice.permutation(SITTERS).tolist() if seed not in taken]
    shots: list[Shot] = []
    while len(shots) < pictures:
        if shots and dice.random() < 1 / 15:
            shots.append(_moment_later(shots[-1], dice))
            continue
        place = len(shots)
        user = users[int(dice.choice(len(users), p=_shares(len(users))))]
        occasion = occasions[int(dice.integers(len(occasions)))]
        circle = [
            member
            for member in members
            if user in member.users and member.weight > 0 and member.born < occasion.day.date()
        ]
        if circle:
            shots.append(_shot(user, circle, occasion, _stranger(strangers, place, dice), place, dice))
    return sorted(shots, key=lambda shot: shot.taken_at)


def _shares(users: int) -> list[float]:
    weights = [1 / (1 + 0.4 * number) for number in range(users)]
    return [weight / sum(weights) for weight in weights]


def _occasions(dice: np.random.Generator) -> list[_Occasion]:
    occasions = []
    for number in range(_OCCASIONS):
        first, last = _CLUMPS[number % len(_CLUMPS)]
        day = datetime(int(dice.integers(first, last + 1)), 1, 1, 10, tzinfo=UTC) + timedelta(
            days=int(dice.integers(0, 364))
        )
        light = float(dice.choice((-0.45, -0.15, 0.0, 0.0, 0.2, 0.5)))
        occasions.append(_Occasion(day, int(dice.integers(900)), light))
    return occasions


def _stranger(strangers: list[Sitter], place: int, dice: np.random.Generator) -> Sitter | None:
    """Return a passer-by for about one picture in six, else None; most appear once, some twice."""
    if dice.random() >= 0.16:
        return None
    return strangers[place // 2 if dice.random() < 0.4 else place + 1]


def _shot(
    user: str,
    circle: Sequence[Member],
    occasion: _Occasion,
    stranger: Sitter | None,
    place: int,
    dice: np.random.Generator,
) -> Shot:
    width, height = SHAPES[place % len(SHAPES)]
    weights = np.array([member.weight for member in circle])
    most = min(len(circle), 3 if width < height else 5)
    count = min(int(dice.choice((1, 2, 3, 4, 5), p=(0.4, 0.3, 0.15, 0.1, 0.05))), most)
    chosen = [circle[i] for i in dice.choice(len(circle), count, replace=False, p=weights / weights.sum()).tolist()]
    taken_at = occasion.day + timedelta(seconds=int(dice.integers(0, 8 * 3600)))
    sitters = [
        (member.sitter, standing(replace(pose, age=(taken_at.date() - member.born).days / 365.25), height))
        for member, pose in zip(chosen, side_by_side(count, width, height, occasion.light, dice), strict=True)
    ]
    passing = None if stranger is None else _passing(sitters[0][1], [pose for _, pose in sitters], width, height, dice)
    if stranger is not None and passing is not None:
        sitters.insert(0, (stranger, passing))
    return Shot(user, taken_at, width, height, occasion.background, tuple(sitters))


def side_by_side(count: int, width: int, height: int, light: float, dice: np.random.Generator) -> list[Pose]:
    """Return poses side by side, far enough apart that every face is visible."""
    room = width / count
    high = min(0.42 * room, 0.34 * height)
    low = max(0.45 * high, min(0.19 * room, 0.2 * height))
    poses = []
    for number in range(count):
        size = float(dice.uniform(low, high))
        slack = 0.5 * (room - 2.0 * size) if count > 1 else 0.2 * room
        blur = size / 45 if dice.random() < 0.05 else 0.0
        poses.append(
            Pose(
                x=room * (number + 0.5) + float(dice.uniform(-slack, slack)) * 0.6,
                y=height * float(dice.uniform(0.42, 0.52)) - 0.1 * size,
                size=size,
                roll=float(np.clip(dice.normal(0, 7), -22, 22)),
                yaw=float(np.clip(dice.normal(0, 12), -28, 28)),
                expression=float(np.clip(dice.normal(0.55, 0.35), -0.6, 1.0)),
                light=float(np.clip(light + dice.normal(0, 0.08), -1, 1)),
                blur=blur,
            )
        )
    return poses


def standing(pose: Pose, height: int) -> Pose:
    """Return the pose, moved down as far as needed for the feet to reach the ground."""
    ground = 0.87 * height - standing_height(pose.age) * pose.size
    return replace(pose, y=max(pose.y, ground))


def _passing(like: Pose, front: Sequence[Pose], width: int, height: int, dice: np.random.Generator) -> Pose | None:
    """Return a small pose in the background, in the same light, with a visible face; None without such a place."""
    size = float(dice.uniform(0.05, 0.1)) * min(width, height)
    for share in (0.06, 0.94, 0.5, 0.25, 0.75):
        x = share * (width - 3 * size) + 1.5 * size
        if all(abs(x - pose.x) > 1.4 * pose.size + 0.6 * size for pose in front):
            pose = replace(like, x=x, size=size, roll=0.0, yaw=float(dice.uniform(-20, 20)), age=40.0, blur=0.0)
            return standing(replace(pose, y=0.4 * height), height)
    return None


def _moment_later(shot: Shot, dice: np.random.Generator) -> Shot:
    """Return the next picture of a burst: two seconds later, in slightly changed poses."""
    moved = tuple(
        (sitter, replace(pose, x=pose.x + float(dice.uniform(-4, 4)), yaw=pose.yaw + float(dice.uniform(-0.5, 0.5))))
        for sitter, pose in shot.sitters
    )
    return replace(shot, taken_at=shot.taken_at + timedelta(seconds=2), sitters=moved)
