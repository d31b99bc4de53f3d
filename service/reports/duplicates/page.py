"""HTML page of duplicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from immich_facesets.checkpoints import checkpoint
from immich_facesets.errors import SetupError
from service.computation import compute
from service.reports.duplicates.search import DuplicatePicture, Duplicates, Group
from service.reports.standalone_page import render_page, write_page
from service.reports.thumbnails import folder_file, thumbnail
from service.sources.folder.picture_facts import silence_pillow
from service.store.database import Store
from service.store.picture_copies import Copy, copies, face_crops
from service.store.spaces import active_space

MOST_GROUPS = 500
"""Maximum number of groups of each kind: some 30 MB of pictures. All groups are in the JSON."""

_SIDE = 220


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a group as the page shows it; ``image`` is a ``data:`` URL, of a face where ``is_face``."""

    picture: DuplicatePicture
    image: str | None
    is_face: bool


@dataclass(frozen=True, slots=True)
class LocalImages:
    """Local images by content: files of folders, and crops of faces, largest first."""

    places: Mapping[str, Sequence[Copy]]
    crops: Mapping[str, Sequence[Path]]

    def show(self, picture: DuplicatePicture) -> Shown:
        """Return the file itself where available, else its largest face, else no image; originals are not fetched."""
        checkpoint()
        for copy in self.places.get(picture.sha256 or "", ()):
            path = folder_file(copy)
            image = None if path is None else thumbnail(path, _SIDE)
            if image is not None:
                return Shown(picture, image, is_face=False)
        for crop in self.crops.get(picture.sha256 or "", ())[:1]:
            return Shown(picture, thumbnail(crop, _SIDE), is_face=True)
        return Shown(picture, None, is_face=False)


async def read_local_images(store: Store, crops_dir: Path) -> LocalImages:
    """Return the local images of every picture."""
    space = await store.read(active_space)
    places: dict[str, list[Copy]] = {}
    for copy in await store.read(copies, space):
        places.setdefault(copy.sha256 or "", []).append(copy)
    crops: dict[str, list[Path]] = {}
    for face in await store.read(face_crops, space):
        if face.file is not None:
            crops.setdefault(face.sha256, []).append(crops_dir / face.file)
    places.pop("", None)
    return LocalImages(places, crops)


async def write_duplicates(path: Path, found: Duplicates, images: LocalImages) -> None:
    """
    Write the page, readable by its owner only, whole or not at all.

    A missing folder or a disk error raises a ``SetupError``.
    """
    html = await compute(render, found, images)
    await compute(_write, path, html)


def render(found: Duplicates, images: LocalImages) -> str:
    """Return the page as text. Blocking: it reads every picture that it shows."""
    silence_pillow()

    def shown(groups: Sequence[Group]) -> list[tuple[Group, list[Shown]]]:
        return [(group, [images.show(picture) for picture in group.pictures]) for group in groups[:MOST_GROUPS]]

    return render_page(
        "duplicates/page.html",
        found=found,
        near=shown(found.of("near")),
        identical=shown(found.of("identical")),
        most=MOST_GROUPS,
    )


def _write(path: Path, html: str) -> None:
    if path.is_dir() or not path.parent.is_dir():
        raise SetupError(f"--page must name a file in a folder that exists, not {path}")
    write_page(path, html)
