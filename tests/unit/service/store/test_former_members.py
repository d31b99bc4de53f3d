"""Former members of identities: absent faces, and the faces of identities that ended."""

from dataclasses import replace

import pytest
from builders import NOON, RECIPE, asset, content, face_answer, nothing_to_report, one_identity, plans

from immich_facesets.faces import Box
from immich_facesets.grouping.changes import Former, GroupingPlan, Join, NewIdentity
from service.store import assets, contents, former_members, identities, sources, spaces
from service.store.database import Store

ANNA, BEN = asset("a1"), asset("a2")
OTHER = replace(RECIPE, space="space-2")


def changes(
    *, joins: tuple[Join, ...] = (), leaves: tuple[int, ...] = (), ended: tuple[Former, ...] = ()
) -> GroupingPlan:
    return GroupingPlan(new=(), joins=joins, leaves=leaves, links=(), report=nothing_to_report(), dissolved=ended)


def grouped(store: Store) -> None:
    """The faces of two pictures are one identity."""
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(ANNA, BEN), run_id=1)
    for item, seed in ((ANNA, 1), (BEN, 2)):
        store.write_now(contents.record_content, content(item, face_answer(seed)), NOON)
    store.write_now(spaces.use_space, RECIPE.space, one_identity(1, 2), NOON)


class TestDissolved:
    def end(self, store: Store) -> None:
        grouped(store)
        ended = (Former(1, 1), Former(2, 1))
        store.write_now(identities.apply_grouping, changes(leaves=(1, 2), ended=ended), NOON)

    def test_the_faces_are_members_of_nothing_and_know_the_number(self, store: Store) -> None:
        self.end(store)
        assert store.read_now(identities.all_memberships) == {}
        assert store.read_now(former_members.returned_members, RECIPE.space) == {}
        assert store.read_now(former_members.dissolved_members, RECIPE.space) == {1: 1, 2: 1}

    def test_they_know_it_when_they_are_found_again(self, store: Store) -> None:
        self.end(store)
        moved = face_answer(3, box=Box(110, 105, 305, 302))
        store.write_now(contents.record_content, content(ANNA, moved, recipe=OTHER), NOON)
        assert list(store.read_now(former_members.dissolved_members, OTHER.space).values()) == [1]

    @pytest.mark.parametrize("number", [1, 2])
    def test_a_face_that_joins_an_identity_forgets_it(self, store: Store, number: int) -> None:
        self.end(store)
        new = () if number == 1 else (NewIdentity(2, "discovered", frozenset()),)
        plan = replace(changes(joins=(Join(2, number, 0.1, "matched"),)), new=new)
        store.write_now(identities.apply_grouping, plan, NOON)
        assert store.read_now(former_members.dissolved_members, RECIPE.space) == {1: 1}


class TestIncomplete:
    def switch(self, store: Store) -> None:
        """Another space comes into use in which the second picture is not embedded yet."""
        grouped(store)
        store.write_now(contents.record_content, content(ANNA, face_answer(11), recipe=OTHER), NOON)
        carried = store.read_now(spaces.carried_members, RECIPE.space, OTHER.space)
        joins = tuple(Join(face_id, member.identity, 0.1, member.how) for face_id, member in carried.items())
        store.write_now(spaces.use_space, OTHER.space, changes(joins=joins), NOON)

    def test_an_identity_waits_for_members_in_pictures_that_a_source_has(self, store: Store) -> None:
        self.switch(store)
        assert store.read_now(former_members.incomplete_identities, OTHER.space) == {1}

    def test_not_when_they_are_embedded(self, store: Store) -> None:
        self.switch(store)
        store.write_now(contents.record_content, content(BEN, face_answer(12), recipe=OTHER), NOON)
        assert store.read_now(former_members.incomplete_identities, OTHER.space) == frozenset()

    def test_nor_when_the_picture_is_gone(self, store: Store) -> None:
        self.switch(store)
        store.write_now(assets.mark_gone, "anna", BEN.asset_id)
        assert store.read_now(former_members.incomplete_identities, OTHER.space) == frozenset()

    def test_nor_when_the_identity_ended(self, store: Store) -> None:
        grouped(store)
        store.write_now(identities.apply_grouping, changes(leaves=(1, 2), ended=(Former(1, 1), Former(2, 1))), NOON)
        store.write_now(spaces.use_space, OTHER.space, changes(), NOON)
        assert store.read_now(former_members.incomplete_identities, OTHER.space) == frozenset()
