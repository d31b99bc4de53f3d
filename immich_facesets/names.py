"""Names of people and users, compared as readers read them and kept as they were written, and names of face sets."""

import unicodedata


def name_key(name: str) -> str:
    """
    Return a key that all spellings of one name share: case, composition and runs of blanks do not count.

    Folders and uploads of macOS have decomposed names. (Source: canonical caseless matching, the Unicode Standard,
    section 3.13, D145.)
    """
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", " ".join(folded.split()))


def faceset_name(number: int, era: str | None = None) -> str:
    """Return the name of an identity's face set, or of an era of it: ``faceset_001``, ``faceset_001_era_2011``."""
    whole = f"faceset_{number:03d}"
    return whole if era is None else f"{whole}_era_{era}"
