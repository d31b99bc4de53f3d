"""Questions about single faces: doubtful members, faces between two identities, and second faces of a picture."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.report import GroupingReport
from immich_facesets.review.evidence import Gallery
from immich_facesets.review.items import Item, Reason
from immich_facesets.review.probability import CONTRADICTED, ONE_OF_TWO, TWICE
from immich_facesets.spaces import OperatingPoints


def doubtful_faces(report: GroupingReport, gallery: Gallery, points: OperatingPoints) -> Iterator[Item]:
    """Yield the doubtful members, but those between two identities, and those that their owner moved there by hand."""
    others = _between_two(report) | {face for one in report.contradicted for face in one.face_ids}
    for one in report.doubtful:
        if one.face_id not in others and gallery.owner_of.get(one.face_id) == one.identity:
            is_near = one.other is not None and gallery.size(one.other) > 0 and one.to_other <= points.cluster
            numbers = (one.identity, one.other) if is_near and one.other is not None else (one.identity,)
            reason: Reason = "nearer_to_another" if is_near and one.to_other < one.distance else "far"
            yield _of_face(one.face_id, numbers, one.probability, gallery, reason)


def faces_between(report: GroupingReport, gallery: Gallery) -> Iterator[Item]:
    """Yield the faces that two identities are equally near to."""
    between, doubts = _between_two(report), {one.face_id: one.probability for one in report.doubtful}
    for one in report.ambiguous:
        owner = one.identity if one.is_member else UNASSIGNED
        if one.face_id not in between or gallery.owner_of.get(one.face_id) != owner:
            continue
        probability = doubts.get(one.face_id, 0.0) if one.is_member else ONE_OF_TWO
        if probability and gallery.size(one.identity) and gallery.size(one.other):
            yield _of_face(one.face_id, (one.identity, one.other), probability, gallery, "between_two")


def impossible_members(report: GroupingReport, gallery: Gallery) -> Iterator[Item]:
    """Yield the members from before the birth, and of members in one picture all but the one most like the identity."""
    for one in report.before_birth:
        if gallery.owner_of.get(one.face_id) == one.identity:
            yield _of_face(one.face_id, (one.identity,), CONTRADICTED, gallery, "before_birth")
    for pair in report.suspects:
        members = [face for face in pair.face_ids if gallery.owner_of.get(face) == pair.identity]
        for face in gallery.by_likeness(pair.identity, members)[1:]:
            others = tuple(other for other in members if other != face)
            yield _of_face(face, (pair.identity,), CONTRADICTED, gallery, "two_in_picture", others)


def second_faces(report: GroupingReport, gallery: Gallery) -> Iterator[Item]:
    """Yield the faces of nobody that look like an identity of which their picture has another face."""
    for one in report.suspects:
        members = tuple(face for face in one.face_ids if gallery.owner_of.get(face) == one.identity)
        for face in one.face_ids:
            if members and gallery.owner_of.get(face) == UNASSIGNED:
                yield _of_face(face, (one.identity,), TWICE, gallery, "twice_in_picture", members)


def unexamined(stored: Mapping[str, Item], gallery: Gallery) -> Iterator[Item]:
    """Yield the questions of before about faces of nobody."""
    for _, item in sorted(stored.items()):
        if item.face_id is None or not gallery.are_free([item.face_id]):
            continue
        has_other = all(gallery.owner_of.get(face) == item.identities[0] for face in item.part)
        if has_other and all(map(gallery.size, item.identities)):
            probability = TWICE if item.part else ONE_OF_TWO
            yield _of_face(item.face_id, item.identities, probability, gallery, item.reason, item.part)


def put_back_members(stored: Mapping[str, Item], gallery: Gallery, put_back: Collection[int]) -> Iterator[Item]:
    """Yield the questions of before about members that an undo put back: as likely as before, because none is measured."""
    for _, item in sorted(stored.items()):
        is_there = item.face_id in put_back and gallery.owner_of.get(item.face_id) == item.identities[0]
        if item.face_id is not None and is_there and all(map(gallery.size, item.identities)):
            yield replace(item, faces=tuple(map(gallery.size, item.identities)))


def _between_two(report: GroupingReport) -> set[int]:
    """Return the faces that are as near to another identity, and not nearer."""
    return {one.face_id for one in report.ambiguous if one.margin >= 0.0}


def _of_face(
    face_id: int,
    numbers: tuple[int, ...],
    probability: float,
    gallery: Gallery,
    reason: Reason,
    part: tuple[int, ...] = (),
) -> Item:
    return Item(
        kind="ambiguous" if reason == "between_two" else "member",
        reason=reason,
        identities=numbers,
        faces=tuple(gallery.size(number) for number in numbers),
        probability=probability,
        settles=1,
        face_id=face_id,
        part=part,
    )
