"""Figures of identities that are kept in memory until their members change."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.computation import compute
from service.store.browsing.identity_faces import Ranking
from service.store.browsing.identity_lists import shown_labels
from service.store.browsing.identity_records import read_identities
from service.store.browsing.kept import Kept
from service.store.browsing.standing import standing
from service.store.browsing.summaries import MeanVector, mean_vectors, signatures, vector_of
from service.store.reading import Reader
from service.web.library.identities import NearIdentity

P = ParamSpec("P")
T = TypeVar("T")

MOST_RANKINGS = 32
"""The identities whose faces are kept in the order of their quality: those of the latest questions."""


class KnownFigures:
    """
    Figures of identities, each with the signature of its members, which tells whether it still holds.

    ``kept``: what reads of lists and of one identity keep until anything changes. Each reader of a library has its own.
    An identity costs about 2 kB, and each face of the latest ones that were asked for by quality 100 bytes. The first
    question about distances reads all vectors.
    """

    def __init__(self, store: Reader) -> None:
        self._store = store
        self.kept = Kept()
        self._means: dict[int, MeanVector] = {}
        self._rankings: dict[int, Ranking] = {}
        self._reading = asyncio.Lock()

    async def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the answer of a read function, kept until anything changes. Only for what `Kept` may keep."""
        return await self._store.read(lambda tx: self.kept.at(tx).read(function, *args, **kwargs))

    def ranking(self, number: int) -> Ranking | None:
        """Return the ranking of an identity's faces that was kept, if any."""
        return self._rankings.get(number)

    def keep_ranking(self, number: int, ranking: Ranking | None) -> None:
        """Keep the ranking of an identity's faces, and drop that which was not asked for longest."""
        self._rankings.pop(number, None)
        if ranking is not None:
            self._rankings[number] = ranking
        if len(self._rankings) > MOST_RANKINGS:
            del self._rankings[next(iter(self._rankings))]

    async def near_identity(self, number: int, limit: int) -> tuple[NearIdentity, ...]:
        """Return the identities nearest to an identity by their means; none when it has no faces."""
        means = await self.means()
        if number not in means:
            return ()
        return await self._nearest(means, means[number].vector, but=number, limit=limit)

    async def near_face(self, face_id: int, own: int | None, limit: int) -> tuple[NearIdentity, ...]:
        """Return the identities nearest to a face, without its own."""
        vector = await self._store.read(vector_of, face_id)
        return () if vector is None else await self._nearest(await self.means(), vector, but=own, limit=limit)

    async def identities_file(self) -> bytes:
        """Return ``identities.json`` with everybody whom a list shows."""
        async with self._reading:
            found = await self._store.read(read_identities, self._means, for_export=False)
            self._means = dict(found.means)
        return found.body

    async def means(self) -> Mapping[int, MeanVector]:
        """Return the mean of the vectors of each identity."""
        async with self._reading:
            known = self._means
            self._means = await self._store.read(lambda tx: mean_vectors(tx, self.kept.at(tx).read(signatures), known))
            return self._means

    async def _nearest(
        self, means: Mapping[int, MeanVector], vector: NDArray[np.float32], *, but: int | None, limit: int
    ) -> tuple[NearIdentity, ...]:
        hidden = (await self.read(standing)).hidden
        numbers = [number for number in sorted(means) if number != but and number not in hidden]
        found = await compute(nearest_means, {number: means[number].vector for number in numbers}, vector, limit)
        labels = await self.read(shown_labels) if found else {}
        return tuple(NearIdentity(number=n, label=labels.get(n), distance=round(d, 4)) for n, d in found)


def nearest_means(
    means: Mapping[int, NDArray[np.float32]], vector: NDArray[np.float32], limit: int
) -> list[tuple[int, float]]:
    """Return the numbers of the nearest means with their cosine distances, nearest first."""
    same = {number: mean for number, mean in means.items() if mean.shape == vector.shape}
    if not same:
        return []
    numbers = np.fromiter(same, dtype=np.int64, count=len(same))
    distances = np.maximum(0.0, 1.0 - np.stack(list(same.values())) @ vector)
    order = np.lexsort((numbers, distances))[:limit]
    return list(zip(numbers[order].tolist(), distances[order].tolist(), strict=True))
