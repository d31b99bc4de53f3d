"""
A drawn photo library: pictures of invented people on disk, and the matching data of an Immich server.

``draw_library`` writes the files and describes them; ``fill`` puts the description into a ``FakeImmich``. Everything
is derived from the seed, so that two runs make the same library.
"""

import itertools
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from immich_facesets.checkpoints import checkpoint
from immich_facesets.faces import Box
from immich_facesets.synthetic import Sitter, draw_picture
from service.demo.album import Member, Shot, plan_album
from service.demo.doubts import plan_doubtful_album
from service.demo.immich import FakeImmich, FakeUser
from service.demo.pictures import TYPES, read_preview, write_picture

PREVIEW_SHORT = 1440
"""The short side in pixels of Immich's preview, in whose coordinates its boxes are."""

_NAMES = ("Mira", "Jonas", "Leni", "Theo", "Ruth", "Kofi", "Ines", "Emil", "Yara", "Paul", "Sumi", "Vera")
_LEAST_FACES = 3  # Immich's default minimum number of faces of a person
_SEEN_FROM = 50  # pixels in the preview; smaller faces are often missed


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """A face as Immich would store it: ``box`` in preview pixels; ``person_id`` is None for an unassigned face."""

    face_id: str
    box: tuple[int, int, int, int]
    person_id: str | None


@dataclass(frozen=True, slots=True)
class DrawnPerson:
    """A person of one user; ``name`` is empty for an unnamed one, ``birth_date`` an ISO date or None."""

    user: str
    person_id: str
    name: str
    birth_date: str | None
    seed: int


@dataclass(frozen=True, slots=True)
class DrawnAsset:
    """One picture of one user; ``width`` and ``height`` are upright, ``preview`` the size that the boxes refer to."""

    user: str
    asset_id: str
    path: Path
    mime_type: str
    taken_at: datetime
    width: int
    height: int
    preview: tuple[int, int]
    orientation: int
    faces: tuple[DrawnFace, ...]
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class Library:
    """
    The description of a drawn library.

    ``truth``: for each (user, asset id) the face boxes in upright original pixels, each with the seed of its sitter;
    empty for the file that cannot be read.
    """

    folder: Path
    users: tuple[str, ...]
    assets: tuple[DrawnAsset, ...]
    people: tuple[DrawnPerson, ...]
    truth: Mapping[tuple[str, str], list[tuple[Box, int]]]


@dataclass(frozen=True, slots=True)
class _File:
    """A shot, its path and the EXIF orientation it is stored with."""

    shot: Shot
    path: Path
    orientation: int


