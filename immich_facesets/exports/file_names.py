"""File names made from text that users typed: readable, and safe on every file system an export may be copied to."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable

MAX_NAME_BYTES = 120
"""File systems allow 255 bytes a name; this leaves room for a suffix and for a deep folder on Windows."""

THIN_NOTE = "THIN.txt"

OURS = ".facesets-"
"""Names in the export folder that begin with this are our drafts, which may be deleted at any time."""

_FORBIDDEN = frozenset('<>:"/\\|?*')  # by Windows; "/" everywhere
_DEVICES = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$")) | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}


def safe_name(text: str) -> str:
    """
    Return the text as one file name without extension; empty when no character remains.

    It has no separators, no control, format or unpaired characters, no leading or trailing dots or blanks. It is no
    device name of Windows and has at most ``MAX_NAME_BYTES`` in UTF-8.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(_kept(character) for character in composed)
    name = " ".join(kept.split()).strip(". ")
    name = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip(". ")
    if not name.replace("_", "").strip(". "):
        return ""
    return f"_{name}" if name.split(".")[0].strip().casefold() in _DEVICES else name


def marker_name(label: str | None, faceset: str) -> str:
    """
    Return the file name of the marker for users who browse: from the label, or the faceset's name without a usable
    label.
    """
    name = safe_name(label or "") or faceset
    return f"_{name}.txt" if f"{name}.txt".casefold() == THIN_NOTE.casefold() else f"{name}.txt"


def user_directories(users: Iterable[str]) -> dict[str, str]:
    """
    Return the directory of every user below ``users/``: the name itself where it is safe.

    A name gets a suffix from its hash if it had to be changed, or if it equals another except for case. Two users
    therefore never share a directory.
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
