"""Whose life the demonstration shows: invented people, occasions over many years, and who stood where in each picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from immich_facesets.synthetic import SITTERS, Pose, Sitter

SHAPES = ((1600, 1200), (1600, 1200), (1600, 1200), (1200, 1600), (2400, 1800))
"""Upright widths and heights; the last is larger than a preview."""

_CLUMPS = ((2006, 2010), (2014, 2017), (2022, 2025))  # first and last year: gaps between them are what eras are cut at
_OCCASIONS = 24


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of the circle: ``weight`` says how often she is in a picture, ``users`` in whose libraries."""

    sitter: Sitter
    born: date
    weight: float
    users: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture before it is drawn. Sitters are ordered from back to front."""

    user: str
    taken_at: datetime
    width: int
    height: int
    background: int
    sitters: tuple[tuple[Sitter, Pose], ...]


@dataclass(frozen=True, slots=True)
class _Occasion:
    day: datetime
    background: int
    light: float


def cast(people: int, users: Sequence[str], dice: np.random.Generator) -> tuple[Member, ...]:
    """The circle, most photographed first. Each user knows about two thirds of it, in a window that overlaps the next."""
    seeds = dice.permutation(SITTERS)[:people].tolist()
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
    """The pictures, oldest first; about one in fifteen is followed by its like, two seconds later."""
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
        circle = [member for member in members if user in member.users]
        stranger = _stranger(strangers, place, dice)
        shots.append(_shot(user, circle, occasions[int(dice.integers(len(occasions)))], stranger, place, dice))
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
    """Now and then somebody who walks by: most of them once, some twice."""
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
        (member.sitter, replace(pose, age=(taken_at.date() - member.born).days / 365.25))
        for member, pose in zip(chosen, _places(count, width, height, occasion.light, dice), strict=True)
    ]
    if stranger is not None and count <= 2:
        sitters.insert(0, (stranger, _passing(sitters[0][1], width, height, dice)))
    return Shot(user, taken_at, width, height, occasion.background, tuple(sitters))


def _places(count: int, width: int, height: int, light: float, dice: np.random.Generator) -> list[Pose]:
    """Side by side, far enough apart that nobody hides anybody's face."""
    room = width / count
    low, high = min(0.19 * room, 0.2 * height), min(0.42 * room, 0.34 * height)
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


def _passing(front: Pose, width: int, height: int, dice: np.random.Generator) -> Pose:
    """Somebody small at the far edge, away from the first of those in front."""
    size = float(dice.uniform(0.05, 0.1)) * min(width, height)
    x = 1.6 * size if front.x > width / 2 else width - 1.6 * size
    return replace(
        front, x=x, y=height * 0.4, size=size, roll=0.0, yaw=float(dice.uniform(-20, 20)), age=40.0, blur=0.0
    )


def _moment_later(shot: Shot, dice: np.random.Generator) -> Shot:
    """The next picture of a burst."""
    moved = tuple(
        (sitter, replace(pose, x=pose.x + float(dice.uniform(-4, 4)), yaw=pose.yaw + float(dice.uniform(-0.5, 0.5))))
        for sitter, pose in shot.sitters
    )
    return replace(shot, taken_at=shot.taken_at + timedelta(seconds=2), sitters=moved)
