"""The questions that follow from a grouping: its report names what is in doubt, and nothing is measured twice."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from immich_facesets.checkpoints import checkpoint
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.report import GroupingReport
from immich_facesets.review.evidence import Gallery
from immich_facesets.review.face_questions import (
    doubtful_faces,
    faces_between,
    impossible_members,
    put_back_members,
    second_faces,
    unexamined,
)
from immich_facesets.review.items import Item, rank
from immich_facesets.review.mixing import Parting
from immich_facesets.review.people_questions import mixed, nearly, pairs
from immich_facesets.review.reference_questions import OpenReference, reference_questions
from immich_facesets.review.settling import NOTHING_SETTLED, Settled
from immich_facesets.spaces import OperatingPoints

LEAST_PROBABILITY = 0.1
"""A question that is less likely than that to find a mistake is not asked."""


def find_items(
    report: GroupingReport,
    table: FaceTable,
    memberships: Mapping[int, int],
    *,
    points: OperatingPoints,
    parted: Mapping[int, Parting] = {},
    never_exported: Collection[int] = (),
    settled: Settled = NOTHING_SETTLED,
    stored: Mapping[str, Item] = {},
    references: Collection[OpenReference] = (),
) -> tuple[Item, ...]:
    """
    Return the questions that a finished grouping leaves, the most beneficial first.

    ``memberships``: as they are now; what no longer fits the report is left out. ``points``: the distances in use.
    ``parted``: the proposals for identities that seem to hold several people (`part_identities`).
    ``settled``: the decisions; what they settle is neither asked nor held against other questions. ``stored``: the items
    of before, by key. Their evidence is not chosen again while their basis is the same. Questions about faces of nobody stay where the report
    is of new faces alone; those about faces that an undo put back stay, because grouping leaves these where they are. ``references``: the reference pictures of nobody.
    """
    gallery, hidden = Gallery(table, memberships), frozenset(never_exported)
    divided = {item.identities[0]: item for item in mixed(gallery, parted) if not settled.leaves(item)}
    alike = {pair: item for pair, item in pairs(report, gallery, points).items() if not settled.leaves(item)}
    found = [*divided.values(), *nearly(report, gallery, stored), *reference_questions(references, gallery)]
    found += put_back_members(stored, gallery, settled.constraints.put_back)
    for item in (
        *alike.values(),
        *_of_faces(report, gallery, points, stored),
    ):  # an identity that is two people is asked about first, then a pair
        pair = None if item.face_id is None else alike.get((min(item.identities), max(item.identities)))
        found.append(_unless_settled(item, [pair, *map(divided.get, item.identities)]))
    rounded = (replace(item, probability=round(item.probability, 4)) for item in found)
    likely = (item for item in rounded if item.probability >= LEAST_PROBABILITY)
    once = {item.key: item for item in likely}.values()
    return tuple(sorted((_completed(item, gallery, hidden, stored, parted) for item in once), key=rank))


def _of_faces(
    report: GroupingReport, gallery: Gallery, points: OperatingPoints, stored: Mapping[str, Item]
) -> Collection[Item]:
    """Return the questions about single faces, one for each face: what is impossible before what is in doubt."""
    found = [*impossible_members(report, gallery), *second_faces(report, gallery), *faces_between(report, gallery)]
    found += doubtful_faces(report, gallery, points)
    found += unexamined(stored, gallery) if report.guardrails is None else ()
    return {item.key: item for item in reversed(found)}.values()


def _unless_settled(item: Item, settling: Iterable[Item | None]) -> Item:
    """Return a question with the probability that it remains when others are answered, which settle it where something is wrong."""
    for other in settling:
        if other is not None:
            item = replace(item, probability=item.probability * (1.0 - other.probability))
    return item


def _completed(
    item: Item,
    gallery: Gallery,
    hidden: frozenset[int],
    stored: Mapping[str, Item],
    parted: Mapping[int, Parting],
) -> Item:
    """Return an item with its basis, and with evidence unless the stored one holds."""
    checkpoint()
    basis = gallery.basis(item)
    is_exported = not item.identities or not hidden.issuperset(item.identities)
    item = replace(item, basis=basis, is_exported=is_exported, evidence=None)
    before = stored.get(item.key)
    if before is not None and (before.basis, before.identities, before.part) == (basis, item.identities, item.part):
        return item
    unclear = parted[item.identities[0]].unclear if item.kind == "mixed" else ()
    return replace(item, evidence=gallery.evidence(item, unclear))
