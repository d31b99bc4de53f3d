"""Assignment of people of sources to identities."""

from immich_facesets.grouping.identities import People


def test_a_person_without_a_name_any_more_separates_nothing() -> None:
    someone = People({1: frozenset({("anna", "a")}), 2: frozenset({("anna", "b")})}, {("anna", "b"): "Zoe"})
    assert not someone.conflict(1, 2)
    assert not someone.has_other(1, ("anna", "b"))


def test_people_of_one_source_tell_identities_apart() -> None:
    known = {
        1: frozenset({("anna", "a")}),
        2: frozenset({("anna", "b"), ("berta", "x")}),
        3: frozenset[tuple[str, str]](),
    }
    names = {
        ("anna", "a"): "Mia",
        ("anna", "b"): "Zoe",
        ("anna", "c"): "Ida",
        ("anna", "d"): " mia",
        ("berta", "x"): "Mia",
    }
    someone = People(known, names)
    assert someone.conflict(1, 2)
    assert not someone.conflict(1, 3)
    assert someone.has_other(1, ("anna", "c"))
    assert not someone.has_other(1, ("anna", "a"))
    assert not someone.has_other(1, ("berta", "x"))
    assert not someone.has_other(1, ("anna", "d")), "one name of one source"
    someone.detach({1})
    assert someone.of(1) == frozenset()
