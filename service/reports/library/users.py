"""The library as one user sees it: the same answers, read from their part of the database, without the administrator's."""

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import msgspec

from immich_facesets.dates import read_date
from immich_facesets.eras.era import free_name, is_year_name, year_name
from immich_facesets.errors import RequestError
from service.passes.context import CROPS_FOLDER
from service.progress import ProgressBoard
from service.reports.library.faces import FaceReads
from service.reports.library.identities import IdentityReads
from service.reports.library.known_figures import KnownFigures
from service.reports.library.pictures import PictureReads
from service.reports.library.proposals import Proposals
from service.reports.library.service import ServiceReads
from service.settings import Settings
from service.store.browsing.merged_numbers import seen_survivor
from service.store.browsing.whole_pictures import has_crop, has_picture
from service.store.reading import Reader
from service.store.user_database import UserDatabase
from service.web.library.addresses import CROP_NAME
from service.web.library.faces import FaceAnswer
from service.web.library.identities import Era, ErasAnswer, IdentityAnswer
from service.web.library.reads import LibraryReads

MOST_USERS = 16
"""The users whose figures are kept in memory: those of the latest questions."""

_AGE_NAME = re.compile(r"age_([0-9]+)_([0-9]+)(?:_[0-9]+)?")


class UserLibraries:
    """The reads of each user, made when they are first asked for."""

    def __init__(self, database: UserDatabase, settings: Settings, board: ProgressBoard) -> None:
        self._database = database
        self._settings = settings
        self._board = board
        self._kept: OrderedDict[str, LibraryReads] = OrderedDict()

    def of(self, user: str) -> LibraryReads:
        """Return the reads of the user whose pictures the source of this name has."""
        if user not in self._kept:
            self._kept[user] = user_reads(self._database.reader(user), self._settings, self._board)
        self._kept.move_to_end(user)
        if len(self._kept) > MOST_USERS:
            self._kept.popitem(last=False)
        return self._kept[user]


def user_reads(store: Reader, settings: Settings, board: ProgressBoard) -> LibraryReads:
    """Return the calls behind the reading routes for a user; those of the administrator raise ``RequestError`` (403)."""
    figures = KnownFigures(store)
    identities = IdentityReads(store, settings, figures, Proposals(store, settings, figures))
    faces = FaceReads(store, figures, settings.base_path)
    service = ServiceReads(store, settings, board, figures)
    seen = _SeenAnswers(store, identities, faces, PictureReads(settings.data_dir / CROPS_FOLDER))
    return LibraryReads(
        identities=identities.page,
        labels=identities.labels,
        covers=identities.covers,
        survivor=seen.survivor,
        identity=seen.identity,
        faces=identities.faces,
        eras=seen.eras,
        nearest=identities.nearest,
        identities_file=_refused("the file of all identities"),
        figures=identities.figures,
        together=identities.together,
        similar=_refused("the search for further faces"),
        parts=_refused("the proposal for a split"),
        references=_refused("the list of reference pictures"),
        reference_picture=_refused("a reference picture"),
        reference_original=_refused("a reference picture"),
        history=_refused("the history of decisions"),
        decisions=_refused("the list of decisions"),
        decision=_refused("a decision"),
        review=_refused("the review queue"),
        face=seen.face,
        search=faces.search,
        crop=seen.crop,
        thumbnail=seen.thumbnail,
        has_picture=seen.has_picture,
        facesets=_refused("the list of face sets"),
        faceset=_refused("a face set"),
        faceset_file=_refused("a file of a face set"),
        faceset_archive=_refused("the archive of a face set"),
        left_out=_refused("the list of faces that are left out"),
        exported=_refused("the list of exported people"),
        facesets_of=_refused("the list of a person's face sets"),
        planned_set=_refused("the plan of a face set"),
        ledger=_refused("the export ledger"),
        sources=service.sources,
        source_names=service.source_names,
        settings=_refused("the list of settings"),
        storage=_refused("the report on storage"),
        failures=_refused("the list of failures"),
        jobs=_refused("the list of jobs"),
        job=_refused("a job"),
    )


def _refused(what: str) -> Callable[..., Awaitable[Any]]:
    async def refuse(*_: object) -> Any:
        raise RequestError(f"{what} is the administrator's", status=403)

    return refuse


class _SeenAnswers:
    """The answers of which a part is taken out, or that are asked about what the user does not see."""

    def __init__(self, store: Reader, identities: IdentityReads, faces: FaceReads, pictures: PictureReads) -> None:
        self._store = store
        self._identities = identities
        self._faces = faces
        self._pictures = pictures

    async def survivor(self, number: int) -> int | None:
        """Return the number that leads to an identity now; None where a merge with a person who is not seen would be told."""
        return await self._store.read(seen_survivor, number)

    async def identity(self, number: int) -> IdentityAnswer | None:
        if await self.survivor(number) != number:
            return None
        try:
            found = await self._identities.one(number)
        except RequestError:  # merged just now
            return None
        return None if found is None else msgspec.structs.replace(found, why_not_exported="")

    async def eras(self, number: int) -> ErasAnswer:
        found = (await self._identities.eras(number)).eras
        if any(era.kind == "ages" for era in found):
            answer = await self.identity(number)
            born = None if answer is None else read_date(answer.birth_date)
            if born is None or not all(_fits(era, born) for era in found):
                found = tuple(_without_age(era) for era in found)
        return ErasAnswer(eras=_named_by_own_years(found))

    async def face(self, face_id: int) -> FaceAnswer | None:
        found = await self._faces.one(face_id)
        return None if found is None else msgspec.structs.replace(found, decisions=(), for_sets="")

    async def crop(self, name: str) -> bytes | None:
        return await self._pictures.crop(name) if await self._has_crop(name) else None

    async def thumbnail(self, name: str, side: int) -> bytes | None:
        return await self._pictures.thumbnail(name, side) if await self._has_crop(name) else None

    async def has_picture(self, sha256: str) -> bool:
        return await self._store.read(has_picture, sha256)

    async def _has_crop(self, name: str) -> bool:
        found = CROP_NAME.fullmatch(name)
        return found is not None and await self._store.read(has_crop, found[1], name)


def _fits(era: Era, born: date) -> bool:
    """Return whether the seen faces of an era can have the ages of its name, and not by another birth date alone."""
    ages = _AGE_NAME.fullmatch(era.name)
    if ages is None or era.from_year is None or era.to_year is None:
        return True
    return born.year + int(ages[1]) <= era.from_year and era.to_year <= born.year + int(ages[2]) + 1


def _without_age(era: Era) -> Era:
    """Return an era of a life whose birth date in use another source states: its ages would tell the date."""
    name = year_name(era.main_year) if _AGE_NAME.fullmatch(era.name) else era.name
    return msgspec.structs.replace(era, kind="years", name=name)


def _named_by_own_years(eras: tuple[Era, ...]) -> tuple[Era, ...]:
    """Return eras whose names say no year but those of their seen faces; names that a person gave stay."""
    taken = {era.name for era in eras if not is_year_name(era.name)}
    found = []
    for era in eras:
        name = era.name
        if is_year_name(name):
            name = free_name(year_name(era.main_year), taken)
            taken.add(name)
        found.append(msgspec.structs.replace(era, name=name))
    return tuple(found)
