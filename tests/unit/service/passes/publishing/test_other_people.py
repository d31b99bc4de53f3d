"""The export folder as an export of some people reads it."""

from typing import Any

from immich_facesets.exports.visomaster import VISOMASTER
from service.passes.publishing.other_people import OtherPeople

HOME = VISOMASTER.folder


def entry(identity: int, whole: str | None = "all.fsz") -> dict[str, Any]:
    name = f"faceset_{identity:03d}"
    return {"identity": identity, "name": name, "directory": name, "bundles": {"all": whole}}


def expected(*entries: dict[str, Any], off: tuple[int, ...] = ()) -> list[str]:
    """The directories of others, while everybody up to 5 has one on the disk and person 1 is exported alone."""
    owners = {f"{HOME}/faceset_{number:03d}": number for number in range(1, 6)}
    others = OtherPeople(frozenset({1}), owners, entries)
    return others.expected_in(VISOMASTER, {}, dict.fromkeys(off, (VISOMASTER.name,)))


def test_the_file_of_everybody_is_made_of_the_listed_face_sets_of_others_alone() -> None:
    every = [entry(number) for number in (1, 2, 4)]
    assert expected(*every) == [f"{HOME}/faceset_002", f"{HOME}/faceset_004"], "3 and 5 may be barred from export"
    assert expected(*every, off=(2,)) == [f"{HOME}/faceset_004"], "what is left of a profile that is off"
    assert expected(entry(2, whole=None)) == [], "no face of it may be used for swapping"
