"""
XMP sidecars that record the people in a picture and their locations in two schemes.

The schemes are Metadata Working Group regions (2.0, chapter 5.9) and Microsoft People regions. Photo programs read one
or the other. Both are relative to the stored picture, before its EXIF orientation is applied. Our boxes are in the
upright one.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from immich_facesets.exports.file_names import OURS
from immich_facesets.exports.library import UserLibrary
from immich_facesets.exports.profile import Content, LibraryLayout, LibraryProfile
from immich_facesets.faces import Box

_NAMESPACES = (
    ("mwg-rs", "http://www.metadataworkinggroup.com/schemas/regions/"),
    ("stArea", "http://ns.adobe.com/xmp/sType/Area#"),
    ("stDim", "http://ns.adobe.com/xap/1.0/sType/Dimensions#"),
    ("MP", "http://ns.microsoft.com/photo/1.2/"),
    ("MPRI", "http://ns.microsoft.com/photo/1.2/t/RegionInfo#"),
    ("MPReg", "http://ns.microsoft.com/photo/1.2/t/Region#"),
)

_TURNED_ACROSS, _TURNED_DOWN, _SIDEWAYS = frozenset({2, 3, 6, 7}), frozenset({3, 4, 7, 8}), 5
_NO_XML = frozenset(map(chr, range(0xD800, 0xE000))) | {"\ufffe", "\uffff"}
_LONGEST = 250  # bytes; file systems allow 255, and the sidecar's suffix needs 4


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
    """A picture and its regions: (name, area in shares of the stored sides), left to right; at least one."""

    frame: Frame
    regions: tuple[tuple[str, Box], ...]


def regions_in(named: Iterable[tuple[str, Box]], frame: Frame) -> PictureRegions | None:
    """Return the named people with a location in the picture; None for no people. Boxes are in upright pixels."""
    placed = [(_text(name), stored_area(box, frame)) for name, box in named]
    regions = [(name, area) for name, area in placed if name and area is not None]
    regions.sort(key=lambda region: (region[1].x1, region[1].y1, region[0]))
    return PictureRegions(frame, tuple(regions)) if regions else None


def sidecar_name(path: str) -> str | None:
    """
    Return the sidecar of the picture at this path, such as ``a/b.jpg.xmp``, relative to the tree that is copied over a
    library.

    None for a path that cannot be rebuilt on every file system: with a backslash, a part beyond 250 bytes, or no text.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return None
    unfit = any(part == ".." or part.startswith(OURS) or set(part) & {"\\", "\0"} for part in parts)
    return None if unfit or not parts or max(lengths) > _LONGEST else f"{'/'.join(parts)}.xmp"


def sidecar(picture: PictureRegions) -> bytes:
    """Return the XMP packet of a picture."""
    named, frame = picture.regions, picture.frame
    wide, high = frame.stored_size
    spaces = "\n".join(f'    xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES)
    working_group = "\n".join(_working_group(name, area) for name, area in named)
    microsoft = "\n".join(_microsoft(name, area) for name, area in named)
    return f"""\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="immich-facesets">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
{spaces}>
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions stDim:w="{wide}" stDim:h="{high}" stDim:unit="pixel"/>
    <mwg-rs:RegionList>
     <rdf:Bag>
{working_group}
     </rdf:Bag>
    </mwg-rs:RegionList>
   </mwg-rs:Regions>
   <MP:RegionInfo rdf:parseType="Resource">
    <MPRI:Regions>
     <rdf:Bag>
{microsoft}
     </rdf:Bag>
    </MPRI:Regions>
   </MP:RegionInfo>
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


def _working_group(name: str, area: Box) -> str:
    """Return the region by the middle of the area."""
    middle = ((area.x1 + area.x2) / 2, (area.y1 + area.y2) / 2)
    x, y, w, h = map(_number, (*middle, area.width, area.height))
    return f"""\
      <rdf:li rdf:parseType="Resource">
       <mwg-rs:Name>{escape(name)}</mwg-rs:Name>
       <mwg-rs:Type>Face</mwg-rs:Type>
       <mwg-rs:Area stArea:x="{x}" stArea:y="{y}" stArea:w="{w}" stArea:h="{h}" stArea:unit="normalized"/>
      </rdf:li>"""


def _microsoft(name: str, area: Box) -> str:
    """Return the region by the upper left corner of the area."""
    rectangle = ", ".join(map(_number, (area.x1, area.y1, area.width, area.height)))
    return f'      <rdf:li MPReg:Rectangle="{rectangle}" MPReg:PersonDisplayName={quoteattr(name)}/>'


def _number(share: float) -> str:
    return f"{share:.6f}"


def _text(name: str) -> str:
    """Return the name in one line, without characters that XML 1.0 does not allow."""
    held = "".join(max(character, " ") for character in name if character not in _NO_XML)
    return " ".join(held.split())


def lay_out(library: UserLibrary) -> LibraryLayout | None:
    """
    Return the sidecars of a user's pictures; None when no picture shows a named person.

    The folders are those of the user's library, so that the tree can be copied over the library.
    """
    pictures, left_out = _regions(library)
    return of_regions(pictures, left_out) if pictures else None


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


def _regions(library: UserLibrary) -> tuple[dict[str, PictureRegions], Counter[str]]:
    """Return the regions of each picture by the name of its sidecar, and how many pictures have none, by reason."""
    named: dict[str, list[tuple[str, Box]]] = {}
    for found in library.faces:
        if found.label is not None:
            named.setdefault(found.face.sha256, []).append((found.label, found.face.box))
    pictures: dict[str, PictureRegions] = {}
    left_out: Counter[str] = Counter()
    for place in library.pictures:
        people = named.get(place.sha256, ())
        if not people:
            continue
        name = sidecar_name(place.path)
        if place.orientation is None:
            left_out["orientation_unknown"] += 1
        elif name is None:
            left_out["unusable_path"] += 1
        else:
            regions = regions_in(people, Frame(place.width, place.height, place.orientation))
            if regions is not None:
                pictures[name] = regions
    return pictures, left_out


XMP = LibraryProfile(name="xmp", lay_out=lay_out)
