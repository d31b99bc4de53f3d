"""The hard cases of the demo album: grouping leaves each of them to a person, and takes no two people for one in silence."""

import functools
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pytest

from immich_facesets.faces import Box
from immich_facesets.grouping.face_table import Assertion, FaceTable
from immich_facesets.grouping.plan import plan_grouping
from immich_facesets.grouping.rules import GroupingRules
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.review.finding import find_items
from immich_facesets.review.items import Item
from immich_facesets.review.mixing import part_identities
from immich_facesets.spaces import operating_points
from immich_facesets.synthetic import Sitter, SyntheticFace, draw_picture, find_faces
from service.demo.album import Member, Shot, plan_shots
from service.demo.doubts import HardCases, cast_hard_cases, plan_hard_cases

USERS = ("anna", "ben")
REDUCED = 0.4  # scale of the pictures: small ones are drawn in no time


@dataclass(frozen=True)
class Reviewed:
    """A grouping of the hard cases: the sitter's seed and the identity of each face, and the questions."""

    cases: HardCases
    seeds: list[int]
    identities: list[int | None]
    items: tuple[Item, ...]

    def identities_of(self, *members: Member) -> Counter[int | None]:
        seeds = {member.sitter.seed for member in members}
        return Counter(own for seed, own in zip(self.seeds, self.identities, strict=True) if seed in seeds)

    def pairs(self) -> set[tuple[int, ...]]:
        return {item.identities for item in self.items if item.kind == "merge"}


def found_in(shot: Shot) -> list[tuple[SyntheticFace, Sitter | None]]:
    """The faces of a reduced picture, each with the sitter whom Immich takes it for."""
    small = [
        (sitter, replace(pose, x=REDUCED * pose.x, y=REDUCED * pose.y, size=REDUCED * pose.size))
        for sitter, pose in shot.sitters
    ]
    rgb, boxes = draw_picture(round(REDUCED * shot.width), round(REDUCED * shot.height), small, shot.background)
    faces = find_faces(rgb)
    assert len(faces) == len(boxes)
    taken_for = shot.taken_for or (None,) * len(boxes)

    def place(box: Box) -> int:
        return max(range(len(boxes)), key=lambda at: boxes[at].iou(box))

    return [(face, taken_for[place(face.box)]) for face in faces]


@functools.cache
def reviewed(seed: int) -> Reviewed:
    dice = np.random.default_rng(seed)
    cases = cast_hard_cases(USERS, dice)
    by_mirror = Member(Sitter(5), date(1970, 1, 1), 1.0, frozenset(USERS))
    shots = plan_hard_cases(cases, by_mirror, dice) + plan_shots([by_mirror], 9, USERS, dice)
    faces = [(place, shot, *found) for place, shot in enumerate(shots) for found in found_in(shot)]
    table = face_table([(face, place, shot) for place, shot, face, _ in faces])
    asserted: dict[Sitter, list[int]] = {}
    for row, (*_, to) in enumerate(faces):
        if to is not None and to != by_mirror.sitter:  # no user named that one
            asserted.setdefault(to, []).append(row)
    points, rules = operating_points("synthetic"), GroupingRules(min_faces=6)
    plan = plan_grouping(
        table,
        memberships={},
        known=(),
        assertions=[Assertion("anna", f"{to.seed}", f"{to.seed}", tuple(rows)) for to, rows in asserted.items()],
        constraints=Constraints(),
        thresholds=points,
        rules=rules,
        next_number=1,
    )
    own = {join.face_id: join.identity for join in plan.joins}
    parted = part_identities(table, own, points=points, rules=rules)
    items = find_items(plan.report, table, own, points=points, parted=parted)
    return Reviewed(cases, [face.seed for *_, face, _ in faces], [own.get(row) for row in range(len(faces))], items)


def face_table(found: list[tuple[SyntheticFace, int, Shot]]) -> FaceTable:
    """Clear faces of the synthetic space."""
    one = np.ones(len(found), dtype=np.float32)
    return FaceTable(
        face_ids=np.arange(len(found)),
        vectors=np.array([face.embedding for face, _, _ in found]),
        pictures=np.array([place for _, place, _ in found]),
        face_short=300 * one,
        blur=300 * one,
        det_score=0.9 * one,
        light=one,
        taken=np.array([shot.taken_at.timestamp() / 86400 for *_, shot in found]),
        yaw=np.nan * one,
        quality=np.nan * one,
    )


def test_the_queue_has_questions_of_every_kind() -> None:
    queue = reviewed(7)
    kinds = Counter(item.kind for item in queue.items)
    assert kinds.keys() == {"merge", "mixed", "member", "ambiguous", "nearly"}
    assert 8 <= kinds.total() <= 20
    (muffled, _), (plain, _) = queue.identities_of(queue.cases.wrapped).most_common()
    assert muffled is not None
    assert plain is not None
    assert (min(muffled, plain), max(muffled, plain)) in queue.pairs()  # one person, left in two identities


@pytest.mark.parametrize("seed", [7, 1])
def test_sisters_are_two_identities_and_a_question(seed: int) -> None:
    queue = reviewed(seed)
    elder, younger = (queue.identities_of(one) for one in (queue.cases.elder, queue.cases.younger))
    ((own, _),) = elder.items()
    (other, faces), *mistaken = younger.most_common()
    assert own is not None
    assert other not in (own, None)
    assert mistaken == [(own, 1)]
    assert faces == younger.total() - 1
    assert tuple(sorted((own, other or 0))) in queue.pairs()


def test_two_who_are_hard_to_tell_apart_are_in_no_picture_together() -> None:
    dice = np.random.default_rng(3)
    cases = cast_hard_cases(USERS, dice)
    somebody = Member(Sitter(5), date(1970, 1, 1), 1.0, frozenset(USERS))
    shots = plan_hard_cases(cases, somebody, dice)
    for shot in shots:
        shown = {sitter for sitter, _ in shot.sitters}
        assert not {cases.elder.sitter, cases.younger.sitter} <= shown
        assert not {cases.one.sitter, cases.another.sitter} <= shown
