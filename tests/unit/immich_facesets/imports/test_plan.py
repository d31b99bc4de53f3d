"""The import plan: matching of imported faces with ours, from manifests and caches, and their numbers."""

from collections.abc import Mapping

from faceset_builders import sha256
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.faces import Box
from immich_facesets.imports.face_lookup import Resolver
from immich_facesets.imports.findings import Findings
from immich_facesets.imports.merge import gather
from immich_facesets.imports.npz_cache import EarlierCache
from immich_facesets.imports.plan import ExistingIdentities, ImportedPerson, ImportOutcome, ImportPlan, plan_import
from immich_facesets.imports.sorted_faces import DistinctFaces, Period, SortedFace, SortedSet

HERE, NEAR, ELSEWHERE = Box(0, 0, 100, 100), Box(10, 5, 108, 102), Box(300, 0, 400, 100)
NOTHING = ExistingIdentities(frozenset(), frozenset(), (), {})


def of(number: int, *faces: SortedFace, label: str | None = None) -> SortedSet:
    return SortedSet(number, label, faces)


def face(content: int = 1, *, box: Box | None = HERE, places: tuple[str, ...] = ()) -> SortedFace:
    return SortedFace(sha256(content), places, box)


def at(path: str, box: Box | None = HERE) -> SortedFace:
    return SortedFace(None, (path,), box)


# among ours


def test_a_face_is_found_by_content_and_place_in_the_picture() -> None:
    ours = Resolver({sha256(1): [(11, ELSEWHERE), (12, NEAR)]}, ())
    assert ours.face_of(face()) == 12
    assert ours.face_of(face(box=Box(200, 200, 300, 300))) is None
    assert ours.face_of(face(2)) is None


def test_without_a_box_only_a_picture_of_one_face_is_sure() -> None:
    assert Resolver({sha256(1): [(11, ELSEWHERE)]}, ()).face_of(face(box=None)) == 11
    assert Resolver({sha256(1): [(11, ELSEWHERE), (12, NEAR)]}, ()).face_of(face(box=None)) is None


def test_without_a_digest_the_path_counts_also_after_the_library_moved() -> None:
    places = [("/mnt/photos/2019/a.jpg", sha256(1)), ("/mnt/photos/2020/a.jpg", sha256(2)), ("b.jpg", sha256(3))]
    ours = Resolver({sha256(number): [(number, HERE)] for number in (1, 2, 3)}, places)
    assert ours.face_of(at("/mnt/photos/2019/a.jpg")) == 1
    assert ours.face_of(at("D:\\old\\2020\\a.jpg")) == 2
    assert ours.face_of(at("b.jpg")) == 3
    assert Resolver({sha256(1): [(1, HERE)]}, places[:1]).face_of(at("/other/a.jpg")) is None, (
        "a file name alone is not sufficient"
    )


def test_two_pictures_at_paths_as_alike_are_none() -> None:
    ours = Resolver({sha256(1): [(1, HERE)]}, [("/one/x/a.jpg", sha256(1)), ("/two/x/a.jpg", sha256(2))])
    assert ours.face_of(at("/three/x/a.jpg")) is None
    assert ours.face_of(at("/home/one/x/a.jpg")) == 1, "the longer common path suffix decides"


# manifests and caches


def test_a_cache_adds_what_the_manifest_does_not_know() -> None:
    cache = EarlierCache((face(1, places=("/a.jpg", "/copy.jpg")),))
    (found,) = gather([of(3, at("/copy.jpg", None))], [cache], Findings())
    assert found.faces == (SortedFace(sha256(1), ("/copy.jpg", "/a.jpg"), HERE),)


def test_a_cache_that_says_whose_faces_are_adds_those_that_were_left_out() -> None:
    cache = EarlierCache((face(1, box=NEAR), face(2), face(3)), (3, 3, 0))
    findings = Findings()
    (found,) = gather([of(3, face(1))], [cache], findings)
    assert [(one.sha256, one.box) for one in found.faces] == [(sha256(1), HERE), (sha256(2), HERE)]
    assert findings == Findings()


def test_a_face_without_a_box_is_told_apart_only_where_it_is_alone() -> None:
    cache = EarlierCache((face(1, places=("/a",)), face(1, box=ELSEWHERE, places=("/a",))))
    findings = Findings()
    (found,) = gather([of(3, at("/a", None))], [cache], findings)
    assert found.faces == (SortedFace(sha256(1), ("/a",), None),)
    assert findings.missing == ["1 face without a box: found where a picture holds one face only"]


