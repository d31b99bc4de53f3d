"""The faces that may show a minor: everything known about them is gathered here, and decided by a pure rule."""

from collections.abc import Mapping, Sequence

from immich_facesets.assets import PersonKey
from immich_facesets.facesets.minors import DatedFace, Held, Knowledge, YearlyMeans, held_back
from immich_facesets.grouping.plan import Link
from immich_facesets.moderation.constraints import Constraints
from service.computation import compute
from service.passes.context import PassContext
from service.passes.group_inputs.operating_points import points_today
from service.store import births, contents, decisions, faces, past_people, spaces
from service.store.database import Store
from service.store.named_values import read_thresholds

_VECTORS_AT_ONCE = 20_000

_AT_ANY_DATE = "a minor"
"""In place of a birth date: the rule counts one that it cannot read as that of a minor."""


async def held_faces(store: Store, space: str, *, within: float) -> dict[int, Held]:
    """
    Return why faces of a space are held back from bundles for swapping, by face id; the others are free.

    ``within``: the cosine distance at which two identities may be one person.
    """
    constraints: Constraints = await store.read(decisions.constraints_now, space)
    born = await store.read(births.births_of_people)
    if not (born or _stated(constraints)):
        return {}
    seen = await store.read(past_people.dated_faces, space)
    known = await _knowledge(store, space, born, seen, constraints)
    alike = {
        number: {birth for _, birth in minors}
        for number, minors in (await _alike(store, space, known, seen, within=within)).items()
    }
    for number, people in (await store.read(past_people.minors_alike)).items():
        alike.setdefault(constraints.current(number), set()).update(known.born(people))
    return await compute(held_back, seen, known, alike)


async def keep_likenesses(context: PassContext) -> None:
    """
    Record which identities resemble minors, before faces of these are dropped because no source has their pictures.

    With them goes the knowledge how the minors look, and other sources' pictures of the same children stay.
    """
    store = context.store
    used, born = await store.read(read_thresholds), await store.read(births.births_of_people)
    if used is None or used.space != await store.read(spaces.active_space):
        return
    orphans: set[int] = await store.read(contents.orphaned_faces, used.space)
    if not orphans:
        return
    seen = await store.read(past_people.dated_faces, used.space)
    constraints: Constraints = await store.read(decisions.constraints_now, used.space)
    if not (born or _stated(constraints)):
        return
    known = await _knowledge(store, used.space, born, seen, constraints)
    lost = known.people_of(face for face in seen if face.face_id in orphans)
    if not lost:
        return
    within = points_today(context.settings, used).match
    alike = await _alike(store, used.space, known, seen, within=within)
    links = {Link(*person, number) for number, minors in alike.items() for person, _ in minors if person in lost}
    await store.write(past_people.keep_likenesses, links)


async def _alike(
    store: Store, space: str, known: Knowledge, seen: Sequence[DatedFace], *, within: float
) -> dict[int, set[tuple[PersonKey, str]]]:
    """Return the minors whom each identity resembles, with their birth dates, by number."""
    means, dimension = YearlyMeans(known), await store.read(faces.dimension_of, space)
    for start in range(0, len(seen), _VECTORS_AT_ONCE):
        some = seen[start : start + _VECTORS_AT_ONCE]
        vectors = await store.read(contents.vectors_of, [face.face_id for face in some], dimension)
        await compute(means.add, some, vectors)
    return await compute(means.of_minors, within)


async def _knowledge(
    store: Store,
    space: str,
    born: Mapping[PersonKey, tuple[str, ...]],
    seen: Sequence[DatedFace],
    constraints: Constraints,
) -> Knowledge:
    of_identities: dict[int, frozenset[PersonKey]] = {}
    for number, people in (await store.read(past_people.people_of_identities, born.keys())).items():
        current = constraints.current(number)
        of_identities[current] = of_identities.get(current, frozenset()) | people
    stated = _stated(constraints)
    for number in stated:
        of_identities[number] = of_identities.get(number, frozenset()) | {_by_hand(number)}
    adults = {face.face_id for face in seen if face.identity in constraints.adults}
    return Knowledge(
        births={**born, **{_by_hand(number): dates for number, dates in stated.items()}},
        of_faces=await store.read(past_people.people_of_faces, space, born.keys()),
        of_identities=of_identities,
        of_age=constraints.of_age | adults,
    )


def _stated(constraints: Constraints) -> dict[int, tuple[str, ...]]:
    """
    Return the birth dates that a moderator stated of identities, by number.

    An identity of which only is known that it shows a minor has one that cannot be read: it is under age at every date.
    """
    found = {number: (born,) for number, born in constraints.births.items() if born is not None}
    minors = {number for number, is_minor in constraints.minors.items() if is_minor}
    return found | {number: (*found.get(number, ()), _AT_ANY_DATE) for number in minors}


def _by_hand(number: int) -> PersonKey:
    """Return the key of the person whom a moderator described; no source can have this name."""
    return (" by hand", str(number))
