"""Candidates for publishing: the faces of every identity with their crops, places, names and dates."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import ItemError
from immich_facesets.exports.crop_geometry import shown_area
from immich_facesets.exports.crops import grey_picture, points_in_crop
from immich_facesets.faces import Face
from immich_facesets.facesets.faceset import WHOLLY, Candidate, Omission, Place, Reason
from immich_facesets.facesets.minors import Held
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.near_duplicates.perceptual_hash import face_hash, hash_text, perceptual_hash
from immich_facesets.quality.landmarks import Details, Enriched, details
from immich_facesets.quality.pose import upright_turns
from immich_facesets.quality.visibility import Visible, visible
from service.computation import compute
from service.files.crops import read_crop
from service.passes.publishing.minors import held_faces
from service.store import contents, decisions, enrichments, exports, identities
from service.store.database import Store
from service.store.exports import Member, StoredCrop, StoredPlace

_HASHES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """
    All facts about the identities except the embeddings. ``confirmed``: the faces that a moderator confirmed. ``included``:
    the identity in whose face sets each face is that was included by hand. ``held``: the faces that may show a minor, by
    face id. ``profiles_off``: those that are not written for an identity.

    ``pad_ratio``: the margin of a finished crop. ``min_face_short``: the short edge, in pixels, of the smallest face
    to export.
    """

    members: Mapping[int, tuple[Member, ...]]
    strays: tuple[Member, ...]
    places: Mapping[str, tuple[StoredPlace, ...]]
    labels: Mapping[int, str]
    birth_dates: Mapping[int, str]
    details: Mapping[int, Details]
    held: Mapping[int, Held]
    pad_ratio: float
    min_face_short: float
    confirmed: frozenset[int] = frozenset()
    included: Mapping[int, int] = field(default_factory=dict)
    profiles_off: Mapping[int, Collection[str]] = field(default_factory=dict)

    @property
    def crops(self) -> dict[int, StoredCrop]:
        """All crops by face id."""
        everybody = (*(member for group in self.members.values() for member in group), *self.strays)
        return {one.face.face_id: one.crop for one in everybody if one.crop is not None}

    def usable(self, members: Sequence[Member]) -> list[Member]:
        """
        Return the members with a place that are large enough for an export or included by hand, and have a crop.

        Other smaller ones may have a crop, too, from a time with another setting; the result is the same without it.
        """
        return [one for one in self._placed(members) if one.crop is not None and self._is_able(one)]

    def too_small(self, members: Sequence[Member]) -> tuple[Omission, ...]:
        """Return the members with a place that are left out for their size, or for want of a crop."""
        omitted = set(map(id, self.usable(members)))
        return tuple(
            Omission(_candidate(one, self), self._why_without(one))
            for one in self._placed(members)
            if id(one) not in omitted
        )

    def _why_without(self, member: Member) -> Reason:
        """Return why a member is not usable: its size is no reason where it was included by hand, but its missing crop is."""
        if not self._is_small(member):
            return Reason.OUTSIDE
        return Reason.NO_CROP if self.is_included(member) else Reason.SMALL

    def _placed(self, members: Sequence[Member]) -> list[Member]:
        return [member for member in members if self.places.get(member.face.sha256)]

    def is_included(self, member: Member) -> bool:
        """Return whether a member was included in the face sets of its identity by hand."""
        return self.included.get(member.face.face_id) == member.identity

    def _is_able(self, member: Member) -> bool:
        return self.is_included(member) or not self._is_small(member)

    def _is_small(self, member: Member) -> bool:
        return member.face.face_short < self.min_face_short

    def unclaimed(self, constraints: Constraints) -> tuple[tuple[Member, ...], frozenset[tuple[int, int]]]:
        """
        Return the strays that a user may be asked about, and the settled pairs (face id, identity).

        A pair is settled by a decision that the two do not belong together. It is also settled when the face's picture
        holds another face of that identity.
        """
        strays = tuple(one for one in self.strays if one.face.face_id not in constraints.ignored)
        holders: dict[str, set[int]] = {}
        for number, members in self.members.items():
            for member in members:
                holders.setdefault(member.face.sha256, set()).add(number)
        pairs = {
            (one.face.face_id, number)
            for one in strays
            if one.face.face_id not in constraints.together
            for number in holders.get(one.face.sha256, ())
        }
        return strays, constraints.must_not | pairs

    def of_one(self, identity: int) -> Self:
        """Return the same facts for one identity, without strays."""
        return replace(self, members={identity: self.members[identity]}, strays=())


async def hash_crops(store: Store, space: str, folder: Path, only: Collection[int] | None = None) -> None:
    """Compute the perceptual hash of the face in every crop, once. ``only``: the ids of the faces that matter, None for all."""
    missing = await store.read(exports.crops_without_hash, space)
    missing = [(face, crop) for face, crop in missing if only is None or face.face_id in only]
    for start in range(0, len(missing), _HASHES_AT_ONCE):
        hashes = await compute(_hashes, folder, missing[start : start + _HASHES_AT_ONCE])
        await store.write(exports.record_phash, hashes)


async def gather_facts(
    store: Store,
    space: str,
    *,
    within: float,
    pad_ratio: float,
    min_face_short: float,
    people: Collection[int] | None = None,
) -> Facts:
    """
    Return all current facts from the store, except the embeddings.

    ``within``: the cosine distance at which two identities may be one person; ``pad_ratio``: the margin of crops;
    ``min_face_short``: of the smallest face to export; ``people``: those who matter, without any strays; None for
    everybody.
    """
    decided: Constraints = await store.read(decisions.constraints_now, space)
    numbers: list[int | None] = [None] if people is None else [*sorted(people)]
    rows = [row for number in numbers for row in await store.read(exports.members, space, number)]
    if people is None:
        enriched = await store.read(enrichments.enriched_faces, space)
    else:
        enriched = await store.read(enrichments.enriched_of, [row.face.face_id for row in rows])
    places: dict[str, tuple[StoredPlace, ...]] = {}
    for number in numbers:
        places |= await store.read(exports.places, space, number)
    return Facts(
        members={number: tuple(group) for number, group in groupby(rows, key=lambda member: member.identity)},
        strays=() if people is not None else tuple(await store.read(exports.strays, space)),
        places=places,
        labels=await store.read(identities.labels),
        birth_dates=_with_stated(await store.read(identities.birth_dates), decided.births),
        details=await compute(_details, enriched),
        held=await held_faces(store, space, within=within),
        pad_ratio=pad_ratio,
        min_face_short=min_face_short,
        confirmed=decided.confirmed,
        included=decided.for_sets,
        profiles_off=decided.profiles_off,
    )


async def facts_of_person(store: Store, space: str, identity: int, *, pad_ratio: float, min_face_short: float) -> Facts:
    """Return the facts about one identity; the details of its faces, and what holds them back, are not read."""
    decided: Constraints = await store.read(decisions.constraints_now, space)
    rows = await store.read(exports.members, space, identity)
    return Facts(
        members={identity: tuple(rows)} if rows else {},
        strays=(),
        places=await store.read(exports.places, space, identity),
        labels=await store.read(identities.labels),
        birth_dates=_with_stated(await store.read(identities.birth_dates), decided.births),
        details={},
        held={},
        pad_ratio=pad_ratio,
        min_face_short=min_face_short,
        confirmed=decided.confirmed,
        included=decided.for_sets,
    )


def _with_stated(known: Mapping[int, str], stated: Mapping[int, str | None]) -> dict[int, str]:
    """Return the birth dates of identities: those that sources know, and those that a moderator stated where they know none."""
    return {number: born for number, born in stated.items() if born is not None} | dict(known)


async def candidates_of(
    store: Store, facts: Facts, members: Sequence[Member], dimension: int
) -> tuple[tuple[Candidate, ...], NDArray[np.float32]]:
    """Return the usable members as the export rules see them, and their embeddings (n, d), row by row."""
    usable = facts.usable(members)
    vectors = await store.read(contents.vectors_of, [member.face.face_id for member in usable], dimension)
    return tuple(_candidate(member, facts) for member in usable), vectors


def _details(enriched: Mapping[int, Enriched]) -> dict[int, Details]:
    return {face_id: details(found) for face_id, found in enriched.items()}


def _hashes(folder: Path, crops: Sequence[tuple[Face, StoredCrop]]) -> list[tuple[int, str]]:
    return [(face.face_id, hash_text(_hash(face, crop, read_crop(folder, crop.file)))) for face, crop in crops]


def _hash(face: Face, crop: StoredCrop, stored: bytes) -> int:
    """Return the hash of the aligned face in a stored crop; of the whole crop where the points make no sense."""
    grey = grey_picture(stored)
    points = points_in_crop(face.landmarks, crop.area_corners, grey.shape[0], turns=upright_turns(face.landmarks))
    try:
        return face_hash(grey, points)
    except ItemError:
        return perceptual_hash(grey)


def _candidate(member: Member, facts: Facts) -> Candidate:
    """Return a member as the export rules see it."""
    face, crop, places = member.face, member.crop, facts.places[member.face.sha256]
    return Candidate(
        face=face,
        phash=0 if crop is None else int(crop.phash or "0", 16),
        crop_sha256=None if crop is None else crop.sha256,
        places=tuple(Place(place.user, place.asset_id, place.path) for place in places),
        taken=min((place.taken for place in places if place.taken), default=None),
        held=facts.held.get(face.face_id),
        details=facts.details.get(face.face_id),
        how=member.how,
        is_confirmed=face.face_id in facts.confirmed,
        is_included=facts.is_included(member),
        visible=WHOLLY if crop is None else _visible(face, crop, facts.pad_ratio),
    )


def _visible(face: Face, crop: StoredCrop, pad_ratio: float) -> Visible:
    shown = shown_area(face.box, crop.area, stored_pad=crop.pad_ratio, pad_ratio=pad_ratio)
    return visible(face, shown, crop.width, crop.height)
