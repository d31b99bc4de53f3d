"""Eras imported from another tool, beside computed eras."""

from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.eras import KeptEra, imported_era, take_over

FACES = st.frozensets(st.integers(1, 12), max_size=8)


def eras(named: dict[str, frozenset[int]], *, apart: bool) -> list[KeptEra]:
    """One era for each name; ``apart``: a face is in at most one of them."""
    taken: frozenset[int] = frozenset()
    found = []
    for name, faces in sorted(named.items()):
        found.append(KeptEra(name, None, None, None, faces - taken if apart else faces))
        taken |= faces
    return found


def test_an_imported_era_keeps_its_name_and_its_years() -> None:
    era = imported_era("2011_2", 2010, 2013, frozenset({1}))
    assert (era.name, era.from_year, era.main_year, era.to_year) == ("2011_2", 2010, 2011, 2013)
    assert imported_era("school", 2001, 2008, frozenset()).main_year == 2004
    assert imported_era("undated", None, None, frozenset()).main_year is None
    assert take_over([], [era]) == (era,)


def test_what_was_split_here_since_then_stands() -> None:
    here = KeptEra("2012", 2012, 2012, 2012, frozenset({1, 2, 3}))
    assert take_over([here], [imported_era("2011", None, None, frozenset({1, 2, 4}))]) == (here,)


def test_an_era_called_by_its_year_takes_the_name_that_somebody_gave_the_same_faces() -> None:
    here = KeptEra("2012", 2011, 2012, 2013, frozenset({1, 2, 3}), {4: 0.9})
    (era,) = take_over([here], [imported_era("school", 2001, 2020, frozenset({1, 2, 4}))])
    assert era == KeptEra("school", 2011, 2012, 2013, frozenset({1, 2, 3}), {4: 0.9})
    assert take_over([era], [imported_era("school", 2001, 2020, frozenset({1, 2, 4}))]) == (era,)


def test_a_name_that_somebody_gave_here_or_that_fits_only_a_part_stays() -> None:
    named = KeptEra("college", 2012, 2012, 2012, frozenset({1, 2, 3}))
    assert take_over([named], [imported_era("school", None, None, frozenset({1, 2, 3}))]) == (named,)
    larger = KeptEra("2012", 2012, 2012, 2012, frozenset(range(1, 10)))
    assert take_over([larger], [imported_era("school", None, None, frozenset({1, 2, 3}))]) == (larger,)


def test_loose_faces_of_an_imported_era_found_the_one_of_its_name() -> None:
    here = KeptEra("2011", 2011, 2011, 2012, frozenset({1}), {2: None})
    (era,) = take_over([here], [imported_era("2011", 2001, 2020, frozenset({2, 3, 4}))])
    assert (era.founders, era.joined, era.to_year) == (frozenset({1, 3, 4}), {2: None}, 2012)


@given(kept=st.dictionaries(st.sampled_from("abc"), FACES), brought=st.dictionaries(st.sampled_from("bcd"), FACES))
def test_taking_over_again_changes_nothing_and_no_face_is_in_two_eras(
    kept: dict[str, frozenset[int]], brought: dict[str, frozenset[int]]
) -> None:
    once = take_over(eras(kept, apart=True), eras(brought, apart=False))
    assert take_over(once, eras(brought, apart=False)) == once
    members = [face for era in once for face in era.face_ids]
    assert len(set(members)) == len(members)
