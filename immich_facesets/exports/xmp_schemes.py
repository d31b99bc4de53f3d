"""
The two schemes of regions in XMP: those of the Metadata Working Group (2.0, chapter 5.9) and of Microsoft.

A region of ours carries an identifier in a namespace of our own: the digest of what it says. A region is ours while it
holds the fields we write, no further one, and the digest fits. So one that somebody renamed, moved or added to since is
theirs. Programs that store regions anew and drop what they do not know make it theirs, too. ExifTool keeps it.
"""

import hashlib
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from xml.sax.saxutils import escape, quoteattr

from immich_facesets.exports.xmp_packet import RDF, Element, fields
from immich_facesets.faces import Box

_WORKING_GROUP = "http://www.metadataworkinggroup.com/schemas/regions/"
_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_MICROSOFT = "http://ns.microsoft.com/photo/1.2/"
_REGION_INFO = "http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
_REGION = "http://ns.microsoft.com/photo/1.2/t/Region#"
_OURS = "urn:immich-facesets:regions:1:"

_NAMESPACES = {
    "rdf": RDF,
    "mwg-rs": _WORKING_GROUP,
    "stArea": _AREA,
    "stDim": _DIMENSIONS,
    "MP": _MICROSOFT,
    "MPRI": _REGION_INFO,
    "MPReg": _REGION,
    "facesets": _OURS,
}

