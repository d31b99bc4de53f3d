"""The faces that may show a minor: everything known about them is gathered here, and decided by a pure rule."""

from collections.abc import Mapping, Sequence

from immich_facesets.assets import PersonKey
from immich_facesets.facesets.minors import DatedFace, Held, Knowledge, Likenesses, held_back
from immich_facesets.moderation.constraints import Constraints
from service.computation import compute
from service.store import births, contents, decisions, faces, past_people
from service.store.database import Store

_VECTORS_AT_ONCE = 20_000


async def held_faces(store: Store, space: str, *, within: float) -> dict[int, Held]:
    """
    Return why faces of a space are held back from bundles for swapping, by face id; the others are free.

    ``within``: the cosine distance at which two identities may be one person.
    """
    born = await store.read(births.births_of_people)
    if not born:
        return {}
    constraints: Constraints = await store.read(decisions.constraints_now, space)
    seen = await store.read(past_people.dated_faces, space)
    known = await _knowledge(store, space, born, seen, constraints)
    likenesses, dimension = Likenesses(known), await store.read(faces.dimension_of, space)
    for start in range(0, len(seen), _VECTORS_AT_ONCE):
        some = seen[start : start + _VECTORS_AT_ONCE]
        vectors = await store.read(contents.vectors_of, [face.face_id for face in some], dimension)
        await compute(likenesses.add, some, vectors)
    alike = await compute(likenesses.of_minors, within)
    return await compute(held_back, seen, known, alike)


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
    adults = {face.face_id for face in seen if face.identity in constraints.adults}
    return Knowledge(
        births=born,
        of_faces=await store.read(past_people.people_of_faces, space, born.keys()),
        of_identities=of_identities,
        of_age=constraints.of_age | adults,
    )
