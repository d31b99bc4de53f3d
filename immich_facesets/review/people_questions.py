"""Questions about people: two identities that may be one, one that may be several, and faces that may be a new one."""

from collections.abc import Iterator, Mapping

from immich_facesets.grouping.report import GroupingReport
from immich_facesets.review.evidence import Gallery
from immich_facesets.review.items import Item, Reason
from immich_facesets.review.mixing import Parting
from immich_facesets.review.probability import NEARLY, OVERLAPPING, one_person, other_people
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


def mixed(gallery: Gallery, parted: Mapping[int, Parting]) -> Iterator[Item]:
    """Yield the identities that seem to hold several people; what no longer fits the proposals is left out."""
    for number, one in sorted(parted.items()):
        part = tuple(face for faces in one.parts[1:] for face in faces)
        if part and all(gallery.owner_of.get(face) == number for face in part):
            yield Item(
                kind="mixed",
                reason="parts",
                identities=(number,),
                faces=(gallery.size(number), *map(len, one.parts[1:])),
                probability=other_people(one.reach),
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