DECLARATIONS = "\n".join(f'    xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items() if prefix != "rdf")
"""The namespaces of both schemes, as attributes of an element above."""

_WRITTEN = f"{_OURS} Written"
_MARK = "facesets:Written"

SIZE = f"{_WORKING_GROUP} AppliedToDimensions"
"""The field with the size of the picture that regions are about."""

Region = tuple[str, Box]
"""A name, and the area in shares of the stored sides."""


@dataclass(frozen=True, slots=True)
class FoundRegion:
    """
    A region in a packet. ``area`` is None where it cannot be read; ``is_face`` is false for pets and bar codes.

    ``mark``: the identifier of one of ours, empty for those of others.
    """

    name: str
    area: Box | None
    is_face: bool
    mark: str


class Scheme(Protocol):
    """One way to write regions. ``name``: of its property; ``list_name``: of the list in it."""

    name: str
    list_name: str
    prefixes: tuple[str, ...]
    tag: str
    list_tag: str

    @abstractmethod
    def sides(self, area: Box) -> tuple[str, ...]:
        """Return the four numbers of an area as this scheme writes them."""

    def mark(self, region: Region) -> str:
        """Return the identifier of a region of ours."""
        return _digest(region[0], self.sides(region[1]))

    @abstractmethod
    def item(self, region: Region) -> str:
        """Return a region as an item of the list."""

    @abstractmethod
    def found(self, item: Element) -> FoundRegion:
        """Return the region that an item of a list is."""

    @abstractmethod
    def head(self, width: int, height: int) -> str:
        """Return the fields before the list, for a stored picture of this size."""

    def of(self, regions: Iterable[Region], width: int, height: int) -> str:
        """Return the whole property."""
        items = "\n".join(self.item(region) for region in regions)
        return f"""\
   <{self.tag} rdf:parseType="Resource">
{self.head(width, height)}{self.list_of(items)}
   </{self.tag}>"""

    def list_of(self, items: str) -> str:
        """Return the field that holds the list."""
        return f"    <{self.list_tag}>\n     <rdf:Bag>\n{items}\n     </rdf:Bag>\n    </{self.list_tag}>"

    def declared(self, text: str) -> str:
        """Return elements with the namespaces of this scheme declared at each that is not inside another one."""
        indent = text[: len(text) - len(text.lstrip())]
        spaces = "".join(f' xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in self.prefixes)
        return re.sub(rf"(?m)^({indent}<[^\s/>]+)", rf"\1{spaces}", text)


class WorkingGroup(Scheme):
    """Regions by the middle of the area. The identifier stands among the extensions, which the scheme provides for."""

    name = f"{_WORKING_GROUP} Regions"
    list_name = f"{_WORKING_GROUP} RegionList"
    tag = "mwg-rs:Regions"
    list_tag = "mwg-rs:RegionList"
    prefixes = ("rdf", "mwg-rs", "stArea", "stDim", "facesets")

    def head(self, width: int, height: int) -> str:
        return f'    <mwg-rs:AppliedToDimensions stDim:w="{width}" stDim:h="{height}" stDim:unit="pixel"/>\n'

    def sides(self, area: Box) -> tuple[str, ...]:
        middle = ((area.x1 + area.x2) / 2, (area.y1 + area.y2) / 2)
        return tuple(map(_number, (*middle, area.width, area.height)))

    def item(self, region: Region) -> str:
        x, y, w, h = self.sides(region[1])
        return f"""\
      <rdf:li rdf:parseType="Resource">
       <mwg-rs:Name>{escape(region[0])}</mwg-rs:Name>
       <mwg-rs:Type>Face</mwg-rs:Type>
       <mwg-rs:Area stArea:x="{x}" stArea:y="{y}" stArea:w="{w}" stArea:h="{h}" stArea:unit="normalized"/>
       <mwg-rs:Extensions {_MARK}="{self.mark(region)}"/>
      </rdf:li>"""

    def found(self, item: Element) -> FoundRegion:
        held = fields(item) or {}
        name, kind = (_text(held.get(f"{_WORKING_GROUP} {field}")) for field in ("Name", "Type"))
        values = _sides(held.get(f"{_WORKING_GROUP} Area"))
        mark = held.get(f"{_WORKING_GROUP} Extensions")
        marks = (fields(mark) or {}) if isinstance(mark, Element) else {}
        is_as_written = held.keys() == {f"{_WORKING_GROUP} {field}" for field in ("Name", "Type", "Area", "Extensions")}
        digest = _digest(name, values)
        is_ours = is_as_written and marks == {_WRITTEN: digest}
        return FoundRegion(name, _around_middle(values), kind in {"Face", ""}, digest if is_ours else "")


class Microsoft(Scheme):
    """Regions by the upper left corner of the area. The identifier is a field of the region."""

    name = f"{_MICROSOFT} RegionInfo"
    list_name = f"{_REGION_INFO} Regions"
    tag = "MP:RegionInfo"
    list_tag = "MPRI:Regions"
    prefixes = ("rdf", "MP", "MPRI", "MPReg", "facesets")

    def head(self, width: int, height: int) -> str:  # noqa: ARG002 - this scheme states no size
        return ""

    def sides(self, area: Box) -> tuple[str, ...]:
        return tuple(map(_number, (area.x1, area.y1, area.width, area.height)))

    def item(self, region: Region) -> str:
        name, area = region
        said = f'MPReg:Rectangle="{", ".join(self.sides(area))}" MPReg:PersonDisplayName={quoteattr(name)}'
        return f'      <rdf:li {said} {_MARK}="{self.mark(region)}"/>'

    def found(self, item: Element) -> FoundRegion:
        held = fields(item) or {}
        name = _text(held.get(f"{_REGION} PersonDisplayName"))
        sides = tuple(part.strip() for part in _text(held.get(f"{_REGION} Rectangle")).split(","))
        is_as_written = held.keys() == {f"{_REGION} PersonDisplayName", f"{_REGION} Rectangle", _WRITTEN}
        digest = _digest(name, sides)
        is_ours = is_as_written and held[_WRITTEN] == digest
        return FoundRegion(name, _from_corner(sides), is_face=True, mark=digest if is_ours else "")


SCHEMES: tuple[Scheme, ...] = (WorkingGroup(), Microsoft())


def holds_ours(body: bytes) -> bool:
    """Return whether a sidecar may hold a region of ours."""
    return _OURS.encode() in body


def size_in(regions: Element) -> tuple[float, float] | None:
    """Return width and height of the picture that a property of the Working Group is about; None where not stated."""
    held = fields(regions) or {}
    size = held.get(SIZE)
    sides = (fields(size) or {}) if isinstance(size, Element) else {}
    numbers = _numbers([_text(sides.get(f"{_DIMENSIONS} {side}")) for side in "wh"])
    return (numbers[0], numbers[1]) if numbers is not None and min(numbers) > 0 else None


def _digest(name: str, sides: Iterable[str]) -> str:
    """Return the identifier of a region: 16 hexadecimal digits of what it says, however the numbers are written."""
    values = _numbers(sides)
    said = "\n".join((name, *map(_number, values))) if values is not None else ""
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:16]


def _sides(area: str | Element | None) -> tuple[str, ...]:
    """Return x, y, w and h of an area in shares, as texts; empty for one in another unit."""
    held: Mapping[str, str | Element] = (fields(area) or {}) if isinstance(area, Element) else {}
    is_in_shares = _text(held.get(f"{_AREA} unit")) in {"normalized", ""}
    return tuple(_text(held.get(f"{_AREA} {side}")) for side in "xywh") if is_in_shares else ()


def _around_middle(sides: Iterable[str]) -> Box | None:
    values = _numbers(sides)
    if values is None or len(values) != 4:
        return None
    x, y, w, h = values
    return Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)


def _from_corner(sides: Iterable[str]) -> Box | None:
    values = _numbers(sides)
    if values is None or len(values) != 4:
        return None
    x, y, w, h = values
    return Box(x, y, x + w, y + h)


def _numbers(texts: Iterable[str]) -> list[float] | None:
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return None
    return values if all(abs(value) < 1e9 for value in values) else None


def _number(share: float) -> str:
    return f"{share:.6f}"


def _text(value: str | Element | None) -> str:
    """Return the text of a field; empty for a structure."""
    if isinstance(value, Element):
        return "" if value.children else value.text.strip()
    return value or ""
