"""Scope of a grouping: all faces after a change of its inputs or by the schedule, otherwise new ones only."""

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from builders import INFO, NOON, asset, content, face_answer, hint, plans, unit, unit_like

from immich_facesets.assets import Person
from immich_facesets.grouping.plan import GroupingReport, GroupingRules
from immich_facesets.listing import ListingRules
from immich_facesets.moderation.decisions import Label
from immich_facesets.spaces import BUFFALO_L, operating_points
from service.passes.context import PassContext
from service.passes.group import Group
from service.passes.group_inputs.inputs import current_faces, decide, space_in_use
from service.passes.group_inputs.scope import basis_of, fresh_faces
from service.progress import ProgressBoard
from service.reports.status import stored_status
from service.settings import Settings
from service.store import assets, contents, decisions, face_readings, identities, named_values, sources
from service.store.database import Store
from service.store.named_values import Scope, read_scope, write_scope

DAY = timedelta(days=1)
IDS = np.arange(1, 101)
SCOPE = Scope("basis", 95, NOON)


def test_what_came_since_is_fresh() -> None:
    assert fresh_faces(IDS, SCOPE, "basis", NOON + DAY / 2, DAY) == frozenset({96, 97, 98, 99, 100})


def test_nothing_new_is_nothing_to_look_at() -> None:
    assert fresh_faces(IDS[:95], SCOPE, "basis", NOON, DAY) == frozenset()


@pytest.mark.parametrize(
    ("before", "basis", "at"),
    [
        (None, "basis", NOON),
        (SCOPE, "another", NOON),
        (SCOPE, "basis", NOON + DAY),
        (SCOPE, "basis", NOON - DAY),
        (Scope("basis", 79, NOON), "basis", NOON),
    ],
    ids=["never before", "other rules", "it is time", "the clock was set back", "many came"],
)
def test_all_faces_are_looked_at_when_it_may_matter(before: Scope | None, basis: str, at: object) -> None:
    assert fresh_faces(IDS, before, basis, at, DAY) is None  # type: ignore[arg-type]  # an instant


def test_all_that_a_grouping_goes_by_is_in_its_basis() -> None:
    usual = basis_of("s", BUFFALO_L, GroupingRules(), 0, {})
    others = [
        basis_of("t", BUFFALO_L, GroupingRules(), 0, {}),
        basis_of("s", operating_points("w600k_mbf"), GroupingRules(), 0, {}),
        basis_of("s", BUFFALO_L, GroupingRules(min_faces=6), 0, {}),
        basis_of("s", BUFFALO_L, GroupingRules(method="plain"), 0, {}),
        basis_of("s", BUFFALO_L, GroupingRules(), 1, {}),
        basis_of("s", BUFFALO_L, GroupingRules(), 0, {("anna", "p"): ("2001-02-03",)}),
    ]
    assert len({usual, *others}) == 7
    assert basis_of("s", BUFFALO_L, GroupingRules(), 0, {}) == usual


