"""Names on disk made from what people typed: readable, and safe on every file system an export may be copied to."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable

MAX_NAME_BYTES = 120
"""Every file system takes 255 bytes a name; this leaves room for a suffix and for a deep folder on Windows."""

THIN_NOTE = "THIN.txt"

OURS = ".facesets-"
"""Names in the export folder that begin with this are drafts of ours, to delete at any time."""

_FORBIDDEN = frozenset('<>:"/\\|?*')  # by Windows; "/" everywhere
_DEVICES = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$")) | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}


def safe_name(text: str) -> str:
    """
    The text as one file name without extension; empty when nothing of it is left.

    No separators, no control, format or unpaired characters, no leading or trailing dots or blanks, no device name
    of Windows, at most ``MAX_NAME_BYTES`` in UTF-8.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(_kept(character) for character in composed)
    name = " ".join(kept.split()).strip(". ")
    name = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip(". ")
    if not name.replace("_", "").strip(". "):
        return ""
    return f"_{name}" if name.split(".")[0].strip().casefold() in _DEVICES else name


def marker_name(label: str | None, faceset: str) -> str:
    """The file name of the marker for people who browse: the label's, or the faceset's without a usable label."""
    name = safe_name(label or "") or faceset
    return f"_{name}.txt" if f"{name}.txt".casefold() == THIN_NOTE.casefold() else f"{name}.txt"


def user_directories(users: Iterable[str]) -> dict[str, str]:
    """
    The directory of every user below ``users/``: the name itself where it is safe.

    A name that had to be changed, or that equals another but for upper and lower case, gets a suffix from its hash, so
    two users never share a directory.
    """
    names = {user: safe_name(user) or "user" for user in users}
    folded = Counter(name.casefold() for name in names.values())
    return {
        user: name if name == user and folded[name.casefold()] == 1 else f"{name}-{_suffix(user)}"
        for user, name in names.items()
    }


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Zl", "Zp"} or category.startswith("Z"):
        return " "
    if category.startswith("C"):
        return ""
    return "_" if character in _FORBIDDEN else character


def _suffix(user: str) -> str:
    return hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()[:8]
