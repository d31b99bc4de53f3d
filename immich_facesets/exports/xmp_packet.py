"""
XMP packets as elements with their positions in the bytes.

A packet of others is changed by cutting and inserting bytes, and is never written anew: prefixes, order, comments and
unknown properties stay as they are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from immich_facesets.errors import ItemError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DESCRIPTION, ABOUT = f"{RDF} Description", f"{RDF} about"
LARGEST_PACKET = 16 << 20
"""Bytes; the edits that a program stores in a sidecar take a few hundred kilobytes."""

_XML = "http://www.w3.org/XML/1998/namespace"
_TAG = re.compile(rb"""<([^\s/>]+)(?:"[^"]*"|'[^']*'|[^"'>])*>""")
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@dataclass(slots=True, eq=False)
class Element:
    """
    An element and its positions: of the start tag, after it, of the end tag, and after that.

    Names are ``namespace local``. ``text``: the characters directly in it. An empty tag has no end tag: the last three
    positions are one.
    """

    name: str
    attributes: dict[str, str]
    start: int
    tag_end: int
    end_tag: int = 0
    end: int = 0
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def named(self, name: str) -> list["Element"]:
        return [child for child in self.children if child.name == name]

    @property
    def inner_end(self) -> int:
        """The position after the last child, or after the start tag."""
        return self.children[-1].end if self.children else self.tag_end


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """The bytes from ``start`` to ``end`` replaced by others."""

    start: int
    end: int
    replacement: bytes = b""


class Unreadable(ItemError):  # noqa: N818 - it names the finding
    """A packet that is not as XMP has to be, or is written in a way that this module does not know."""

    def __init__(self, finding: str) -> None:
        super().__init__(finding, reason="unreadable_sidecar")


def read_packet(body: bytes) -> Element:
    """Return the ``rdf:RDF`` element of a packet in UTF-8; ``Unreadable`` says what is wrong with any other."""
    if len(body) > LARGEST_PACKET:
        raise Unreadable(f"it is larger than {LARGEST_PACKET >> 20} MiB")
    root = _Reader(body).root()
    name = f"{RDF} RDF"
    found = [root] if root.name == name else root.named(name)
    if len(found) != 1:
        raise Unreadable("it holds no XMP, or more than one packet")
    return found[0]


def fields(element: Element) -> dict[str, str | Element] | None:
    """Return the fields of a structure in any of RDF's ways to write one; None where it is no structure."""
    holder = field_holder(element)
    if holder is None:
        return None
    found: dict[str, str | Element] = {
        name: value for name, value in holder.attributes.items() if not name.startswith((f"{RDF} ", f"{_XML} "))
    }
    for child in holder.children:
        if child.name in found:
            return None
        found[child.name] = child if child.children or child.attributes else child.text.strip()
    return found


def field_holder(element: Element) -> Element | None:
    """Return the element that holds the fields of a structure; None where it is no structure."""
    if is_resource(element):
        return element
    if [child.name for child in element.children] == [DESCRIPTION]:
        return element.children[0]
    is_short = element.attributes and not element.children and not element.text.strip()
    return element if is_short else None


def is_resource(element: Element) -> bool:
    """Return whether the children of an element are the fields of a structure."""
    return element.attributes.get(f"{RDF} parseType") == "Resource"


def appended(element: Element, text: str, body: bytes) -> Edit:
    """Return the edit that puts a text after the last child of an element, which may be an empty tag."""
    if body[element.tag_end - 2 : element.tag_end] != b"/>":
        return Edit(element.inner_end, element.inner_end, text.encode())
    tag = body[element.start : element.tag_end]
    found = _TAG.match(tag)
    name = found[1] if found else b""
    return Edit(element.start, element.tag_end, tag[:-2].rstrip() + b">" + text.encode() + b"</" + name + b">")


def removed(element: Element, body: bytes) -> Edit:
    """Return the edit that takes an element away, together with the white space before it."""
    return Edit(len(body[: element.start].rstrip(b" \t\r\n")), element.end)


def apply(edits: Sequence[Edit], body: bytes) -> bytes:
    """Return the bytes after these edits, which do not overlap."""
    for edit in sorted(edits, reverse=True):
        body = body[: edit.start] + edit.replacement + body[edit.end :]
    return body


class _Reader:
    """Reads the elements of one packet. A document type is refused: its entities could be of any size."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._open: list[Element] = []
        self._root: Element | None = None
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.XmlDeclHandler = self._declaration
        self._parser.StartDoctypeDeclHandler = self._doctype

    def root(self) -> Element:
        if not self._body.strip():
            raise Unreadable("it is empty")
        if self._body.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Unreadable("it is not in UTF-8")
        try:
            self._parser.Parse(self._body, True)
        except expat.ExpatError as error:
            raise Unreadable(
                f"it is no well-formed XML: {expat.ErrorString(error.code)}, line {error.lineno}"
            ) from error
        if self._root is None:
            raise Unreadable("it is empty")
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        tag = _TAG.match(self._body, start)
        if tag is None or len(self._open) > 100:  # levels; regions need about ten
            raise Unreadable("it is nested too deep, or not in UTF-8")
        element = Element(name, attributes, start, tag.end())
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _name: str) -> None:
        element = self._open.pop()
        if self._body[element.tag_end - 2 : element.tag_end] == b"/>":
            element.end_tag = element.end = element.tag_end
            return
        element.end_tag = self._parser.CurrentByteIndex
        element.end = self._body.index(b">", element.end_tag) + 1

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise Unreadable("it is not in UTF-8")

    def _doctype(self, *_: object) -> None:
        raise Unreadable("it declares a document type, which XMP has none of")


def items_of(list_element: Element) -> tuple[Element, list[Element]] | None:
    """Return the container of a list and its items; None where it is no list."""
    kinds = {f"{RDF} Bag", f"{RDF} Seq"}
    if len(list_element.children) != 1 or list_element.children[0].name not in kinds:
        return None
    container = list_element.children[0]
    items = container.named(f"{RDF} li")
    return (container, items) if len(items) == len(container.children) else None


def properties(rdf: Element) -> Iterator[tuple[Element, Element]]:
    """Yield the properties of a packet, each with the description that holds it."""
    for description in rdf.children:
        if description.name != DESCRIPTION:
            raise Unreadable("it is written in a way that this program does not know")
        for child in description.children:
            yield description, child
