"""The people of a source as it has them now; absence from its list proves nothing."""

from immich_facesets.errors import ItemError, TransientError
from service.passes.context import PassContext
from service.passes.fan_out import QUESTIONS_AT_ONCE, each, fan_out
from service.remote.guard import CircuitOpenError
from service.sources import Source
from service.store import sources


async def read_people(context: PassContext, source: Source) -> None:
    """Store the people of a source; those that its list omits are looked up by id before they count as gone."""
    store = context.store
    listed = await source.people()
    await store.write(sources.remember_people, source.name, listed)
    absent = await store.read(sources.absent_people, source.name, [person.person_id for person in listed])

    async def find(person_id: str) -> None:
        try:
            person = await source.find_person(person_id)
        except CircuitOpenError:
            raise
        except (ItemError, TransientError):
            return  # state unknown: the person stays, and is looked up again by the next sync
        if person is None:
            await store.write(sources.mark_person_gone, source.name, person_id, context.clock())
        else:
            await store.write(sources.remember_people, source.name, [person])

    await fan_out(each(absent), find, workers=QUESTIONS_AT_ONCE, stop=context.stop)