class Syncs:
    """Groupings of one store, with a clock that the test moves."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.now = store, NOON
        settings = Settings(data_dir=folder, min_faces=3, thresholds="fixed")
        self.conditions = PassContext(
            store=store, settings=settings, board=ProgressBoard(), stop=asyncio.Event(), clock=lambda: self.now
        )
        self.info = INFO
        store.write_now(sources.remember_source, "anna", "immich", "user-1")

    def add(self, *names: str, vector: bytes | None = None) -> None:
        for name in names:
            item = asset(name, checksum=name.rjust(40, "0"))
            self.store.write_now(assets.remember_page, plans(item), run_id=1)
            digest = name.encode().hex().rjust(64, "0")
            number = sum(name.encode())
            answer = face_answer(number)
            mira = unit_like(1, number) if name.startswith("mira") else None
            if (found := vector or mira) is not None:
                answer = msgspec.structs.replace(answer, embedding=found)
            self.store.write_now(contents.record_content, content(item, answer, sha256=digest), NOON)

    async def group(self) -> GroupingReport:
        group = Group(self.conditions, self.info, sources=["anna"])
        report = await group.run()
        assert report is not None
        self.counts = group.counts
        return report


async def test_the_first_sync_looks_at_all_and_the_next_only_at_what_came(store: Store, tmp_path: Path) -> None:
    syncs = Syncs(store, tmp_path)
    syncs.add(*(f"mira{number}" for number in range(5)), *(f"stranger{number}" for number in range(6)))
    assert (await syncs.group()).guardrails is not None
    assert len(store.read_now(identities.all_memberships)) == 5
    told = store.read_now(named_values.read_value, named_values.GUARDRAILS)
    syncs.add("mira5")
    syncs.now += timedelta(hours=1)
    assert (await syncs.group()).guardrails is None
    assert len(store.read_now(identities.all_memberships)) == 6
    assert store.read_now(named_values.read_value, named_values.GUARDRAILS) == told, (
        "the report of the full grouping is kept"
    )
    syncs.now += DAY
    assert (await syncs.group()).guardrails is not None, "once a day"


async def test_faces_in_a_direction_of_nobody_become_no_identity_in_a_sync_and_in_a_preview(
    store: Store, tmp_path: Path
) -> None:
    syncs = Syncs(store, tmp_path)
    syncs.add(*(f"mira{number}" for number in range(5)), *(f"stranger{number}" for number in range(6)))
    miras = np.frombuffer(unit_like(1, 1), "<f4").astype(np.float64)
    syncs.info = msgspec.structs.replace(INFO, blank=(tuple((miras / np.linalg.norm(miras)).tolist()),))
    assert (await syncs.group()).members == 0
    space = await space_in_use(syncs.conditions)
    assert space.blank == syncs.info.blank
    assert not (await decide(syncs.conditions, space, await current_faces(store, space))).plan.new
    syncs.info = INFO
    syncs.now += DAY
    assert (await syncs.group()).members == 5, "nothing is known of this recogniser"


async def test_a_decision_has_everything_looked_at_again(store: Store, tmp_path: Path) -> None:
    syncs = Syncs(store, tmp_path)
    syncs.add(*(f"mira{number}" for number in range(5)))
    await syncs.group()
    assert (await syncs.group()).guardrails is None
    store.write_now(decisions.record_decision, Label(identity=1, label="Mira"), made_by="anna", now=NOON)
    assert (await syncs.group()).guardrails is not None


async def test_a_grouping_cut_off_before_it_was_noted_is_made_up_for(store: Store, tmp_path: Path) -> None:
    syncs = Syncs(store, tmp_path)
    syncs.add(*(f"mira{number}" for number in range(8)))
    await syncs.group()
    noted = store.read_now(read_scope)
    assert noted is not None
    syncs.add("mira8")
    await syncs.group()
    store.write_now(write_scope, noted)  # as if the process had been killed between the two writes
    before = store.read_now(identities.all_memberships)
    await syncs.group()
    assert store.read_now(identities.all_memberships) == before
    assert store.read_now(read_scope) != noted


async def test_a_face_that_two_people_are_as_near_to_is_counted_for_a_person_to_see(
    store: Store, tmp_path: Path
) -> None:
    syncs = Syncs(store, tmp_path)
    one, two = (np.frombuffer(unit(seed), dtype="<f4") for seed in (1, 2))
    between = ((one + two) / np.linalg.norm(one + two)).astype("<f4")
    for seed in (1, 2):
        for number in range(4):
            syncs.add(f"{seed}-{number}", vector=unit_like(seed, number))
    await syncs.group()
    assert (syncs.counts.new_identities, syncs.counts.undecided) == (2, 0)
    syncs.add("between", vector=between.tobytes())
    await syncs.group()
    assert (syncs.counts.joined, syncs.counts.undecided) == (0, 1)


async def test_a_scope_of_another_version_is_forgotten(store: Store) -> None:
    store.write_now(named_values.write_value, "grouped", {"some": "thing"})
    assert store.read_now(read_scope) is None


async def test_a_face_that_its_owner_moves_follows_and_the_status_names_it(store: Store, tmp_path: Path) -> None:
    syncs = Syncs(store, tmp_path)
    names = {"mira": [f"mira{number}" for number in range(5)], "zoe": [f"zoe{number}" for number in range(4)]}
    syncs.add(*names["mira"])
    syncs.add(*names["zoe"], vector=unit(77))
    store.write_now(sources.remember_people, "anna", [Person(name, name, None, is_hidden=False) for name in names])

    def look(name: str, person: str | None) -> None:
        found = (hint("f1", person_id=person),) if person else ()
        item = asset(name, checksum=name.rjust(40, "0"))
        store.write_now(face_readings.record_look, item, found, now=NOON, rules=ListingRules())

    for person, pictures in names.items():
        for picture in pictures:
            look(picture, person)
    await syncs.group()
    numbers = {name: number for number, name in store.read_now(identities.labels).items()}
    members = store.read_now(identities.all_memberships)
    assert sorted(members.values()) == sorted([numbers["mira"]] * 5 + [numbers["zoe"]] * 4)
    assert (await stored_status(store, None)).guardrails == ()

    look("mira0", "zoe")
    look("mira1", None)
    await syncs.group()
    after = store.read_now(identities.all_memberships)
    assert {face: (members[face], after.get(face)) for face in members if after.get(face) != members[face]} == {
        1: (numbers["mira"], numbers["zoe"]),
        2: (numbers["mira"], None),
    }
    (sentence,) = (await stored_status(store, None)).guardrails
    assert f"person {numbers['zoe']}" in sentence
    assert "anna" in sentence
    assert "mira" not in sentence
    syncs.now += DAY
    await syncs.group()
    assert store.read_now(identities.all_memberships) == after, "also when all is looked at again"