def draw_library(
    folder: Path,
    *,
    people: int = 12,
    pictures: int = 150,
    seed: int = 7,
    users: Sequence[str] = ("anna", "ben"),
    with_doubts: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Library:
    """
    Write ``pictures`` drawn pictures under ``folder``, a folder for each user, and describe them.

    A few byte-identical copies in a second user's folder and one unreadable file are added. ``with_doubts``: some of
    the people and pictures are hard cases (``service.demo.doubts``), of which grouping leaves questions. ``progress`` is called
    with the number of drawn pictures and the total. Takes about 0.1 s per picture; blocks.
    """
    dice = np.random.default_rng(seed)
    members, shots = (plan_doubtful_album if with_doubts else plan_album)(people, pictures, users, dice)
    files = _files(folder, shots)
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            for done, _ in enumerate(pool.map(_draw, files), start=1):
                checkpoint()
                if progress is not None:
                    progress(done, len(files))
        finally:
            pool.shutdown(cancel_futures=True)
    copies = [_copied(folder, file, members, users) for file in files[3 :: max(len(files) // 5, 4)]]
    everything = sorted([*files, *(copy for copy in copies if copy is not None)], key=lambda file: str(file.path))
    described = _Describer(members, users, everything, dice)
    assets = [*(described.asset(file) for file in everything), _broken(folder, files[0], dice)]
    truth = {
        (asset.user, asset.asset_id): described.truth(file) for asset, file in zip(assets, everything, strict=False)
    }
    truth[assets[-1].user, assets[-1].asset_id] = []
    return Library(folder, tuple(users), tuple(assets), described.people, truth)


def fill(immich: FakeImmich, library: Library) -> dict[str, FakeUser]:
    """Add the library to a fake Immich, with the users that are missing; return the users by name."""
    for user in library.users:
        if user not in immich.library.users:
            immich.add_user(user)
    for person in library.people:
        immich.add_person(owner=person.user, name=person.name, person_id=person.person_id, birth_date=person.birth_date)
    for drawn in library.assets:
        asset = immich.add_asset(
            asset_id=drawn.asset_id,
            data=drawn.path,
            file_name=drawn.path.name,
            owner=drawn.user,
            width=drawn.width,
            height=drawn.height,
            taken_at=drawn.taken_at,
            mime_type=drawn.mime_type,
            preview_data=_preview(drawn),
            has_preview=drawn.is_readable,
            exif={"orientation": str(drawn.orientation)},
        )
        for face in drawn.faces:
            immich.add_face(
                asset,
                box=face.box,
                image_width=drawn.preview[0],
                image_height=drawn.preview[1],
                person_id=face.person_id,
                face_id=face.face_id,
            )
    return {user: immich.library.users[user] for user in library.users}


def _preview(drawn: DrawnAsset) -> Callable[[], bytes]:
    return lambda: read_preview(drawn.path, PREVIEW_SHORT)


def _files(folder: Path, shots: Sequence[Shot]) -> list[_File]:
    """Return where and how each shot is stored: a few as PNG or WebP, half of the portrait JPEGs turned by EXIF."""
    files = []
    turns = itertools.cycle((6, 8, 1, 1))
    for place, shot in enumerate(shots):
        suffix = ".png" if place % 40 == 4 else ".webp" if place % 30 == 5 else ".jpg"
        orientation = next(turns) if suffix == ".jpg" and shot.height > shot.width else 1
        name = f"IMG_{shot.taken_at:%Y%m%d_%H%M%S}_{place:04}{suffix}"
        files.append(_File(shot, folder / shot.user / f"{shot.taken_at:%Y}" / name, orientation))
    return files


def _draw(file: _File) -> None:
    shot = file.shot
    rgb, _ = draw_picture(shot.width, shot.height, shot.sitters, shot.background)
    write_picture(rgb, file.path, shot.taken_at, file.orientation)


def _copied(folder: Path, file: _File, members: Sequence[Member], users: Sequence[str]) -> _File | None:
    """Copy the file to another user that knows a person in the picture; None without such a user."""
    shown = {sitter for sitter, _ in file.shot.sitters}
    for user in users:
        if user != file.shot.user and any(user in member.users for member in members if member.sitter in shown):
            path = folder / user / "from friends" / file.path.name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.path, path)
            return _File(replace(file.shot, user=user), path, file.orientation)
    return None


def _broken(folder: Path, like: _File, dice: np.random.Generator) -> DrawnAsset:
    """Write a truncated picture, cut off after 1,500 bytes, in which Immich had once detected a face."""
    user, taken_at = like.shot.user, like.shot.taken_at + timedelta(minutes=1)
    path = folder / user / "IMG_broken.jpg"
    path.write_bytes(like.path.read_bytes()[:1500])
    face = DrawnFace(_new_id(dice), (500, 400, 740, 700), None)
    return DrawnAsset(
        user, _new_id(dice), path, "image/jpeg", taken_at, 1600, 1200, (1600, 1200), 1, (face,), is_readable=False
    )


class _Describer:
    """A simulation of Immich's recognition: boxes slightly off, some faces missed, some not assigned."""

    def __init__(
        self, members: Sequence[Member], users: Sequence[str], files: Sequence[_File], dice: np.random.Generator
    ) -> None:
        self._dice = dice
        self._person_ids: dict[tuple[str, int], str] = {}
        people = []
        for user in users:
            shown = [s for file in files if file.shot.user == user for s in _recognised(file.shot)]
            known = [(i, member) for i, member in enumerate(members) if shown.count(member.sitter) >= _LEAST_FACES]
            for number, (i, member) in enumerate(known):
                person_id = self._person_ids[user, member.sitter.seed] = _new_id(dice)
                is_named = number % 2 == 0 if member.is_named is None else member.is_named
                name = _NAMES[i % len(_NAMES)] if is_named else ""
                born = member.born.isoformat() if name and number % 4 == 0 else None
                people.append(DrawnPerson(user, person_id, name, born, member.sitter.seed))
        self.people = tuple(people)

    def asset(self, file: _File) -> DrawnAsset:
        shot = file.shot
        scale = min(1.0, PREVIEW_SHORT / min(shot.width, shot.height))
        faces = [
            DrawnFace(_new_id(self._dice), self._seen(box.scaled(scale, scale)), self._assigned(shot, sitter))
            for (box, _), sitter in zip(self.truth(file), _recognised(shot), strict=True)
            if self._dice.random() < (0.97 if box.face_short * scale >= _SEEN_FROM else 0.4)
            or shot.taken_for is not None
        ]
        preview = (round(shot.width * scale), round(shot.height * scale))
        return DrawnAsset(
            shot.user,
            _new_id(self._dice),
            file.path,
            TYPES[file.path.suffix],
            shot.taken_at,
            shot.width,
            shot.height,
            preview,
            file.orientation,
            tuple(faces),
        )

    def truth(self, file: _File) -> list[tuple[Box, int]]:
        return [(pose.frame().box(), sitter.seed) for sitter, pose in file.shot.sitters]

    def _seen(self, box: Box) -> tuple[int, int, int, int]:
        """Return the box as another detector would find it: each edge off by up to 3 % of the short side."""
        wobble = self._dice.uniform(-0.03, 0.03, 4) * box.face_short
        x1, y1, x2, y2 = (round(edge + off) for edge, off in zip((box.x1, box.y1, box.x2, box.y2), wobble, strict=True))
        return x1, y1, x2, y2

    def _assigned(self, shot: Shot, sitter: Sitter | None) -> str | None:
        """
        Return the id of the sitter's person.

        Where the plan does not say whom it is taken for, it is sometimes None (8 %), rarely another person's (1.5 %).
        """
        chance = self._dice.random()
        right = None if sitter is None else self._person_ids.get((shot.user, sitter.seed))
        if right is None or shot.taken_for is not None:
            return right
        if chance < 0.08:
            return None
        if chance > 0.985:
            others = [person_id for (owner, _), person_id in self._person_ids.items() if owner == shot.user]
            return others[int(self._dice.integers(len(others)))]
        return right


def _recognised(shot: Shot) -> tuple[Sitter | None, ...]:
    """Return for each face the sitter whom Immich takes it for."""
    return tuple(sitter for sitter, _ in shot.sitters) if shot.taken_for is None else shot.taken_for


def _new_id(dice: np.random.Generator) -> str:
    return str(uuid.UUID(bytes=dice.bytes(16), version=4))
