"""
Face regions merged into a sidecar that others wrote.

Only regions of ours are taken away or replaced. Everything else of the file keeps its bytes. A face that somebody else has
named already gets no second region.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

from immich_facesets.exports.xmp import Frame
from immich_facesets.exports.xmp_packet import (
    ABOUT,
    RDF,
    Edit,
    Element,
    Unreadable,
    appended,
    apply,
    field_holder,
    fields,
    is_resource,
    items_of,
    properties,
    read_packet,
    removed,
)
from immich_facesets.exports.xmp_schemes import SCHEMES, SIZE, FoundRegion, Region, Scheme, size_in
from immich_facesets.faces import Box
from immich_facesets.names import name_key

_SHAPE_TOLERANCE = 0.02  # of the ratio of the sides: reduced copies are rounded to whole pixels
_UNKNOWN_FORM = "its regions are written in a way that this program does not know"


@dataclass(frozen=True, slots=True)
class Merged:
    """A sidecar after a merge. ``foreign``: how many of our people have a foreign region there already."""

    body: bytes
    added: int
    removed: int
    foreign: int


@dataclass(frozen=True, slots=True)
class _Property:
    """The regions of one scheme in a packet; the elements are None where it has none."""

    scheme: Scheme
    element: Element | None = None
    container: Element | None = None
    items: tuple[tuple[Element, FoundRegion], ...] = ()

    @property
    def foreign(self) -> list[FoundRegion]:
        return [region for _, region in self.items if not region.mark]

    @property
    def is_ours(self) -> bool:
        """Whether it holds nothing but regions of ours, and at least one."""
        holder = None if self.element is None else field_holder(self.element)
        known = {self.scheme.list_name, SIZE}
        return bool(self.items) and not self.foreign and holder is not None and known >= (fields(holder) or {}).keys()

    def fits(self, frame: Frame) -> bool:
        """Whether the picture that the regions are about has the shape of this one, as far as it is stated."""
        size = None if self.element is None else size_in(self.element)
        wide, high = frame.stored_size
        return size is None or abs(size[0] * high / (size[1] * wide) - 1) < _SHAPE_TOLERANCE


@dataclass(slots=True)
class _Changes:
    """The changes of one packet: edits, properties that go, and new ones as text."""

    edits: list[Edit] = field(default_factory=list)
    dropped: list[Element] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    added: int = 0
    removed: int = 0


def merge_regions(body: bytes, regions: Sequence[Region], frame: Frame) -> Merged:
    """
    Return the sidecar with these regions of a picture of this frame; the same bytes where it has them already.

    ``Unreadable`` for a file that is no XMP, and for one whose regions are about a picture of another shape.
    """
    rdf = read_packet(body)
    found = [_property(rdf, scheme) for scheme in SCHEMES]
    others = [region for one in found for region in one.foreign]
    wanted = [region for region in regions if not any(_is_taken(region, other) for other in others)]
    changes = _Changes()
    for one in found:
        _change(one, wanted, frame, body, changes)
    changes.edits += _without(rdf, changes.dropped, body)
    if changes.new:
        about = next((one.attributes.get(ABOUT) for one in rdf.children), None) or ""
        blocks = "".join(f"\n{_description(about, text)}" for text in changes.new)
        changes.edits.append(appended(rdf, blocks, body))
    return Merged(apply(changes.edits, body), changes.added, changes.removed, len(regions) - len(wanted))


def _property(rdf: Element, scheme: Scheme) -> _Property:
    """Return the regions of a scheme; ``Unreadable`` where they are stated twice or in an unknown form."""
    found = [element for _, element in properties(rdf) if element.name == scheme.name]
    if any(scheme.name in description.attributes for description in rdf.children) or len(found) > 1:
        raise Unreadable(_UNKNOWN_FORM)
    if not found:
        return _Property(scheme)
    holder = field_holder(found[0])
    if holder is None or (holder is found[0] and not is_resource(holder)) or scheme.list_name in holder.attributes:
        raise Unreadable(_UNKNOWN_FORM)
    lists = holder.named(scheme.list_name)
    if not lists:
        return _Property(scheme, found[0])
    listed = items_of(lists[0]) if len(lists) == 1 else None
    if listed is None:
        raise Unreadable(_UNKNOWN_FORM)
    container, items = listed
    return _Property(scheme, found[0], container, tuple((item, scheme.found(item)) for item in items))


def _change(one: _Property, wanted: Sequence[Region], frame: Frame, body: bytes, changes: _Changes) -> None:
    """Add what has to change in the regions of one scheme."""
    scheme = one.scheme
    missing = {scheme.mark(region): region for region in wanted}
    gone = [item for item, region in one.items if region.mark and missing.pop(region.mark, None) is None]
    if one.is_ours and one.element is not None and not (wanted and one.fits(frame)):
        changes.dropped.append(one.element)
        gone = [item for item, _ in one.items]
        missing = {scheme.mark(region): region for region in wanted}
    elif missing and not one.fits(frame):
        raise Unreadable("its regions are about a picture of another shape than the one beside it")
    else:
        changes.edits += [removed(item, body) for item in gone]
    changes.added, changes.removed = max(changes.added, len(missing)), max(changes.removed, len(gone))
    if not missing:
        return
    items = "\n".join(scheme.item(region) for region in missing.values())
    if one.element is None or one.element in changes.dropped:
        changes.new.append(scheme.declared(scheme.of(missing.values(), *frame.stored_size)))
    elif one.container is None:
        holder = field_holder(one.element) or one.element
        changes.edits.append(appended(holder, f"\n{scheme.declared(scheme.list_of(items))}", body))
    else:
        changes.edits.append(appended(one.container, f"\n{scheme.declared(items)}", body))


def _without(rdf: Element, dropped: Sequence[Element], body: bytes) -> list[Edit]:
    """Return the edits that take properties away, with each description that would hold nothing else."""
    edits = []
    for description in rdf.children:
        going = [child for child in description.children if child in dropped]
        is_empty = len(going) == len(description.children) and description.attributes.keys() <= {ABOUT}
        edits += [removed(one, body) for one in ([description] if going and is_empty else going)]
    return edits


def _description(about: str, text: str) -> str:
    tag = f'  <rdf:Description xmlns:rdf="{RDF}" rdf:about={quoteattr(about)}>'
    return f"{tag}\n{text}\n  </rdf:Description>"


def _is_taken(region: Region, other: FoundRegion) -> bool:
    """Return whether somebody else has named this face, or placed this person, in the picture already."""
    name, area = region
    if not other.is_face or not other.name:
        return False
    if name_key(other.name) == name_key(name):
        return True
    return other.area is not None and _holds(area, other.area) and _holds(other.area, area)


def _holds(outer: Box, inner: Box) -> bool:
    """Return whether the middle of a box lies in another one."""
    x, y = (inner.x1 + inner.x2) / 2, (inner.y1 + inner.y2) / 2
    return outer.x1 <= x <= outer.x2 and outer.y1 <= y <= outer.y2
