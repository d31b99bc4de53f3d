"""Names of people and users, compared as readers read them and kept as they were written."""

import unicodedata


def name_key(name: str) -> str:
    """
    Return what two spellings of one name have in common: neither case, composition nor runs of blanks count.

    Folders and uploads of macOS have decomposed names. (Source: canonical caseless matching, the Unicode Standard,
    section 3.13, D145.)
    """
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", " ".join(folded.split()))
