"""Decisions that are made over HTTP, by programs and from pages of the running service."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import structlog

from immich_facesets.errors import FacesetsError
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import Request, numbers_of
from service.files.export_tree import ExportTree
from service.files.picture_turns import PictureTurns
from service.files.references import ReferenceFolder
from service.moderation.decisions import withdraw_exports, withdraws
from service.moderation.erasures import NOT_ALL_ERASED, Erasing
from service.moderation.references import REFERENCE, References, files_left
from service.store.database import Store
from service.store.decided_once import decide_once, decided_under, preview_after
from service.store.kept_answers import Key, keep_answer, kept_answer
from service.store.moderation import MadeDecisions
from service.web.library.decisions import DecisionCalls, DecisionsAnswer, KeptAnswers, Preview, WriteKey
from service.web.library.references import ReferenceAdded, ReferenceCalls, ReferencePreview, SentPicture

log = structlog.get_logger(__name__)


def kept_answers(store: Store, clock: Callable[[], datetime]) -> KeptAnswers:
    """Return the calls that keep answers to other writes than decisions."""

    async def known(key: WriteKey) -> bytes | None:
        return await store.read(kept_answer, Key(key.text, key.digest))

    async def keep(key: WriteKey, answer: bytes) -> None:
        await store.write(keep_answer, Key(key.text, key.digest), answer, clock())

    return KeptAnswers(known=known, keep=keep)


class ApiDecisions:
    """The calls behind the routes that decide."""

    def __init__(
        self,
        store: Store,
        tree: ExportTree,
        crops_dir: Path,
        references: ReferenceFolder,
        clock: Callable[[], datetime],
        turns: PictureTurns | None = None,
    ) -> None:
        """``turns``: those of the syncs of this process; None where none can run."""
        self._store = store
        self._tree = tree
        self._clock = clock
        self._references = references
        self._erasing = Erasing(store, tree, crops_dir, references, clock, turns)

    def calls(self) -> DecisionCalls:
        return DecisionCalls(preview=self.preview, known=self.known, make=self.make)

    async def preview(self, requests: Sequence[Request]) -> Preview:
        last, made = await self._store.read(preview_after, list(requests))
        effect = made.effect
        touched = {number for request in requests for number in numbers_of(request)}
        touched |= {one.identity for one in effect.changes} | {number for number, _ in effect.settings}
        touched |= {number for pair in effect.merged for number in pair}
        return Preview(_answer(made), last, tuple(sorted(touched - set(effect.new))))

    async def known(self, key: WriteKey, author: Author) -> DecisionsAnswer | None:
        made = await self._store.read(decided_under, Key(key.text, key.digest))
        return None if made is None else await self._ended(made, author)

    async def make(
        self, requests: Sequence[Request], author: Author, key: WriteKey | None, after: int | None
    ) -> DecisionsAnswer | None:
        kept = None if key is None else Key(key.text, key.digest)
        made = await self._store.write(decide_once, list(requests), author, self._clock(), key=kept, after=after)
        if made is None:
            return None
        log.info("decided", decisions=list(made.decisions), kinds=list(made.kinds), made_from=author.made_from)
        return await self._ended(made, author)

    async def _ended(self, made: MadeDecisions, author: Author) -> DecisionsAnswer:
        """Remove exports and files that must not stay; a repeated request does so again, after a failure or a kill between."""
        remark = await files_left(self._store, self._references) if REFERENCE in made.kinds else ""
        if made.erased is not None:
            left = await self._erasing.finish(author.made_by)
            return _answer(made, f"{NOT_ALL_ERASED}: {left}" if left else "")
        numbers = withdraws(made)
        if not numbers:
            return _answer(made, remark)
        try:
            await withdraw_exports(self._store, self._tree, numbers, author, self._clock())
        except FacesetsError as error:
            log.warning("exports_not_withdrawn", decisions=list(made.decisions), message=str(error))
            return _answer(made, f"decided, but exports may be there still: {error}. The next sync removes them")
        return _answer(made, remark)


def reference_calls(references: References) -> ReferenceCalls:
    """Return the calls behind the routes that add reference pictures."""

    async def add(sent: SentPicture) -> ReferenceAdded | None:
        added = await references.add(
            sent.picture,
            sent.person,
            sent.author,
            box=sent.box,
            keeps_original=sent.keeps_original,
            key=None if sent.key is None else Key(sent.key.text, sent.key.digest),
            after=sent.after,
        )
        if added is None:
            return None
        return ReferenceAdded(id=added.reference, identity=added.identity, rival=added.rival, done=_answer(added.done))

    async def preview(sent: SentPicture) -> ReferencePreview:
        found = await references.preview(sent.picture, sent.person, box=sent.box)
        return ReferencePreview(known=found.known, identity=found.identity, rival=found.rival, done=_answer(found.done))

    return ReferenceCalls(add=add, preview=preview, last=references.last_decision)


def _answer(made: MadeDecisions, remark: str = "") -> DecisionsAnswer:
    return DecisionsAnswer(
        decisions=made.decisions,
        kinds=made.kinds,
        effect=made.effect,
        selected=made.selected,
        erased=made.erased,
        remark=remark,
    )
