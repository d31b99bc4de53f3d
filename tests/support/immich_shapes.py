"""Comparison of JSON answers by shape (keys, types, which values may be null) and by value."""

from collections.abc import Collection, Iterator
from typing import Any


def kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def shape(value: Any, path: str = "$") -> dict[str, set[str]]:
    """
    The kinds of value at each path; the items of a list share one path.

    An optional key shows as the kind ``absent`` when some object at the same path lacks it.
    """
    found: dict[str, set[str]] = {path: {kind(value)}}
    if isinstance(value, list):
        parts = [shape(item, f"{path}[]") for item in value]
    elif isinstance(value, dict):
        parts = [shape(item, f"{path}.{name}") for name, item in value.items()]
    else:
        return found
    for part in parts:
        for place, kinds in part.items():
            found.setdefault(place, set()).update(kinds)
    if isinstance(value, list):
        objects = [set(item) for item in value if isinstance(item, dict)]
        for name in set().union(*objects):
            if any(name not in keys for keys in objects):
                found[f"{path}[].{name}"].add("absent")
    return found


def shape_differences(ours: Any, theirs: Any, extra: Collection[str] = ()) -> list[str]:
    """
    Return the paths at which our answer has another shape than theirs; ``extra`` names keys that ours alone may have.

    A path below an empty list is known to only one side and passes.
    """
    mine, recorded = shape(ours), shape(theirs)
    empty = {f"{path}[]" for path, kinds in (mine | recorded).items() if "array" in kinds} - (
        mine.keys() & recorded.keys()
    )
    told = []
    for path in sorted(mine.keys() | recorded.keys()):
        if any(path.startswith(known) for known in empty) or path.rsplit(".", 1)[-1] in extra:
            continue
        if any(parent(path, name) in path for name in extra):
            continue
        if mine.get(path) != recorded.get(path):
            told.append(f"{path}: {sorted(mine.get(path, ()))} instead of {sorted(recorded.get(path, ()))}")
    return told


def parent(path: str, name: str) -> str:
    """Yield every value below a key of this name."""
    return f".{name}[]" if f".{name}[]" in path else f".{name}."


def value_differences(ours: Any, theirs: Any, ignored: Collection[str] = (), path: str = "$") -> Iterator[str]:
    """Return the paths at which our answer has another value than theirs, except under the keys ignored."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(ours.keys() | theirs.keys()):
            if name in ignored:
                continue
            if name not in ours or name not in theirs:
                yield f"{path}.{name}: {'missing' if name not in ours else 'too much'}"
            else:
                yield from value_differences(ours[name], theirs[name], ignored, f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{path}: {len(ours)} items instead of {len(theirs)}"
        for place, (mine, recorded) in enumerate(zip(ours, theirs, strict=False)):
            yield from value_differences(mine, recorded, ignored, f"{path}[{place}]")
    elif ours != theirs:
        yield f"{path}: {ours!r} instead of {theirs!r}"
