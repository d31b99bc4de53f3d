"""
XMP sidecars that record the people in a picture and their locations in two schemes.

Photo programs read one or the other (``xmp_schemes``). Both are relative to the stored picture, before its EXIF
orientation is applied. Our boxes are in the upright one.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from immich_facesets.exports.library import LibraryFace, PlacedPicture, UserLibrary
from immich_facesets.exports.profile import Content, LibraryLayout, LibraryProfile
from immich_facesets.exports.sidecar_places import sidecar_name
from immich_facesets.exports.xmp_packet import RDF
from immich_facesets.exports.xmp_schemes import DECLARATIONS, SCHEMES, Region
from immich_facesets.faces import Box

_TURNED_ACROSS, _TURNED_DOWN, _SIDEWAYS = frozenset({2, 3, 6, 7}), frozenset({3, 4, 7, 8}), 5
_NO_XML = frozenset(map(chr, range(0xD800, 0xE000))) | {"\ufffe", "\uffff"}


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture: its upright size in pixels, and the EXIF orientation (1 to 8) that makes the stored one upright."""

    width: int
    height: int
    orientation: int

    @property
    def stored_size(self) -> tuple[int, int]:
        return (self.width, self.height) if self.orientation < _SIDEWAYS else (self.height, self.width)


def stored_area(box: Box, frame: Frame) -> Box | None:
    """Return the part of a box inside the picture, in shares of the stored width and height; None if outside."""
    corners = (box.x1 / frame.width, box.y1 / frame.height, box.x2 / frame.width, box.y2 / frame.height)
    x1, y1, x2, y2 = (min(1.0, max(0.0, edge)) for edge in corners)
    if not (x1 < x2 and y1 < y2):
        return None
    (a, b), (c, d) = (_stored(x, y, frame.orientation) for x, y in ((x1, y1), (x2, y2)))
    return Box(min(a, c), min(b, d), max(a, c), max(b, d))


@dataclass(frozen=True, slots=True)
class PictureRegions:
    """A picture and its regions, left to right."""

    frame: Frame
    regions: tuple[Region, ...]


def regions_in(named: Iterable[tuple[str, Box]], frame: Frame) -> tuple[Region, ...]:
    """Return the named people with a location in the picture. Boxes are in upright pixels."""
    placed = [(_text(name), stored_area(box, frame)) for name, box in named]
    regions = [(name, area) for name, area in placed if name and area is not None]
    return tuple(sorted(regions, key=lambda region: (region[1].x1, region[1].y1, region[0])))


def sidecar(picture: PictureRegions) -> bytes:
    """Return the XMP packet of a picture."""
    properties = "\n".join(scheme.of(picture.regions, *picture.frame.stored_size) for scheme in SCHEMES)
    return f"""\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="immich-facesets">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""
{DECLARATIONS}>
{properties}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
""".encode()


def _stored(x: float, y: float, orientation: int) -> tuple[float, float]:
    """Return the position of an upright picture's point in the stored one, both in shares (EXIF 2.32, tag 0x0112)."""
    if orientation in _TURNED_ACROSS:
        x = 1 - x
    if orientation in _TURNED_DOWN:
        y = 1 - y
    return (y, x) if orientation >= _SIDEWAYS else (x, y)


def _text(name: str) -> str:
    """Return the name in one line, without characters that XML 1.0 does not allow."""
    held = "".join(max(character, " ") for character in name if character not in _NO_XML)
    return " ".join(held.split())


def lay_out(library: UserLibrary) -> LibraryLayout | None:
    """Return the sidecars of a user's pictures (``sidecar_places``); None when no picture shows a named person."""
    pictures: dict[str, PictureRegions] = {}
    left_out: Counter[str] = Counter()
    for place, found in regions_of(library):
        name = sidecar_name(place)
        if found is None:
            left_out["orientation_unknown"] += 1
        elif name is None:
            left_out["unusable_path"] += 1
        elif found.regions:
            pictures[name] = found
    return of_regions(pictures, left_out) if pictures else None


def regions_of(library: UserLibrary) -> Iterator[tuple[PlacedPicture, PictureRegions | None]]:
    """
    Yield the pictures that show named people, each with its regions.

    They are None where it is not known how the stored picture lies, and empty where the people are outside of it.
    """
    named = named_boxes(library.faces)
    for place in library.pictures:
        people = named.get(place.sha256, ())
        if people:
            frame = frame_of(place)
            yield place, None if frame is None else PictureRegions(frame, regions_in(people, frame))


def named_boxes(faces: Iterable[LibraryFace]) -> dict[str, list[tuple[str, Box]]]:
    """Return the names and boxes of the people with a name in each picture, by its SHA-256."""
    named: dict[str, list[tuple[str, Box]]] = {}
    for found in faces:
        if found.label is not None:
            named.setdefault(found.face.sha256, []).append((found.label, found.face.box))
    return named


def frame_of(place: PlacedPicture) -> Frame | None:
    """Return the frame of a stored picture; None where its orientation is unknown."""
    return None if place.orientation is None else Frame(place.width, place.height, place.orientation)


def of_regions(pictures: Mapping[str, PictureRegions], left_out: Mapping[str, int]) -> LibraryLayout:
    """Return the layout of these pictures, by the names of their sidecars."""
    digests = {name: hashlib.sha256(sidecar(item)).hexdigest() for name, item in sorted(pictures.items())}

    def files() -> Iterator[tuple[str, Content]]:
        for name in digests:
            yield name, sidecar(pictures[name])

    manifest = {
        "bundles": {},
        "faces": [{"file": name, "sha256": value} for name, value in digests.items()],
        "left_out": {reason: left_out[reason] for reason in sorted(left_out) if left_out[reason]},
    }
    return LibraryLayout(manifest, sum(len(item.regions) for item in pictures.values()), files)


XMP = LibraryProfile(name="xmp", lay_out=lay_out)
