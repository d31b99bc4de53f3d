"""The documents of the program as HTML: read where they are installed, with links and anchors that fit the pages."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from immich_facesets import exports

INSTALLED = Path(__file__).parent / "docs"
"""Where a wheel has them (``sources`` in ``pyproject.toml``)."""
IN_REPOSITORY = Path(__file__).parents[2] / "docs"
GUIDES = Path(exports.__file__).parent / "guides"
"""The pages about other programs."""

_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "th": "columnheader", "td": "cell"}
"""Small screens show tables as lists, so that the roles of their parts have to be named."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a document, and where it is on its page."""

    title: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its name in addresses, its title, and its sections."""

    name: str
    title: str
    sections: tuple[Section, ...]
    text: str


class Manual:
    """The documents by name; those of the guides come behind the others. ``base``: the base path of addresses."""

    def __init__(self, folder: Path, guides: Path, base: str) -> None:
        self._base = base
        self.documents = _read(folder)
        self.guides = _read(guides)
        self._rendered: dict[str, str] = {}

    def document(self, name: str) -> Document | None:
        """Return a document; None where there is none of this name."""
        return self.documents.get(name) or self.guides.get(name)

    def html_of(self, document: Document) -> str:
        """Return a document as HTML, rendered at the first call. Blocks for up to a tenth of a second."""
        if document.name not in self._rendered:
            parser = MarkdownIt("commonmark", {"html": False}).enable("table")
            tokens = _without_pictures(parser.parse(document.text))
            self._prepare(tokens)
            self._rendered[document.name] = str(parser.renderer.render(tokens, parser.options, {}))
        return self._rendered[document.name]

    def _prepare(self, tokens: Sequence[Token]) -> None:
        anchors = _anchors(tokens)
        for token in tokens:
            if token.type == "heading_open":
                token.attrSet("id", next(anchors))
            if token.tag in _ROLES and token.nesting == 1:
                token.attrSet("role", _ROLES[token.tag])
            if token.type in {"code_block", "fence"}:
                token.attrSet("tabindex", "0")  # long lines are scrolled by keyboard
            for child in token.children or ():
                self._prepare_inline(child)
            _drop_foreign_links(token.children or ())
        _label_cells(tokens)

    def _prepare_inline(self, token: Token) -> None:
        if token.type == "link_open":
            target = self._target(str(token.attrGet("href") or ""))
            token.attrs.clear()
            if target is not None:
                token.attrSet("href", target)

    def _target(self, link: str) -> str | None:
        """Return where a link of a document leads on its page; None where the target is no page."""
        path, mark, anchor = link.partition("#")
        if re.match(r"https?:", link) or (not path and anchor):
            return link
        name = Path(path).name
        if name.endswith(".md") and self.document(name.removesuffix(".md")) is not None:
            return f"{self._base}/help/{name.removesuffix('.md')}{mark}{anchor}"
        return None


def _without_pictures(tokens: Sequence[Token]) -> list[Token]:
    """
    Return the tokens of a document without its pictures, and without the paragraphs that have nothing else.

    Pictures are no part of an installed program. Nearly all show its pages, which the reader has at hand.
    """
    kept: list[Token] = []
    for token in tokens:
        children = token.children or []
        token.children = [child for child in children if child.type != "image"] or None
        if children and not token.children and kept and kept[-1].type == "paragraph_open":
            kept.pop()
        elif token.type == "paragraph_close" and kept and kept[-1].type != "inline":
            continue
        else:
            kept.append(token)
    return kept


def installed_manual(base: str) -> Manual:
    """Return the documents of this program: those of the wheel, else those beside the source."""
    return Manual(INSTALLED if INSTALLED.is_dir() else IN_REPOSITORY, GUIDES, base)


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _read(folder: Path) -> Mapping[str, Document]:
    found = {}
    for path in sorted(folder.glob("*.md")):
        text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
        title = text.partition("\n")[0].removeprefix("# ").replace("`", "")
        sections = tuple(Section(one.replace("`", ""), anchor_of(one)) for one in _SECTION.findall(text))
        found[path.stem] = Document(path.stem, title, sections, text)
    return found


def _anchors(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the anchor of each heading; a second one of the same words has a number behind it."""
    seen: dict[str, int] = {}
    for before, token in pairwise(tokens):
        if before.type == "heading_open":
            anchor = anchor_of(token.content)
            count = seen[anchor] = seen.get(anchor, -1) + 1
            yield f"{anchor}-{count}" if count else anchor


def _drop_foreign_links(tokens: Sequence[Token]) -> None:
    """Turn links that lead to no page into their words."""
    is_dropped = False
    for token in tokens:
        if token.type == "link_open":
            is_dropped = not token.attrs
        if token.type in {"link_open", "link_close"} and is_dropped:
            token.tag = "span"


def _label_cells(tokens: Sequence[Token]) -> None:
    """Give each cell of a table the words above its column, which small screens show beside it."""
    labels: list[str] = []
    column = 0
    for token, after in pairwise(tokens):
        match token.type:
            case "table_open":
                labels = []
            case "th_open":
                labels.append(after.content.replace("`", ""))
            case "tr_open":
                column = 0
            case "td_open":
                token.attrSet("data-label", labels[column])
                column += 1
