"""
Documentation: tables equal the settings, documented commands exist, links and paths resolve.

Run as a program it writes the tables and the layers of imports: python tests/contracts/test_docs.py
"""

import re
import sys
import tomllib
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from embedder.settings import EmbedderSettings  # noqa: E402 - the repository must be found first
from immich_facesets.runtime.settings import is_secret, variable_names  # noqa: E402
from service.cli.app import app  # noqa: E402
from service.settings import EMBEDDER_NAMES, Settings  # noqa: E402

README = ROOT / "README.md"
DOCS = ROOT / "docs"
SETTINGS, ARCHITECTURE, COMMANDS = DOCS / "settings.md", DOCS / "architecture.md", DOCS / "commands.md"
GUIDES = ROOT / "immich_facesets" / "exports" / "guides"
DOCUMENTS = (
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted(GUIDES.glob("*.md")),
)
TABLES: dict[str, type[BaseSettings]] = {"settings": Settings, "embedder settings": EmbedderSettings}
README_LINES = 130
SENTENCE_WORDS = 25

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)
our_documents = pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if path.parent != GUIDES],
    ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS if path.parent != GUIDES],
)


def shown(value: Any) -> str:
    """Return a default as it stands in the documents."""
    match value:
        case None | "" | SecretStr():
            return ""
        case _ if value is PydanticUndefined:
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case timedelta():
            return f"`{value.total_seconds():.0f}`"
        case _:
            return f"`{value}`"


def table(model: type[BaseSettings]) -> str:
    names = variable_names(model)
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    for field_name, field in model.model_fields.items():
        secret = " (or `_FILE`)" if is_secret(field) else ""
        lines.append(f"| `{names[field_name]}`{secret} | {shown(field.default)} | {field.description} |")
    return "\n".join(lines)


