"""Assignment of people of sources to identities."""

from immich_facesets.grouping.identities import People


def test_people_of_one_source_tell_identities_apart() -> None:
    someone = People({1: frozenset({("anna", "a")}), 2: frozenset({("anna", "b"), ("berta", "x")}), 3: frozenset()})
    assert someone.conflict(1, 2)
    assert not someone.conflict(1, 3)
    assert someone.has_other(1, ("anna", "c"))
    assert not someone.has_other(1, ("anna", "a"))
    assert not someone.has_other(1, ("berta", "x"))
    someone.detach({1})
    assert someone.of(1) == frozenset()
