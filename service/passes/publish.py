"""
Publish: bring the export folder to what the identities are now.

What is wanted is decided by pure rules, what is there is read from the disk itself, and only what differs is written,
one faceset at a time. Each finished crop is looked at by the detector once, before it is first exported.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from immich_facesets.curation import build_faceset, choose, curate
from immich_facesets.exports.crops import (
    box_in_crop,
    grey_picture,
    paint_over,
    png,
    provenance,
)
from immich_facesets.exports.directory import faceset_files
from immich_facesets.exports.file_names import user_directories
from immich_facesets.exports.manifests import faceset_entry, faceset_manifest, top_manifest, user_manifest
from immich_facesets.facesets import (
    Candidate,
    ExportFace,
    ExportRules,
    Faceset,
    Place,
    Shelf,
    digest,
    is_minor,
    plan_publish,
)
from immich_facesets.near_duplicates import hash_text, perceptual_hash
from immich_facesets.pose import upright_turns
from immich_facesets.selection import Draft, drafts, rescue
from immich_facesets.spaces import OperatingPoints
from service.crop_files import read_crop
from service.embedders import EmbedderPool
from service.passes.conditions import Conditions
from service.passes.crop_looks import CropLooks
from service.store import contents, exports, identities
from service.store.exports import Member, StoredCrop, StoredPlace
from service.tree import MANIFEST, USERS_FOLDER, ExportTree

MADE_BY = "sync"


@dataclass
class PublishCounts:
    """What one publish did, for the run's row."""

    facesets: int = 0
    written: int = 0
    removed: int = 0
    checked: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything about the identities but the vectors."""

    members: Mapping[int, tuple[Member, ...]]
    strays: tuple[Member, ...]
    places: Mapping[str, tuple[StoredPlace, ...]]
    labels: Mapping[int, str]
    birth_dates: Mapping[int, str]

    def usable(self, members: Sequence[Member]) -> list[Member]:
        """Those with a crop and a place; a face smaller than an export allows has no crop."""
        return [member for member in members if member.crop is not None and self.places.get(member.face.sha256)]


class Publish:
    """One run over all identities."""

    def __init__(
        self, conditions: Conditions, pool: EmbedderPool, tree: ExportTree, points: OperatingPoints, *, version: str
    ) -> None:
        self._conditions = conditions
        self._store = conditions.store
        self._pool = pool
        self._tree = tree
        self._version = version
        settings = conditions.settings
        self._points = points
        self._rules = ExportRules(
            outlier=self._points.outlier,
            min_face_short=settings.export_min_face_short,
            top=settings.export_top,
            pad_ratio=settings.crop_padding,
            out_size=settings.crop_size,
            gate=settings.gate,
        )
        self._looks = CropLooks(conditions, pool, self._rules)
        self.counts = PublishCounts()

    async def run(self) -> None:
        """Write what differs; a stop or a failure between two facesets leaves each of them whole, old or new."""
        await self._hash_crops()
        facts = await self._gather()
        board = self._conditions.board
        board.update_stage("publish", done=0, total=len(facts.members), note="choosing faces")
        facesets: list[Faceset] = []
        centroids: dict[int, NDArray[np.float32]] = {}
        for number, members in facts.members.items():
            candidates, vectors = await self._candidates(facts, members)
            for draft in await asyncio.to_thread(
                drafts, number, candidates, vectors, points=self._points, rules=self._rules
            ):
                found, centroid = await self._faceset(draft, facts)
                if draft.era is None:
                    centroids[number] = centroid
                facesets += [found] if found is not None else []
            if self._conditions.stop.is_set():
                return
            board.update_stage("publish", done=board.stage("publish").done + 1)
        facesets += await self._rescue(facts, centroids)
        if self._conditions.stop.is_set():
            return
        self.counts.facesets = sum(faceset.shelf is Shelf.MAIN for faceset in facesets)
        await self._write(facesets)

    async def _hash_crops(self) -> None:
        """Give every crop its perceptual hash, once."""
        missing = await self._store.read(exports.crops_without_hash, self._pool.info.space)
        folder = self._conditions.crops_dir
        for start in range(0, len(missing), 200):
            some = missing[start : start + 200]
            hashes = await asyncio.to_thread(_hashes, folder, some)
            await self._store.write(exports.record_phash, hashes)

    async def _gather(self) -> Facts:
        space = self._pool.info.space
        rows = await self._store.read(exports.members, space)
        strays = await self._store.read(exports.strays, space)
        self._looks.crops = {one.face.face_id: one.crop for one in (*rows, *strays) if one.crop is not None}
        return Facts(
            members={number: tuple(group) for number, group in groupby(rows, key=lambda member: member.identity)},
            strays=tuple(strays),
            places=await self._store.read(exports.places, space),
            labels=await self._store.read(identities.labels),
            birth_dates=await self._store.read(identities.birth_dates),
        )

    async def _candidates(
        self, facts: Facts, members: Sequence[Member]
    ) -> tuple[tuple[Candidate, ...], NDArray[np.float32]]:
        usable = facts.usable(members)
        vectors = await self._store.read(
            contents.vectors_of, [member.face.face_id for member in usable], self._pool.info.dimension
        )
        return tuple(_candidate(member, self._looks.crops[member.face.face_id], facts) for member in usable), vectors

    async def _rescue(self, facts: Facts, centroids: Mapping[int, NDArray[np.float32]]) -> list[Faceset]:
        """Good faces of nobody, near an identity: for a person to look at."""
        candidates, vectors = await self._candidates(facts, facts.strays)
        found = await asyncio.to_thread(
            rescue, candidates, vectors, centroids, labels=facts.labels, within=self._points.drop, rules=self._rules
        )
        return list(found)

    async def _faceset(self, draft: Draft, facts: Facts) -> tuple[Faceset | None, NDArray[np.float32]]:
        """The faceset of a draft, its crops looked at, and the centre of its faces."""
        shortlist = await asyncio.to_thread(curate, draft.candidates, draft.vectors, self._rules)
        looks = self._looks
        checks = looks.known(draft.identity, [item.face.face_id for item in draft.candidates])
        while (choice := choose(shortlist, checks)).unchecked:
            checks |= await looks.look_at(choice.unchecked, draft.identity, shortlist.centroid)
            self.counts.checked = looks.count
            if self._conditions.stop.is_set():
                return None, shortlist.centroid
        label = facts.labels.get(draft.identity)
        built = build_faceset(choice, identity=draft.identity, label=label, era=draft.era, shelf=draft.shelf)
        return built, shortlist.centroid

    async def _write(self, facesets: Sequence[Faceset]) -> None:
        space = self._pool.info.space
        manifests = {
            faceset.directory: faceset_manifest(faceset, space=space, rules=self._rules) for faceset in facesets
        }
        wanted = {faceset.directory: faceset for faceset in facesets}
        on_disk = await asyncio.to_thread(self._tree.on_disk)
        digests = {name: digest(body) for name, body in manifests.items()}
        plan = plan_publish(digests.items(), on_disk)
        recorded = await self._store.read(exports.recorded)
        for directory in sorted({*plan.remove, *recorded} - wanted.keys()):  # a kill may part a removal from its row
            await asyncio.to_thread(self._tree.remove_directory, directory)
            await self._store.write(exports.record_removal, directory, made_by=MADE_BY, now=self._conditions.clock())
            self.counts.removed += 1
        self._conditions.board.update_stage("publish", done=len(plan.keep), total=len(wanted), note="writing")
        for directory in plan.keep:
            if recorded.get(directory) != digests[directory]:  # as it may part a faceset from its row
                await self._record(wanted[directory], digests[directory])
        for directory in plan.write:
            if self._conditions.stop.is_set():
                return
            await self._write_one(wanted[directory], manifests[directory])
        await self._write_overviews(facesets)

    async def _write_one(self, faceset: Faceset, manifest: bytes) -> None:
        """One faceset: first its files, durably, then its row."""

        def picture(face: ExportFace) -> bytes:
            return self._picture(face, faceset.identity)

        files = faceset_files(faceset, manifest=manifest, top=self._rules.top, picture=picture)
        await asyncio.to_thread(self._tree.write_directory, faceset.directory, files)
        await self._record(faceset, digest(manifest))
        self.counts.written += 1
        board = self._conditions.board
        board.update_stage("publish", done=board.stage("publish").done + 1)

    async def _record(self, faceset: Faceset, written: str) -> None:
        await self._store.write(
            exports.record_export,
            faceset.directory,
            digest=written,
            entry=faceset_entry(faceset, self._rules.top),
            identity=faceset.identity,
            made_by=MADE_BY,
            now=self._conditions.clock(),
        )

    def _picture(self, face: ExportFace, identity: int) -> bytes:
        """The PNG of a face. Blocking: it is called by the writing thread when its turn comes."""
        candidate = face.candidate
        crop = self._looks.crops[candidate.face.face_id]
        picture = self._looks.finished(crop)
        if crop.painted:
            turns = upright_turns(candidate.face.landmarks)
            expected = box_in_crop(candidate.face.box, crop.area_corners, self._rules.out_size, turns=turns)
            picture = paint_over(picture, crop.painted, expected)
        texts = provenance(asset_id=min(candidate.places).asset_id, identity=identity, version=self._version)
        return png(picture, texts)

    async def _write_overviews(self, facesets: Sequence[Faceset]) -> None:
        """The manifests of each user and of the whole folder, untouched where they say the same."""
        users = sorted(
            set(await self._store.read(exports.users_of_sources)) | {place.user for place in _all_places(facesets)}
        )
        for user, folder in user_directories(users).items():
            body = user_manifest(user, facesets)
            await asyncio.to_thread(self._tree.write_file, f"{USERS_FOLDER}/{folder}/{MANIFEST}", body)
        entries = [faceset_entry(faceset, self._rules.top) for faceset in facesets]
        previous = await asyncio.to_thread(self._tree.read_file, MANIFEST)
        body = top_manifest(entries, space=self._pool.info.space, now=self._conditions.clock(), previous=previous)
        await asyncio.to_thread(self._tree.write_file, MANIFEST, body)


def _all_places(facesets: Sequence[Faceset]) -> Iterator[Place]:
    for faceset in facesets:
        for face in faceset.faces:
            yield from face.candidate.places


def _hashes(folder: Path, crops: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(face_id, hash_text(perceptual_hash(grey_picture(read_crop(folder, file))))) for face_id, file in crops]


def _candidate(member: Member, crop: StoredCrop, facts: Facts) -> Candidate:
    """A member as the export rules see it."""
    places = facts.places[member.face.sha256]
    taken = min((place.taken for place in places if place.taken), default=None)
    return Candidate(
        face=member.face,
        phash=int(crop.phash or "0", 16),
        crop_sha256=crop.sha256,
        places=tuple(Place(place.user, place.asset_id, place.path) for place in places),
        taken=taken,
        is_minor=is_minor(facts.birth_dates.get(member.identity), taken),
    )
