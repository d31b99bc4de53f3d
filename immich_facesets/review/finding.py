"""The questions that follow from a grouping: its report names what is in doubt, and nothing is measured twice."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from immich_facesets.checkpoints import checkpoint
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.report import GroupingReport
from immich_facesets.review.evidence import Gallery
from immich_facesets.review.items import Item, Reason, rank
from immich_facesets.review.probability import ONE_OF_TWO, OVERLAPPING, one_person
from immich_facesets.spaces import OperatingPoints

LEAST_PROBABILITY = 0.1
"""A question that is less likely than that to find a mistake is not asked."""


def find_items(
    report: GroupingReport,
    table: FaceTable,
    memberships: Mapping[int, int],
    *,
    points: OperatingPoints,
    never_exported: Collection[int] = (),
    parted: Collection[tuple[int, int]] = (),
    stored: Mapping[str, Item] = {},
) -> tuple[Item, ...]:
    """
    Return the questions that a finished grouping leaves, the most beneficial first.

    ``memberships``: as they are now; what no longer fits the report is left out. ``points``: the distances in use.
    ``parted``: pairs of which a moderator moved faces from one to the other. ``stored``: the items of before, by key.
    Their evidence is not chosen again while their basis is the same. Questions about faces of nobody stay where the report
    is of new faces alone.
    """
    gallery, hidden = Gallery(table, memberships), frozenset(never_exported)
    pairs = {pair: item for pair, item in _pairs(report, gallery, points).items() if pair not in parted}
    of_faces = [*_members(report, gallery, points), *_ambiguous(report, gallery)]
    if report.guardrails is None:
        of_faces += _unexamined(stored, gallery, {item.key for item in of_faces})
    found = [*pairs.values(), *(_unless_merged(item, pairs) for item in of_faces)]
    rounded = (replace(item, probability=round(item.probability, 4)) for item in found)
    likely = (item for item in rounded if item.probability >= LEAST_PROBABILITY)
    return tuple(sorted((_completed(item, gallery, hidden, stored) for item in likely), key=rank))


def _pairs(report: GroupingReport, gallery: Gallery, points: OperatingPoints) -> dict[tuple[int, int], Item]:
    """Return the questions whether two identities are one person, by pair."""
    found = {
        (one.identity, one.other): _of_pair((one.identity, one.other), OVERLAPPING, gallery, "overlapping")
        for one in report.overlaps
    }
    for one in report.suggested_merges:
        pair, probability = (one.identity, one.other), one_person(one.reach, one.excess, points.cluster)
        if pair not in found or probability > OVERLAPPING:
            found[pair] = _of_pair(pair, probability, gallery, "alike")
    return {pair: item for pair, item in found.items() if min(item.faces)}


def _of_pair(pair: tuple[int, int], probability: float, gallery: Gallery, reason: Reason) -> Item:
    faces = tuple(map(gallery.size, pair))
    return Item(kind="merge", reason=reason, identities=pair, faces=faces, probability=probability, settles=min(faces))


def _unless_merged(item: Item, pairs: Mapping[tuple[int, int], Item]) -> Item:
    """Return a question about a face with the probability that it remains: not if its two identities are one person."""
    pair = pairs.get((min(item.identities), max(item.identities)))
    return item if pair is None else replace(item, probability=item.probability * (1.0 - pair.probability))


def _members(report: GroupingReport, gallery: Gallery, points: OperatingPoints) -> Iterator[Item]:
    """Yield the doubtful members, but those between two identities, and those that their owner moved there by hand."""
    others = _between_two(report) | {face for one in report.contradicted for face in one.face_ids}
    for one in report.doubtful:
        if one.face_id not in others and gallery.owner_of.get(one.face_id) == one.identity:
            is_near = one.other is not None and one.to_other <= points.cluster
            numbers = (one.identity, one.other) if is_near and one.other is not None else (one.identity,)
            reason: Reason = "nearer_to_another" if is_near and one.to_other < one.distance else "far"
            yield _of_face(one.face_id, numbers, one.probability, gallery, reason)


def _ambiguous(report: GroupingReport, gallery: Gallery) -> Iterator[Item]:
    between, doubts = _between_two(report), {one.face_id: one.probability for one in report.doubtful}
    for one in report.ambiguous:
        owner = one.identity if one.is_member else UNASSIGNED
        if one.face_id not in between or gallery.owner_of.get(one.face_id) != owner:
            continue
        probability = doubts.get(one.face_id, 0.0) if one.is_member else ONE_OF_TWO
        if probability and gallery.size(one.identity) and gallery.size(one.other):
            yield _of_face(one.face_id, (one.identity, one.other), probability, gallery, "between_two")


def _between_two(report: GroupingReport) -> set[int]:
    """Return the faces that are as near to another identity, and not nearer."""
    return {one.face_id for one in report.ambiguous if one.margin >= 0.0}


def _of_face(face_id: int, numbers: tuple[int, ...], probability: float, gallery: Gallery, reason: Reason) -> Item:
    return Item(
        kind="ambiguous" if reason == "between_two" else "member",
        reason=reason,
        identities=numbers,
        faces=tuple(gallery.size(number) for number in numbers),
        probability=probability,
        settles=1,
        face_id=face_id,
    )


def _unexamined(stored: Mapping[str, Item], gallery: Gallery, found: Collection[str]) -> list[Item]:
    """Return the questions of before about faces of nobody, which were not looked at again."""
    return [
        _of_face(item.face_id, item.identities, ONE_OF_TWO, gallery, item.reason)
        for key, item in sorted(stored.items())
        if item.face_id is not None
        and key not in found
        and gallery.owner_of.get(item.face_id) == UNASSIGNED
        and all(map(gallery.size, item.identities))
    ]


def _completed(item: Item, gallery: Gallery, hidden: frozenset[int], stored: Mapping[str, Item]) -> Item:
    """Return an item with its basis, and with evidence unless the stored one holds."""
    checkpoint()
    basis = gallery.basis(item.identities, item.face_id)
    item = replace(item, basis=basis, is_exported=not hidden.issuperset(item.identities))
    before = stored.get(item.key)
    if before is not None and before.basis == basis and before.identities == item.identities:
        return item
    if item.face_id is None:
        return replace(item, evidence=gallery.compare(*item.identities))
    return replace(item, evidence=tuple(gallery.around(item.face_id, number) for number in item.identities))
