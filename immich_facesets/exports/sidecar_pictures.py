"""
The pictures that sidecars of others belong to, known by their bytes.

A path proves nothing: folders are mounted anywhere, and two pictures may be called IMG_0001.jpg. So the file beside a
sidecar is compared with the pictures that are known. Where no picture lies beside it, its place in the tree of our own
sidecars counts (``sidecar_places``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from immich_facesets.exports.library import LibraryFace, PlacedPicture
from immich_facesets.exports.sidecar_places import sidecar_name
from immich_facesets.exports.xmp import PictureRegions, frame_of, named_boxes, regions_in


@dataclass(frozen=True, slots=True)
class KnownPictures:
    """
    The regions of each picture by its SHA-256, also of those that show nobody with a name.

    ``by_size``: the digests of each size in bytes; ``by_name``: the digest of each sidecar in our trees, where it is one.
    """

    regions: Mapping[str, PictureRegions]
    by_size: Mapping[int, frozenset[str]]
    by_name: Mapping[str, str]

    def may_have_regions(self, size_bytes: int) -> bool:
        """Return whether a file of this size may show somebody with a name: only then are its bytes worth reading."""
        return any(self.regions[digest].regions for digest in self.by_size.get(size_bytes, ()))


def known_pictures(places: Iterable[PlacedPicture], faces: Iterable[LibraryFace]) -> KnownPictures:
    """Return the pictures of all users. A picture whose file has an unknown orientation is left out."""
    named = named_boxes(faces)
    regions: dict[str, PictureRegions] = {}
    by_size: dict[int, set[str]] = {}
    by_name: dict[str, set[str]] = {}
    for place in places:
        frame = frame_of(place)
        if frame is None:
            continue
        if place.sha256 not in regions:
            regions[place.sha256] = PictureRegions(frame, regions_in(named.get(place.sha256, ()), frame))
        by_size.setdefault(place.size_bytes, set()).add(place.sha256)
        name = sidecar_name(place)
        if name is not None:
            by_name.setdefault(name, set()).add(place.sha256)
    return KnownPictures(
        regions,
        {size: frozenset(digests) for size, digests in by_size.items()},
        {name: next(iter(digests)) for name, digests in by_name.items() if len(digests) == 1},
    )
