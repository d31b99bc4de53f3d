"""Constraints of moderators' decisions: later ones win, and an undo restores the former state."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from decision_builders import ONE_OF_EACH, face
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.moderation.constraints import Constraints, constraints
from immich_facesets.moderation.decisions import (
    AllowTogether,
    BirthDate,
    Confirm,
    Cover,
    Decision,
    FaceRef,
    Forget,
    ForSets,
    Ignore,
    KeepApart,
    Label,
    Later,
    Lock,
    Merge,
    Minor,
    Move,
    NeverExport,
    NotAFace,
    NotForSets,
    OfAge,
    Part,
    Profiles,
    Reject,
    Split,
    Undo,
    Unlock,
)


def said(*decisions: Decision, missing: Sequence[int] = ()) -> Constraints:
    """The constraints of decisions 1, 2, ...; the face with hash n is the row n."""

    def resolve(ref: FaceRef) -> int | None:
        number = int(ref.sha256, 16)
        return None if number in missing else number

    return constraints(list(enumerate(decisions, start=1)), resolve)


def test_nothing_said_demands_nothing() -> None:
    assert said() == Constraints()


def test_a_face_that_only_an_undo_placed_is_told_apart_from_one_that_is_decided() -> None:
    move, reject = Move((face(1),), 2, origin=3), Reject((face(1),), 3, was_member=True)
    for made in (move, reject):
        assert (said(made, Undo(1)).must, said(made, Undo(1)).put_back) == ({1: 3}, frozenset({1}))
        assert said(made, Undo(1), Confirm((face(1),), 3, origin=3)).put_back == frozenset()
    assert said(move).put_back == frozenset()
    assert said(move, Undo(1), NotAFace((face(1),))).put_back == frozenset()


class TestLaterWins:
    def test_moved_twice(self) -> None:
        assert said(Move((face(1),), 2), Move((face(1),), 3)).must == {1: 3}

    def test_the_order_is_that_of_the_ids(self) -> None:
        made: list[tuple[int, Decision]] = [(9, Move((face(1),), 3)), (4, Move((face(1),), 2))]
        assert constraints(made, lambda _: 1).must == {1: 3}

    def test_moved_then_rejected_there(self) -> None:
        demand = said(Move((face(1),), 2), Reject((face(1),), 2))
        assert demand.must == {}
        assert demand.must_not == {(1, 2)}

    def test_rejected_then_moved_there(self) -> None:
        demand = said(Reject((face(1),), 2), Move((face(1),), 2))
        assert demand.must == {1: 2}
        assert demand.must_not == frozenset()

    def test_moved_there_after_all_takes_the_rejection_back_for_good(self) -> None:
        assert said(Reject((face(1),), 2), Move((face(1),), 2), Move((face(1),), 3)).must_not == frozenset()

    def test_rejected_by_two_people_then_moved_to_a_third(self) -> None:
        demand = said(Reject((face(1),), 2), Reject((face(1),), 3), Move((face(1),), 4))
        assert demand.must == {1: 4}
        assert demand.must_not == {(1, 2), (1, 3)}

    def test_ignored_then_moved_and_the_other_way_round(self) -> None:
        assert said(Ignore((face(1),)), Move((face(1),), 2)).ignored == frozenset()
        demand = said(Move((face(1),), 2), Ignore((face(1),)))
        assert demand.must == {}
        assert demand.ignored == {1}

    def test_locked_labelled_and_hidden(self) -> None:
        demand = said(
            Lock(1),
            Lock(2),
            Unlock(1),
            Label(1, "a"),
            Label(1, "b"),
            NeverExport(1),
            NeverExport(2),
            NeverExport(1, is_on=False),
        )
        assert demand.locked == {2}
        assert demand.labels == {1: "b"}
        assert demand.never_export == {2}
        assert demand.locks == {1: False, 2: True}

    def test_a_cover_and_a_mirror(self) -> None:
        demand = said(Cover(1, face(1)), Cover(1, face(2)), AllowTogether((face(3), face(4))))
        assert demand.covers == {1: face(2)}
        assert demand.together == {3, 4}


class TestMerging:
    def test_a_merge_is_followed_to_its_end(self) -> None:
        demand = said(Merge(2, (Part(1),)), Merge(3, (Part(2),)))
        assert demand.merged == {1: 3, 2: 3}
        assert [demand.current(number) for number in (1, 2, 3, 4)] == [3, 3, 3, 4]

    def test_merged_forth_and_back(self) -> None:
        assert said(Merge(2, (Part(1),)), Merge(1, (Part(2),))).merged == {2: 1}

    def test_merged_round_in_a_circle(self) -> None:
        demand = said(Merge(2, (Part(1),)), Merge(3, (Part(2),)), Merge(1, (Part(3),)))
        assert demand.merged == {2: 1, 3: 1}

    def test_with_itself(self) -> None:
        assert said(Merge(1, (Part(1),))).merged == {}

    def test_what_was_said_of_the_old_number_holds_for_the_new(self) -> None:
        demand = said(Move((face(1),), 5), Reject((face(2),), 5), KeepApart(9, 5), Merge(3, (Part(5),)))
        assert demand.must == {1: 3}
        assert demand.must_not == {(2, 3)}
        assert demand.apart == {(3, 9)}

    def test_a_face_put_there_outweighs_that_it_was_rejected_under_the_old_number(self) -> None:
        demand = said(Reject((face(1),), 5), Move((face(1),), 3), Merge(3, (Part(5),)))
        assert demand.must == {1: 3}
        assert demand.must_not == frozenset()

    def test_what_is_merged_is_no_longer_kept_apart(self) -> None:
        assert said(Split(1, (face(1),), 2), Merge(1, (Part(2),))).apart == frozenset()


class TestUndo:
    def test_a_move_goes_back_to_where_the_face_was(self) -> None:
        assert said(Move((face(1),), 2, origin=1), Undo(1)).must == {1: 1}
        assert said(Move((face(1),), 2), Undo(1)).must == {}

    def test_of_a_previous_move_does_not_change_later_decisions(self) -> None:
        assert said(Move((face(1),), 2, origin=1), Move((face(1),), 3, origin=2), Undo(1)).must == {1: 3}

    def test_of_one_move_after_another_leads_back_step_by_step(self) -> None:
        there_and_on = (Move((face(1),), 2, origin=1), Move((face(1),), 3, origin=2))
        assert said(*there_and_on, Undo(2)).must == {1: 2}
        assert said(*there_and_on, Undo(2), Undo(1)).must == {1: 1}
        assert said(*there_and_on, Undo(1), Undo(2)).must == {1: 1}

    def test_of_an_undo_brings_the_decision_back(self) -> None:
        demand = said(Lock(1), Undo(1), Undo(2))
        assert demand.locked == {1}
        assert said(Lock(1), Undo(1), Undo(2), Undo(3)).locked == frozenset()

    def test_a_merge_gives_back_faces_and_people(self) -> None:
        demand = said(Merge(1, (Part(2, (face(3), face(4)), (("anna", "p"),)),)), Undo(1))
        assert demand.merged == {}
        assert demand.must == {3: 2, 4: 2}
        assert demand.attached == {("anna", "p"): 2}

    def test_what_was_decided_of_faces_of_the_merged_person_holds_for_whom_they_return_to(self) -> None:
        merge = Merge(1, (Part(2, (face(3), face(4), face(5))),))
        meanwhile = (Reject((face(3),), 1), Confirm((face(4),), 1, origin=1), ForSets((face(5), face(9)), identity=1))
        demand = said(merge, *meanwhile, Undo(1))
        assert demand.must == {4: 2, 5: 2}
        assert {(3, 1), (3, 2)} <= demand.must_not
        assert demand.confirmed == {4}
        assert demand.for_sets == {5: 2, 9: 1}
        assert said(merge, Undo(1), *meanwhile).for_sets == {5: 1, 9: 1}, "after the undo nothing follows"
        assert said(merge, *meanwhile, Undo(1), Undo(5)).for_sets == {5: 1, 9: 1}, "nor after it is done again"

    def test_a_face_at_a_similar_place_as_another_model_finds_it_returns_to_its_person_too(self) -> None:
        merge, box = Merge(1, (Part(2, (face(3), face(4))),)), face(4).box
        similar = FaceRef(face(4).sha256, replace(box, x2=box.x2 * 1.01))
        assert said(merge, Confirm((similar,), 1, origin=1), Undo(1)).must == {3: 2, 4: 2}
        elsewhere = FaceRef(face(4).sha256, replace(box, x1=box.x2 + 1, x2=2 * box.x2 + 1))
        assert said(merge, ForSets((elsewhere,), identity=1), Undo(1)).for_sets == {4: 1}

    def test_whose_faces_were_split_or_moved_while_people_were_merged_is_kept_apart(self) -> None:
        merge = Merge(1, (Part(2, (face(3),)),))
        assert said(merge, Split(1, (face(3),), 9)).apart == {(1, 9)}
        assert said(merge, Split(1, (face(3),), 9), Undo(1)).apart == {(2, 9)}
        assert said(merge, Split(1, (face(3), face(4)), 9), Undo(1)).apart == {(1, 9), (2, 9)}
        assert said(merge, Move((face(3),), 5, origin=1), Undo(1)).parted == {(2, 5)}

    @pytest.mark.parametrize(("made", "kept"), [(NeverExport, "never_export"), (Minor, "minors")])
    def test_who_was_part_of_a_person_that_must_stay_out_stays_out(
        self, made: type[NeverExport | Minor], kept: str
    ) -> None:
        def out(*decisions: Decision) -> set[int]:
            found = getattr(said(*decisions), kept)
            return {number for number in (1, 2, 3) if number in found and (kept != "minors" or found[number])}

        merges = (Merge(2, (Part(1, (face(1),)),)), Merge(3, (Part(2, (face(1), face(2))),)))
        assert out(*merges, made(3), Undo(2)) == {2, 3}
        assert out(*merges, made(3), Undo(2), Undo(1)) == {1, 2, 3}
        assert out(*merges, made(3), Undo(1), Undo(2)) == {1, 2, 3}
        assert out(*merges, made(3), Undo(2), Undo(1), Undo(3)) == set()
        assert out(*merges, Undo(2), made(3)) == {3}, "after the undo it is about one person"
        assert out(*merges, made(3), made(3, is_on=False), Undo(2)) == {2}, "what ends it is about one person, too"

    def test_a_merge_of_merged_people_is_undone_in_any_order(self) -> None:
        merges = (Merge(2, (Part(1, (face(1),)),)), Merge(3, (Part(2, (face(1), face(2))),)))
        included = ForSets((face(1), face(2), face(3)), identity=3)
        assert said(*merges, included, Undo(1)).for_sets == {1: 1, 2: 3, 3: 3}
        assert said(*merges, included, Undo(2)).for_sets == {1: 2, 2: 2, 3: 3}
        assert said(*merges, included, Undo(2), Undo(1)).for_sets == {1: 1, 2: 2, 3: 3}
        assert said(*merges, included, Undo(1), Undo(2)).for_sets == {1: 1, 2: 2, 3: 3}

    def test_a_cover_that_was_chosen_of_merged_people_is_of_whom_its_face_returns_to(self) -> None:
        merges = (Merge(2, (Part(1, (face(1),)),)), Merge(3, (Part(2, (face(1), face(2))),)))
        chosen = Cover(3, face(1))
        assert said(*merges, chosen).covers == {3: face(1)}
        assert said(*merges, chosen, Undo(2)).covers == {3: None, 2: face(1)}
        assert said(*merges, chosen, Undo(2), Undo(1)).covers == {3: None, 2: None, 1: face(1)}
        assert said(*merges, chosen, Undo(2), Undo(1), Undo(3)).covers == {3: None, 2: None, 1: None}
        assert said(Cover(3, face(3)), *merges, Cover(3, face(1)), Undo(3)).covers == {3: face(3), 2: face(1)}
        assert said(*merges, Cover(3, face(4)), Undo(2)).covers == {3: face(4)}

    def test_a_split_a_reject_and_an_ignore(self) -> None:
        demand = said(Split(1, (face(1),), 2), Undo(1))
        assert demand.must == {1: 1}
        assert demand.apart == frozenset()
        demand = said(Reject((face(1),), 2), Undo(1))
        assert demand.must == {1: 2}
        assert demand.must_not == frozenset()
        assert said(Reject((face(1),), 2, was_member=False), Undo(1)).must == {}
        demand = said(Ignore((face(1),), origin=3), Undo(1))
        assert demand.must == {1: 3}
        assert demand.ignored == frozenset()

    def test_says_that_a_lock_a_label_a_cover_or_a_ban_no_longer_holds(self) -> None:
        demand = said(Lock(1), Label(1, "a"), NeverExport(1), Cover(1, face(1)), Undo(1), Undo(2), Undo(3), Undo(4))
        assert demand.locks == {1: False}
        assert demand.labels == {1: None}
        assert demand.hidden == {1: False}
        assert demand.covers == {1: None}
        assert said(Label(1, "a"), Label(1, "b"), Undo(2)).labels == {1: "a"}

    def test_what_takes_nothing_away_leaves_nothing(self) -> None:
        demand = said(KeepApart(1, 2), AllowTogether((face(1),)), Ignore(identity=5), Undo(1), Undo(2), Undo(3))
        assert demand == Constraints()

    def test_never_brings_back_what_was_forgotten(self) -> None:
        demand = said(Forget(1, (3,)), Undo(1), Move((face(1),), 1), Move((face(2),), 2))
        assert demand.forgotten == {1, 3}
        assert demand.must == {2: 2}
        assert demand.mentioned == {1, 2, 3}

    def test_of_what_was_never_said_or_is_said_later_changes_nothing(self) -> None:
        assert said(Undo(2), Lock(1), Undo(99)).locked == {1}


def test_a_stranger_keeps_collecting_its_faces_out_of_sight() -> None:
    demand = said(Ignore(identity=4))
    assert demand.strangers == {4}
    assert demand.ignored == frozenset()


def test_faces_that_are_not_there_yet_have_no_effect_yet() -> None:
    decisions = (Move((face(1),), 2), Reject((face(1),), 3), Ignore((face(1),)), AllowTogether((face(1),)))
    demand = said(*decisions, missing=[1])
    assert demand == Constraints()
    assert said(Cover(1, face(1)), missing=[1]).covers == {1: face(1)}, (
        "a reference holds for a face that is not there yet"
    )


def test_the_numbers_that_are_spoken_of() -> None:
    demand = said(Move((face(1),), 5), Reject((face(2),), 6), Merge(8, (Part(7),)))
    assert demand.numbers() == {5, 6, 7, 8}


@given(st.lists(st.sampled_from([*ONE_OF_EACH, Move((face(1),), 3, 2), Merge(2, (Part(1),)), Undo(2), Undo(3)])))
def test_whatever_is_said_the_demands_do_not_contradict_each_other(decisions: list[Decision]) -> None:
    demand = said(*decisions)
    assert not demand.must.keys() & demand.ignored
    assert not demand.must.items() & demand.must_not
    assert not demand.merged.keys() & set(demand.merged.values())
    assert not demand.merged.keys() & set(demand.must.values())
    assert not demand.confirmed - demand.must.keys()
    assert demand.no_faces <= demand.ignored
    assert not demand.anchors.keys() & (demand.must.keys() | demand.ignored)
    assert not demand.merged.keys() & {number for _, number in demand.must_not}


def test_a_face_or_an_identity_of_age_is_that_until_it_is_undone() -> None:
    assert said(OfAge((face(1),)), OfAge(identity=4)).of_age == {1}
    assert said(OfAge((face(1),)), OfAge(identity=4), Merge(7, (Part(4),))).adults == {7}
    taken_back = said(OfAge((face(1),), identity=4), Undo(1))
    assert (taken_back.of_age, taken_back.adults) == (frozenset(), frozenset())


class TestWhatPeopleMean:
    def test_a_confirmed_face_is_a_must_link_until_it_is_rejected_ignored_or_moved(self) -> None:
        demand = said(Confirm((face(1), face(2)), 5, origin=5))
        assert demand.must == {1: 5, 2: 5}
        assert demand.confirmed == {1, 2}
        assert said(Confirm((face(1),), 5), Reject((face(1),), 5)).confirmed == frozenset()
        assert said(Confirm((face(1),), 5), Ignore((face(1),))).confirmed == frozenset()
        assert said(Confirm((face(1),), 5), Move((face(1),), 6)).confirmed == frozenset()

    def test_an_undone_confirmation_leaves_a_member_where_it_was(self) -> None:
        assert said(Confirm((face(1),), 5, origin=5), Undo(1)).must == {}
        assert said(Confirm((face(1),), 5, origin=4), Undo(1)).must == {1: 4}

    def test_what_is_no_face_is_ignored_and_known_as_that(self) -> None:
        demand = said(NotAFace((face(1),), origin=3))
        assert demand.ignored == demand.no_faces == {1}
        assert said(NotAFace((face(1),), origin=3), Undo(1)).must == {1: 3}
        assert said(NotAFace((face(1),)), Confirm((face(1),), 2)).no_faces == frozenset()

    def test_what_is_put_off_is_known_with_its_decision(self) -> None:
        demand = said(Later((face(1),)), Later(identity=7, other=3), Later((face(1),)))
        assert demand.later_faces == {1: 3}
        assert demand.later_identities == {(3, 7): 2}
        assert demand.numbers() == frozenset(), "it settles nothing"

    def test_the_right_person_not_for_sets(self) -> None:
        assert said(NotForSets((face(1), face(2))), NotForSets((face(2),), is_on=False)).not_for_sets == {1}
        assert said(NotForSets((face(1),)), NotForSets((face(1),), is_on=False), Undo(2)).not_for_sets == {1}

    def test_of_included_and_left_out_the_later_counts_and_an_undo_brings_the_earlier_back(self) -> None:
        included, left_out = ForSets((face(1), face(2)), identity=5), NotForSets((face(1),))
        both, only, nothing = {1: 5, 2: 5}, {2: 5}, frozenset[int]()
        assert (dict(said(included).for_sets), said(included).not_for_sets) == (both, nothing)
        then = said(included, left_out)
        assert (dict(then.for_sets), then.not_for_sets) == (only, frozenset({1}))
        then = said(left_out, included)
        assert (dict(then.for_sets), then.not_for_sets) == (both, nothing)
        assert said(included, left_out, Undo(2)) == said(included, Undo(9), Undo(9))
        assert said(left_out, included, Undo(2)).not_for_sets == {1}
        assert said(included, ForSets((face(2),), identity=5, is_on=False)).for_sets == {1: 5}
        assert said(included, Merge(8, (Part(5),))).for_sets == {1: 8, 2: 8}, "it follows a merge"
        assert said(included, Forget(5)).for_sets == {}

    def test_profiles_are_those_of_the_last_list_and_of_merged_people_until_the_next(self) -> None:
        one, two = Profiles(1, ("xmp",)), Profiles(2, ("kohya",))
        assert said(one, Profiles(1, ("kohya", "later"))).profiles_off == {1: ("kohya", "later")}
        assert said(one, Undo(1)).profiles_off == {1: ()}
        merge = Merge(1, (Part(2),), profiles_off=("kohya",))
        assert said(one, two, merge).profiles_off[1] == ("kohya", "xmp")
        assert said(one, two, merge, Undo(3)).profiles_off == {1: ("xmp",), 2: ("kohya",)}
        assert said(two, merge, Undo(2)).profiles_off == {1: (), 2: ("kohya",)}
        assert said(two, merge, Profiles(1, ())).profiles_off[1] == (), "it can be switched on again"

    def test_of_a_switch_of_profiles_the_difference_counts_when_an_earlier_decision_is_undone(self) -> None:
        one, two, merge = Profiles(1, ("xmp",)), Profiles(2, ("kohya",)), Merge(1, (Part(2),), profiles_off=("kohya",))
        more = Profiles(1, ("frigate", "kohya", "xmp"), before=("kohya", "xmp"))
        fewer = Profiles(1, ("kohya",), before=("kohya", "xmp"))
        assert said(one, two, merge, more, Undo(3)).profiles_off[1] == ("frigate", "xmp")
        assert said(one, two, merge, fewer, Undo(3)).profiles_off[1] == ()
        assert said(one, Profiles(1, ("frigate", "xmp"), before=("xmp",)), Undo(1)).profiles_off[1] == ("frigate",)

    def test_birth_dates_and_minors_by_hand_follow_a_merge(self) -> None:
        demand = said(BirthDate(2, "2010-05-01"), Minor(2), Merge(1, (Part(2),)))
        assert (demand.births[1], demand.minors[1]) == ("2010-05-01", True)
        assert (
            said(BirthDate(1, "1990-01-01"), BirthDate(2, "2010-05-01"), Merge(1, (Part(2),))).births[1] == "1990-01-01"
        )
        assert said(BirthDate(1, "1990-01-01"), Undo(1)).births == {1: None}

    def test_what_follows_a_merge_ends_with_it(self) -> None:
        theirs = (Cover(2, face(9)), Lock(2), NeverExport(2))
        merge = Merge(1, (Part(2),), label="Ada", label_before="Eva", cover=face(9), is_locked=True, is_hidden=True)
        demand = said(*theirs, merge)
        assert (demand.labels[1], demand.covers[1], demand.locks[1], demand.hidden[1]) == ("Ada", face(9), True, True)
        demand = said(*theirs, merge, Undo(4))
        assert (demand.labels[1], demand.covers[1], demand.locks[1], demand.hidden[1]) == ("Eva", None, False, False)

    def test_what_followed_a_merge_ends_when_the_decision_about_the_merged_person_is_undone(self) -> None:
        theirs = (Cover(2, face(9)), Lock(2), NeverExport(2), Profiles(2, ("kohya",)))
        merge = Merge(1, (Part(2),), cover=face(9), is_locked=True, is_hidden=True, profiles_off=("kohya",))
        demand = said(*theirs, merge, *(Undo(number) for number in range(1, 5)))
        assert (demand.covers[1], demand.locks[1], demand.hidden[1], demand.profiles_off[1]) == (None, False, False, ())

    def test_a_name_that_followed_a_merge_ends_with_the_naming_and_one_that_it_chose_stays(self) -> None:
        followed = Merge(1, (Part(2),), label="Ada", label_of=2)
        assert said(Label(2, "Ada"), followed).labels[1] == "Ada"
        assert said(Label(2, "Ada"), followed, Undo(1)).labels[1] is None
        assert said(Label(2, "Eva"), Label(2, "Ada", "Eva"), followed, Undo(2)).labels[1] == "Eva"
        assert said(Label(2, "Ada"), followed, Undo(1), Undo(3)).labels[1] == "Ada"
        assert said(followed).labels[1] == "Ada", "a name that an import gave, and no decision"
        assert said(Label(2, "Ada"), Merge(1, (Part(2),), label="Ada"), Undo(1)).labels[1] == "Ada"

    def test_members_of_a_mentioned_identity_are_anchors_of_its_number(self) -> None:
        made: list[tuple[int, Decision]] = [
            (1, Label(4, "Ada")),
            (2, Reject((face(2),), 4)),
            (3, Merge(9, (Part(4, (face(1), face(3))),))),
        ]
        known = {1: [Part(4, (face(1), face(2)))], 2: [Part(4, (face(1),))]}
        assert constraints(made[:1], lambda ref: int(ref.sha256, 16), known).anchors == {1: 4, 2: 4}
        assert constraints(made[:2], lambda ref: int(ref.sha256, 16), known).anchors == {1: 4}
        assert constraints(made, lambda ref: int(ref.sha256, 16), known).anchors == {1: 9, 3: 9}

    def test_a_number_that_was_ever_mentioned_is_never_given_again(self) -> None:
        assert said(Split(1, (face(1),), 9), Undo(1)).mentioned == {1, 9}
