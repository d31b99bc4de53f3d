"""The file of all identities: one form, and numbers that are found again."""

import msgspec
import pytest

from immich_facesets.exports.identities_file import (
    CoverRecord,
    IdentitiesFile,
    IdentityRecord,
    MemberRecord,
    head_of,
    identities_file,
    line_of,
    numbers_in,
    variance_of,
)

BOX = (1.0, 2.0, 3.5, 4.0)


def record(number: int, label: str | None = None) -> IdentityRecord:
    member = MemberRecord(sha256="ab" * 32, box=BOX, distance=0.2, how="matched", confidence=None)
    return IdentityRecord(
        number=number,
        label=label,
        origin="discovered",
        is_locked=False,
        is_never_exported=False,
        faces=1,
        pictures=1,
        how={"matched": 1},
        cover=CoverRecord(sha256="ab" * 32, box=BOX),
        centroid_norm=1.0,
        variance=0.0,
        eras=(),
        members=(member,),
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_file_is_the_value_with_one_identity_a_line(count: int) -> None:
    records = tuple(record(number, f'"{number}"\n]}}') for number in range(1, count + 1))
    head = head_of(space="s", distances={"match": 0.5}, guardrails=["too many stand alone"])
    body = identities_file(head, map(line_of, records))
    whole = IdentitiesFile(
        schema=1, space="s", distances={"match": 0.5}, guardrails=("too many stand alone",), identities=records
    )
    assert msgspec.json.decode(body, type=IdentitiesFile) == whole
    assert len(body.splitlines()) == count + 2
    assert numbers_in(body) == set(range(1, count + 1))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"identities": [{"number": "x"}]}', b"\xff"])
def test_another_file_has_no_identities(body: bytes) -> None:
    assert numbers_in(body) == frozenset()


def test_equal_faces_have_no_variance_and_opposite_ones_all() -> None:
    assert (variance_of(1.0), variance_of(0.0)) == (0.0, 1.0)
    assert variance_of(1.0 + 1e-9) == 0.0