def test_a_cache_of_another_library_is_a_problem() -> None:
    cache = EarlierCache((face(9),))
    findings = Findings()
    gather([of(3, face(1))], [cache], findings)
    assert "share not one picture" in findings.problems[0]


@given(order=st.permutations(range(4)))
def test_a_face_is_collected_once_in_any_order(order: list[int]) -> None:
    known = (
        face(1, places=("/a",)),
        SortedFace(sha256(1), ("/a",), NEAR, Period("2011", None, None)),
        at("/a"),
        face(1, box=ELSEWHERE),
    )
    gathered = DistinctFaces(known[number] for number in order)
    assert len(gathered.faces) == 2
    assert all(gathered.holds(one) for one in known)


# numbers


def applied(plan: ImportPlan, existing: ExistingIdentities, holder: Mapping[int, int]) -> ExistingIdentities:
    """The store after a plan was written."""
    people = {person.person_id: person for person in existing.imported}
    for one in plan.sets:
        before = people[one.person_id].faces if one.person_id in people else ()
        people[one.person_id] = ImportedPerson(one.person_id, one.identity, (*before, *one.faces))
    numbers = existing.numbers | {one.identity for one in plan.sets}
    labelled = existing.labelled | {one.identity for one in plan.sets if one.label is not None}
    return ExistingIdentities(numbers, labelled, tuple(people[name] for name in sorted(people)), holder)


SETS = st.dictionaries(st.integers(1, 9), st.frozensets(st.integers(1, 30), max_size=4), max_size=5).map(
    lambda found: [
        of(number, *(face(one) for one in contents), label=f"P{number}") for number, contents in found.items()
    ]
)
NUMBERS = st.frozensets(st.integers(1, 12), max_size=6)


@given(sets=SETS, numbers=NUMBERS, data=st.data())
def test_planning_again_on_the_applied_plan_plans_nothing(
    sets: list[SortedSet], numbers: frozenset[int], data: st.DataObject
) -> None:
    held = st.dictionaries(st.integers(1, 9), st.sampled_from(sorted(numbers)), max_size=3) if numbers else st.just({})
    existing = ExistingIdentities(numbers, frozenset(), (), data.draw(held))
    plan = plan_import(sets, existing)
    new = [one.identity for one in plan.sets if one.outcome is ImportOutcome.NEW]
    assert len(set(new)) == len(new)
    assert numbers.isdisjoint(new), "no number is ever given twice"
    after = applied(plan, existing, {})
    again = plan_import(sets, after)
    assert again.is_empty
    assert again.conflicts == ()
    assert {one.number: one.identity for one in again.sets} == {one.number: one.identity for one in plan.sets}


def test_free_numbers_are_kept_and_taken_ones_are_conflicts_with_a_next_free_one() -> None:
    existing = ExistingIdentities(frozenset({2, 6}), frozenset({6}), (), {})
    plan = plan_import([of(1, face(1), label="Ida"), of(2, face(2)), of(9, face(3))], existing)
    assert [(one.number, one.identity, one.outcome) for one in plan.sets] == [
        (1, 1, ImportOutcome.NEW),
        (2, 10, ImportOutcome.NEW),
        (9, 9, ImportOutcome.NEW),
    ]
    assert plan.conflicts == ("faceset_002: the number 2 is somebody else's here",)


def test_a_known_person_keeps_its_number_and_name() -> None:
    existing = ExistingIdentities(frozenset({1, 2}), frozenset({1}), (), {1: 1, 5: 2})
    plan = plan_import([of(1, face(1), label="Ida"), of(5, face(2), label="Ben")], existing)
    assert [(one.identity, one.outcome, one.label) for one in plan.sets] == [
        (1, ImportOutcome.JOINS, None),
        (2, ImportOutcome.JOINS, "Ben"),
    ]
    assert plan.conflicts == ("faceset_005: most of its faces are identity 2 here already",)


def test_what_grew_since_the_last_import_brings_its_new_faces_alone() -> None:
    first = plan_import([of(3, face(1))], NOTHING)
    later = plan_import([of(3, face(1), face(2))], applied(first, NOTHING, {}))
    assert [(one.outcome, one.faces) for one in later.sets] == [(ImportOutcome.KNOWN, (face(2),))]


def test_another_tools_set_of_the_same_name_is_another_person() -> None:
    first = plan_import([of(3, face(1))], NOTHING)
    other = plan_import([of(3, face(2))], applied(first, NOTHING, {}))
    assert [(one.person_id, one.identity, one.outcome) for one in other.sets] == [
        ("faceset_003 (2)", 4, ImportOutcome.NEW)
    ]
