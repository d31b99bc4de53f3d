"""Reference pictures in a grouping: they place faces, and no plan names them."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import Library, people, table_of

from immich_facesets.grouping.plan import GroupingPlan
from immich_facesets.grouping.references import ReferenceFaces, with_references, without_references
from immich_facesets.grouping.rules import Method
from immich_facesets.moderation.constraints import Constraints

KNOWN = 9
"""The number of the person with reference pictures."""


def grouped(library: Library, references: ReferenceFaces, decided: Constraints) -> GroupingPlan:
    owners = references.owners(decided)
    faces, placed = with_references(library.table, references, decided)
    members = {**library.memberships, **references.members(decided, library.known.values())}
    whole = replace(library, table=faces, constraints=placed, memberships=members)
    return without_references(whole.plan(), len(owners))


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.integers(1, 3),
    st.sampled_from(["careful", "plain"]),
)
@settings(max_examples=40, deadline=None)
def test_faces_like_a_reference_are_its_person_and_no_result_names_it(
    seed: int, sizes: list[int], sent: int, method: Method
) -> None:
    vectors, who = people(np.random.default_rng(seed), [sizes[0] + sent, *sizes[1:]], spread=0.3)
    table = table_of(vectors[sent:])
    ids = -np.arange(1, sent + 1)
    references = ReferenceFaces(
        table_of(vectors[:sent], face_ids=ids, pictures=ids), {int(one): str(one) for one in ids}
    )
    library = Library(table)
    library.rules = replace(library.rules, method=method)
    nobody = grouped(library, references, Constraints())
    assert nobody == library.plan(), "a picture of nobody changes nothing"
    decided = Constraints(references=dict.fromkeys(references.digests.values(), KNOWN), mentioned=frozenset({KNOWN}))
    plan = grouped(library, references, decided)
    assert (KNOWN, "asserted") in {(one.number, one.origin) for one in plan.new}, "as after an import"
    named = {one.face_id: one.identity for one in plan.joins}
    mine = {int(face) for face, person in zip(table.face_ids, who[sent:], strict=True) if person == 0}
    assert {face for face, number in named.items() if number == KNOWN} == mine
    assert min([*named, *plan.leaves, *(one.face_id for one in plan.dissolved), 1]) > 0
    assert (plan.report.faces, plan.report.members) == (len(table), len(named))
