"""Face sets: names, members of a swap bundle, and files that must change."""

import pytest
from faceset_builders import candidate, face, faceset
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.exports.face_choice import picked
from immich_facesets.facesets.faceset import EraYears, Faceset, FacesetFolder, PublishPlan, digest, plan_publish

directories = st.dictionaries(st.sampled_from([f"faceset_{number:03d}" for number in range(8)]), st.sampled_from("abc"))


@pytest.mark.parametrize(("identity", "name"), [(1, "faceset_001"), (999, "faceset_999"), (1234, "faceset_1234")])
def test_a_number_has_three_digits_and_more_when_needed(identity: int, name: str) -> None:
    assert faceset(identity=identity).name == name


def test_an_era_is_named_after_its_year_and_a_thin_one_is_kept_apart() -> None:
    era = EraYears("2011", 2010, 2013)
    assert faceset(era=era).directory == "faceset_001_era_2011"
    assert faceset(era=era, folder=FacesetFolder.THIN).directory == "_thin/faceset_001_era_2011"


def test_the_faces_of_a_minor_never_reach_a_swap_bundle_and_are_counted() -> None:
    built = faceset(candidates=[candidate(number, is_minor=number < 3) for number in range(1, 6)])
    assert sorted(face.candidate.face.face_id for face in built.swappable) == [3, 4, 5]
    assert len(built.faces) == 5
    assert built.left_out == {"minor_not_in_swap_bundles": 2}


def test_a_digest_names_the_manifest() -> None:
    assert digest(b"{}") == digest(b"{}")
    assert digest(b"{}") != digest(b"{ }")
    assert len(digest(b"{}")) == 64


def test_a_plan_writes_new_and_changed_face_sets_and_removes_unwanted_ones() -> None:
    plan = plan_publish([("a", "1"), ("b", "2"), ("c", "3")], {"a": "1", "b": "old", "z": "9"})
    assert plan == PublishPlan(write=("b", "c"), keep=("a",), remove=("z",))


@given(directories, directories)
def test_planning_again_after_the_plan_was_carried_out_plans_nothing(
    wanted: dict[str, str], on_disk: dict[str, str]
) -> None:
    plan = plan_publish(wanted.items(), on_disk)
    after = {directory: name for directory, name in on_disk.items() if directory not in plan.remove}
    after |= {directory: wanted[directory] for directory in plan.write}
    again = plan_publish(wanted.items(), after)
    assert after == wanted
    assert (again.write, again.remove) == ((), ())
    assert set(again.keep) == set(wanted)


def test_two_facesets_never_share_a_directory() -> None:
    with pytest.raises(ValueError, match="same directory"):
        plan_publish([("a", "1"), ("a", "1")], {})


def poor_and_good(good: int) -> Faceset:
    """Face sets with two faces out of focus, a small one, and so many good ones."""
    rows = [
        candidate(1, of=face(1, blur=60.0)),
        candidate(2, of=face(2, blur=90.0)),
        candidate(3, of=face(3, size=105.0)),
        *(candidate(number) for number in range(10, 10 + good)),
    ]
    return faceset(candidates=rows)


def test_what_is_averaged_is_sharp_and_large_while_there_are_eight_of_that_kind() -> None:
    built = poor_and_good(8)
    assert {item.candidate.face.face_id for item in built.averaged} == set(range(10, 18))
    assert len(built.swappable) == 11
    assert picked(built, 30, is_for_swapping=True) == built.averaged
    assert len(picked(built, None, is_for_swapping=True)) == 11
    assert len(picked(built, 30, is_for_swapping=False)) == 11


def test_with_fewer_good_faces_the_others_are_taken_too() -> None:
    built = poor_and_good(7)
    assert len(built.averaged) == 10
    assert len(picked(built, 9, is_for_swapping=True)) == 9


def test_no_minor_is_averaged() -> None:
    rows = [candidate(number, is_minor=number == 3) for number in range(1, 11)]
    assert 3 not in {item.candidate.face.face_id for item in faceset(candidates=rows).averaged}
