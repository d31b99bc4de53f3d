"""The answer to a picture: its faces from the embedder, compared with the bank."""

from collections.abc import Sequence

import numpy as np

from immich_facesets.face_requests import FacesRequest
from immich_facesets.identification.answers import Candidate, Identification, identify
from immich_facesets.identification.rivalry import rival_of
from immich_facesets.wire import FaceAnswer
from service.computation import compute
from service.embedders.answers import ANSWER_SECONDS, faces_within, refuse_other_space
from service.embedders.pool import EmbedderPool
from service.reports.identification.known_exemplars import Known, KnownExemplars
from service.settings import Settings
from service.store.browsing.identity_details import survivor
from service.store.database import Store
from service.store.spaces import active_space
from service.web.library import identify as shown
from service.web.library.addresses import identity_address
from service.web.library.faces import Edges


class Identify:
    """Identification of pictures; nothing of a picture is stored or logged."""

    def __init__(
        self, store: Store, settings: Settings, pool: EmbedderPool, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._answer_seconds = answer_seconds
        self._store = store
        self._settings = settings
        self._pool = pool
        self._exemplars = KnownExemplars(store, settings)

    async def answer(self, picture: bytes, limit: int) -> shown.IdentifyAnswer:
        """
        Return who the faces of a picture are, each with at most ``limit`` identities.

        ``ItemError``: no picture that can be read. ``TransientError``: no embedder answers now. ``SetupError``: nothing was
        grouped yet, or the embedder's vectors cannot be compared with those of the library.
        """
        known = await self._exemplars.now()
        request = FacesRequest(face_short=self._settings.min_face_short)
        found = await faces_within(self._pool, picture, request, self._answer_seconds)
        refuse_other_space(found.space, known.space)
        faces = sorted(found.faces, key=lambda face: -face.face_box().area)
        told = await compute(_identified, known, faces, limit) if faces else ()
        return shown.IdentifyAnswer(
            width=found.width,
            height=found.height,
            compared=len(known.bank.numbers),
            faces=tuple(self._shown(face, one, known) for face, one in zip(faces, told, strict=True)),
        )

    async def rival(self, face: FaceAnswer, space: str, number: int | None) -> int | None:
        """
        Return another identity that a face resembles as well as the one with this number (None: a new person).

        None before the first grouping, when nobody is known.
        """
        active = await self._store.read(active_space)
        if active is None:
            return None
        refuse_other_space(space, active)
        known = await self._exemplars.now()
        own = None if number is None else await self._store.read(survivor, number)
        return await compute(
            lambda: rival_of(
                known.bank,
                face.vector(),
                own,
                match=known.points.match,
                margin=self._settings.grouping_rules(0).margin,
                left_out=known.people.hidden,
            )
        )

    def _shown(self, face: FaceAnswer, told: Identification, known: Known) -> shown.IdentifiedFace:
        box, measures = face.face_box(), face.quality
        return shown.IdentifiedFace(
            box=Edges(x1=box.x1, y1=box.y1, x2=box.x2, y2=box.y2),
            det_score=round(face.det_score, 4),
            is_clear=self._settings.gate.passes(box.face_short, face.det_score, measures.blur, measures.light),
            verdict=told.verdict,
            nobody=round(told.nobody, 4),
            identities=tuple(self._shown_identity(one, known) for one in told.candidates),
        )

    def _shown_identity(self, one: Candidate, known: Known) -> shown.IdentifiedAs:
        return shown.IdentifiedAs(
            number=one.number,
            label=known.people.labels.get(one.number),
            confidence=round(one.confidence, 4),
            distance=round(one.distance, 4),
            is_never_exported=one.number in known.people.never_exported,
            address=identity_address(self._settings.base_path, one.number),
        )


def _identified(known: Known, faces: Sequence[FaceAnswer], limit: int) -> tuple[Identification, ...]:
    """Return the identification of each face. Blocks."""
    vectors = np.stack([face.vector() for face in faces])
    return identify(known.bank, vectors, cluster=known.points.cluster, limit=limit, unnamed=known.people.hidden)
