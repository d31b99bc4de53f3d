"""Names as they are compared."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.names import name_key

names = st.text(max_size=20)


@given(names)
def test_spellings_of_one_name_are_equal(name: str) -> None:
    spellings = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")] + [f" {name}  ", name.upper().lower()]
    keys = {name_key(spelling) for spelling in spellings[:3]}
    assert keys == {name_key(name)}
    assert name_key(name_key(name)) == name_key(name)


def test_accents_and_other_letters_are_not_the_same() -> None:
    assert len({name_key(name) for name in ("Zoe", "Zo\u00eb", "Zoi", "")}) == 4
    assert name_key("Zo\u00eb  BELL") == name_key("zoe\u0308 bell")
