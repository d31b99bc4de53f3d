"""Candidates: unassigned faces that are offered to moderators, and for which identity."""

from dataclasses import replace

from faceset_builders import face, sha256

from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import Reason
from immich_facesets.moderation.constraints import Constraints
from service.passes.publishing.candidates import Facts
from service.store.exports import Member, StoredPlace


def facts(strays: dict[int, int], members: dict[int, int]) -> Facts:
    """Strays and the members of identity 7, by face id, each with the number of its picture."""

    def one(identity: int, face_id: int, picture: int) -> Member:
        return Member(identity, replace(face(face_id), sha256=sha256(picture)), None)

    return Facts(
        members={7: tuple(one(7, *pair) for pair in members.items())},
        strays=tuple(one(0, *pair) for pair in strays.items()),
        places={},
        labels={},
        birth_dates={},
        details={},
        held={},
        pad_ratio=0.5,
        min_face_short=100.0,
    )


def test_a_stranger_who_is_ignored_is_never_shown_again() -> None:
    strays, barred = facts({1: 10, 2: 20}, {}).unclaimed(Constraints(ignored=frozenset({2})))
    assert [one.face.face_id for one in strays] == [1]
    assert barred == frozenset()


def test_who_was_rejected_or_stands_beside_a_person_is_not_that_person() -> None:
    known = Constraints(must_not=frozenset({(1, 7)}))
    _, barred = facts({1: 10, 2: 20, 3: 30}, {9: 20}).unclaimed(known)
    assert barred == {(1, 7), (2, 7)}


def test_in_a_mirror_a_person_may_stand_beside_herself() -> None:
    _, barred = facts({2: 20}, {9: 20}).unclaimed(Constraints(together=frozenset({2})))
    assert barred == frozenset()


def test_a_face_without_a_crop_is_left_out_for_its_size_unless_somebody_included_it() -> None:
    here = {sha256(picture): (StoredPlace("anna", "a", "a.jpg", ""),) for picture in (10, 20, 30)}
    small, large = replace(face(1), box=Box(0, 0, 40, 40)), replace(face(3), box=Box(0, 0, 140, 140))
    of = {1: replace(small, sha256=sha256(10)), 2: replace(small, face_id=2, sha256=sha256(20))}
    of[3] = replace(large, sha256=sha256(30))
    members = tuple(Member(7, one, None) for one in of.values())
    known = replace(facts({}, {}), members={7: members}, places=here, included={2: 7, 3: 7})
    reasons = {one.candidate.face.face_id: one.reason for one in known.too_small(members)}
    assert reasons == {1: Reason.SMALL, 2: Reason.NO_CROP, 3: Reason.OUTSIDE}