def layers() -> str:
    """The layers of imports as import-linter checks them, one block for each package."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    blocks = []
    for contract in config["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            (package,) = contract["containers"]
            blocks.append(f"`{package}`:\n\n" + "\n".join(f"    {layer}" for layer in contract["layers"]))
    return "\n\n".join(blocks)


def filled(text: str, name: str, body: str) -> str:
    """The text with this body between the two marks of that name."""
    begin = text.index("-->\n", text.index(f"<!-- {name}: ")) + len("-->\n")
    end = text.index(f"<!-- end of {name} -->")
    return f"{text[:begin]}\n{body}\n\n{text[end:]}"


def written(path: Path) -> str:
    """Return a document with its generated parts written anew."""
    text = path.read_text(encoding="utf-8")
    if path == SETTINGS:
        for name, model in TABLES.items():
            text = filled(text, name, table(model))
    if path == ARCHITECTURE:
        text = filled(text, "layers", layers())
    return text


def commands() -> dict[str, frozenset[str]]:
    """Every command with its subcommands."""
    found: dict[str, frozenset[str]] = {}
    for command in app.registered_commands:
        if command.name is not None:
            found[command.name] = frozenset()
    for group in app.registered_groups:
        if group.name is not None and isinstance(group.typer_instance, typer.Typer):
            inner = group.typer_instance.registered_commands
            found[group.name] = frozenset(one.name or one.callback.__name__ for one in inner if one.callback)
    return found


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> list[str]:
    """The targets of links within the repository."""
    return re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", path.read_text(encoding="utf-8"))


def snippets(path: Path) -> list[str]:
    """The code in a document: what stands between backticks, and each line of an indented block."""
    text = path.read_text(encoding="utf-8")
    spans = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]
    return spans + [line.strip() for line in re.findall(r"^ {4,}(.+)$", text, re.MULTILINE)]


def without_code(text: str) -> str:
    """The prose of a document: no blocks, tables, headings, pictures or code."""
    lines = [line for line in text.splitlines() if not re.match(r" {4,}\S|\||#|!\[|<!--", line)]
    return re.sub(r"`[^`]*`", "x", "\n".join(lines))


@pytest.mark.parametrize("path", [SETTINGS, ARCHITECTURE], ids=["settings", "layers"])
def test_generated_parts_are_what_the_code_has(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == written(path), "run: python tests/contracts/test_docs.py"


def test_every_setting_is_explained() -> None:
    for model in TABLES.values():
        assert all(field.description for field in model.model_fields.values())


@every_document
def test_every_setting_a_document_names_exists(document: Path) -> None:
    known = {*EMBEDDER_NAMES, "FACESETS_TEST_DATA"}
    for model in TABLES.values():
        known.update(variable_names(model).values())
    named = set(re.findall(r"\b(?:FACESETS|IMMICH)_[A-Z][A-Z_]*\b(?!\*)", document.read_text(encoding="utf-8")))
    assert {name.removesuffix("_FILE") for name in named - known} <= known


def test_every_command_is_in_the_table_of_commands() -> None:
    rows = re.findall(r"^\| (.+?) \|", COMMANDS.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(commands()) == set(re.findall(r"`immich-facesets (\w[\w-]*)", "\n".join(rows)))


@every_document
def test_every_command_a_document_names_exists(document: Path) -> None:
    known = commands()
    for code in snippets(document):
        for command, inner in re.findall(r"(?<![\w-])immich-facesets ([a-z][\w-]*)(?: ([a-z][\w-]*))?", code):
            assert command in known, command
            if known[command] and inner:
                assert inner in known[command], f"{command} {inner}"


@every_document
def test_every_make_target_a_document_names_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = [name for code in snippets(document) for name in re.findall(r"(?:^|&& |; )make ([a-z][\w-]*)", code)]
    assert set(named) <= targets


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in links(document):
        target, _, anchor = link.partition("#")
        path = (document.parent / target).resolve() if target else document
        assert path.exists(), link
        assert path.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(path), link


@every_document
def test_every_path_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    pattern = r"(?<![\w/.-])((?:immich_facesets|service|embedder|tests|docker|docs|\.github)/[\w./-]*[\w/])"
    for name in re.findall(pattern, text):
        path = ROOT / name
        # Documented files that do not exist: the next migration (0009_...) and files that the user writes.
        assert path.exists() or name == "docker/.env", name


def test_every_folder_of_the_packages_is_in_the_architecture() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    for package in ("immich_facesets", "embedder", "service"):
        for folder in (ROOT / package).iterdir():
            if (folder / "__init__.py").is_file():
                assert f"| `{package}/{folder.name}` |" in text, folder.name


def test_the_readme_is_short_and_leads_to_every_document() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= README_LINES
    targets = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    assert {path for path in DOCUMENTS if path != README} <= targets


@every_document
def test_no_document_cites_one_that_is_not_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert not re.findall(r"\b(?:PRODUCT|EXPORTS|ARCHITECTURE|IMMICH|RECORDS)(?:\.md\b| \d|, )", text)
    for name in re.findall(r"(?<![\w/.(-])([\w.-]+\.md)\b", text):
        assert any((place / name).is_file() for place in (document.parent, ROOT)), name


@our_documents
def test_sentences_are_short_and_plain(document: Path) -> None:
    prose = without_code(document.read_text(encoding="utf-8"))
    assert not re.findall(r"\b(?:whoever|nobody who|she|her|hers)\b", prose, re.IGNORECASE)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:-|\d+\.) )", prose):
        starts = [0, *(found.end() for found in re.finditer(r"[.?!]\**\s+", block)), len(block)]
        for begin, end in pairwise(starts):
            sentence = re.sub(r"\]\([^)]*\)", "", block[begin:end])
            words = [word for word in sentence.split() if re.search(r"\w", word)]
            assert len(words) <= SENTENCE_WORDS, sentence


if __name__ == "__main__":
    for generated in (SETTINGS, ARCHITECTURE):
        generated.write_text(written(generated), encoding="utf-8")
