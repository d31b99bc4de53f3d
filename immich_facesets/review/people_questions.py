"""Questions about people: two identities that may be one, one that may be two, and faces that may be a new one."""

from collections.abc import Iterator, Mapping

import numpy as np

from immich_facesets.grouping.report import GroupingReport
from immich_facesets.review.evidence import Gallery
from immich_facesets.review.items import Item, Reason
from immich_facesets.review.mixing import FEWEST_FACES, FEWEST_OF_PART, reach_of_parts, two_parts
from immich_facesets.review.probability import NEARLY, OVERLAPPING, one_person, two_people
from immich_facesets.spaces import OperatingPoints


def pairs(report: GroupingReport, gallery: Gallery, points: OperatingPoints) -> dict[tuple[int, int], Item]:
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


def mixed(gallery: Gallery, points: OperatingPoints) -> Iterator[Item]:
    """Yield the identities whose faces fall into two parts."""
    for number in gallery.numbers():
        if gallery.size(number) < FEWEST_FACES:
            continue
        vectors, ids = gallery.vectors_of(number)
        is_part = two_parts(vectors)
        if np.count_nonzero(is_part) >= FEWEST_OF_PART:
            part = tuple(np.sort(ids[is_part]).tolist())
            yield Item(
                kind="mixed",
                reason="two_parts",
                identities=(number,),
                faces=(gallery.size(number), len(part)),
                probability=two_people(reach_of_parts(vectors, is_part, points.cluster)),
                settles=len(part),
                part=part,
            )


def nearly(report: GroupingReport, gallery: Gallery, stored: Mapping[str, Item]) -> Iterator[Item]:
    """Yield the groups of faces that are nearly a person; those of before where this report knows none."""
    if report.nearly_there is None:
        yield from (item for item in stored.values() if item.kind == "nearly" and gallery.are_free(item.part))
    for one in report.nearly_people:
        if gallery.are_free(one.face_ids):
            faces = len(one.face_ids)
            yield Item(
                kind="nearly",
                reason=one.held,
                identities=(),
                faces=(faces,),
                probability=NEARLY,
                settles=faces,
                part=one.face_ids,
            )


def _of_pair(pair: tuple[int, int], probability: float, gallery: Gallery, reason: Reason) -> Item:
    faces = tuple(map(gallery.size, pair))
    return Item(kind="merge", reason=reason, identities=pair, faces=faces, probability=probability, settles=min(faces))
