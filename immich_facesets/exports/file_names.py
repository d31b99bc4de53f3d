"""File names made from text that users typed: readable, and safe on every file system an export may be copied to."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from immich_facesets.names import faceset_name, name_key

_Key = TypeVar("_Key", bound=Hashable)
FacesetKey = tuple[int, str | None]
"""An identity and the name of one of its eras, None for the whole person."""

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
    stem, dot, rest = name.partition(".")
    if stem.strip().casefold() in _DEVICES:  # "con" and "con.old" alike; readers skip names that begin with "_"
        name = f"{stem.strip()}_{dot}{rest}"
    name = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip(". ")
    return name if name.replace("_", "").strip(". ") else ""


def unique_names(names: Mapping[_Key, str], suffixes: Mapping[_Key, str], *, separator: str = "-") -> dict[_Key, str]:
    """
    Return the names, those that equal another one except for case or composition with ``separator`` and their suffix.

    No two of the result are equal: a name that equals another with a suffix gets one, too. Suffixes differ, and hold
    no ``separator``. A unique name stays as it is.
    """
    found = dict(names)
    while True:
        folded = Counter(map(name_key, found.values()))
        if len(folded) == len(found):
            return found
        found = {
            key: name if folded[name_key(name)] == 1 else f"{name}{separator}{suffixes[key]}"
            for key, name in found.items()
        }


def marker_name(label: str | None, faceset: str) -> str:
    """
    Return the file name of the marker for users who browse: from the label, or the faceset's name without a usable
    label.
    """
    name = safe_name(label or "") or faceset
    return f"_{name}.txt" if f"{name}.txt".casefold() == THIN_NOTE.casefold() else f"{name}.txt"


def titles_of(labels: Mapping[FacesetKey, str | None]) -> dict[FacesetKey, str]:
    """
    Return the name of every face set as programs show it: the label of its identity, and its era.

    A number is added where two would be equal. ``labels``: by identity and the name of the era, None without one.
    """
    people = {identity: label or faceset_name(identity) for (identity, _), label in labels.items()}
    people = unique_names(people, {identity: f"{identity:03d}" for identity in people})
    names = {(one, era): people[one] if era is None else f"{people[one]} {era}" for one, era in labels}
    return unique_names(names, {(one, era): f"{one:03d}{(era or '').replace('-', '_')}" for one, era in labels})


def file_stems_of(titles: Mapping[FacesetKey, str]) -> dict[FacesetKey, str]:
    """
    Return the name of every face set as a file name without extension; ``titles`` as made by ``titles_of``.

    No two are equal, so that files of all face sets may lie in one folder: ``A/B`` and ``A:B`` both become ``A_B``, and
    have their numbers behind it.
    """
    stems = {(one, era): safe_name(title) or faceset_name(one, era) for (one, era), title in titles.items()}
    return unique_names(stems, {(one, era): f"{one:03d}{(era or '').replace('-', '_')}" for one, era in titles})


def user_directories(users: Iterable[str]) -> dict[str, str]:
    """
    Return the directory of every user below ``users/``: the name itself where it is safe.

    A name gets a suffix from its hash if it had to be changed, or if it equals another except for case. Two users
    therefore never share a directory.
    """
    safe = {user: safe_name(user) or "user" for user in users}
    folded = Counter(map(name_key, safe.values()))
    names = {
        user: name if name == user and folded[name_key(name)] == 1 else f"{name}-{_suffix(user)}"
        for user, name in safe.items()
    }
    return unique_names(names, {user: _suffix(user) for user in names})


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Zl", "Zp"} or category.startswith("Z"):
        return " "
    if category.startswith("C"):
        return ""
    return "_" if character in _FORBIDDEN else character


def _suffix(user: str) -> str:
    return hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()[:8]
