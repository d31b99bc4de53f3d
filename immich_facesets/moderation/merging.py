"""The decision that two or more identities are one person, and what follows from them."""

from immich_facesets.errors import RequestError
from immich_facesets.moderation.decisions import Merge, Part
from immich_facesets.moderation.facts import Facts, KnownIdentity, refs, some
from immich_facesets.moderation.requests import MergePeople
from immich_facesets.names import name_key


def merge(request: MergePeople, facts: Facts) -> Merge:
    """
    Return the merge. The survivor is the named one: where only a part has a name, that part takes the other over.

    ``RequestError`` where several have different names and the request chooses none.
    """
    numbers = list(dict.fromkeys(facts.identity(number).number for number in (request.into, *request.numbers)))
    if len(numbers) == 1:
        raise RequestError(f"{some([request.into, *request.numbers])} are identity {numbers[0]} already")
    into, parts = facts.identity(numbers[0]), [facts.identity(number) for number in numbers[1:]]
    label = _chosen_label(request, into, parts)
    return Merge(
        into=into.number,
        parts=tuple(Part(one.number, refs(facts.members(one.number)), one.people) for one in parts),
        label=label if label != into.own_label else None,
        label_before=into.own_label if label not in (None, into.own_label) else None,
        cover=next((one.cover for one in parts if one.cover), None) if into.cover is None else None,
        is_locked=not into.is_locked and any(one.is_locked for one in parts),
        is_hidden=not into.is_hidden and any(one.is_hidden for one in parts),
        profiles_off=_profiles_off(into, parts, facts),
        label_of=None if request.label is not None or label is None else _owner(label, parts),
    )


def _owner(label: str, parts: list[KnownIdentity]) -> int | None:
    """Return the part to which decisions gave a name."""
    return next((one.number for one in parts if one.own_label == label), None)


def _profiles_off(into: KnownIdentity, parts: list[KnownIdentity], facts: Facts) -> tuple[str, ...]:
    """Return the profiles that are written for the survivor, and not for a part."""
    known = facts.constraints.profiles_off
    off = {name for one in parts for name in known.get(one.number, ())}
    return tuple(sorted(off - {*known.get(into.number, ())}))


def _chosen_label(request: MergePeople, into: KnownIdentity, parts: list[KnownIdentity]) -> str | None:
    """Return the name to write: the chosen one, or none where there is only one name and sources or decisions keep it."""
    everybody = [into, *parts]
    names = {name_key(one.label): one for one in reversed(everybody) if one.label is not None}
    if request.label is None:
        if len(names) > 1:
            named = [one.number for one in everybody if one.label is not None]
            raise RequestError(
                f"identities {some(named)} have different names: choose the one that stays (--label NAME)"
            )
        (only,) = names.values() if names else (None,)
        return only.label if only is not None and only.own_label is not None else None
    if len(names) > 1 and name_key(request.label) not in names:
        raise RequestError("none of the identities has the chosen name: merge first, then name the result")
    return " ".join(request.label.split()) or None
