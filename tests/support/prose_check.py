"""
Count habits that make prose hard to read, in docstrings, comments and documents; exit 1 above zero.

`make lint` runs it on the three packages, the tests and the documents. The rules stand in CONTRIBUTING.md.
"""

import ast
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ("immich_facesets", "service", "embedder", "tests")
DOCUMENTS = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "immich_facesets/exports/guides",
)  # fmt: skip
MOST_WORDS = 25
_NUMBERS = {f"{number}." for number in range(1, 10)}

HABITS = {
    "a person as a relative pronoun": re.compile(
        r"\b(whoever|(nobody|somebody|anybody|everybody) who)\b", re.IGNORECASE
    ),
    "a sentence that begins with a relative pronoun": re.compile(
        r"(?:^|[.:;] )(Who|Whoever|What|Whatever|Nobody|Somebody|Whom)\b(?![^.]*\?)"
    ),
    "he or she for data": re.compile(r"\b(she|her|hers|herself|himself|his)\b", re.IGNORECASE),
    "a document that is not in the repository": re.compile(r"\b(PRODUCT|EXPORTS|RECORDS|REDESIGN|ARCHITECTURE)\b(?!_)"),
    "a thing that speaks or hears": re.compile(r"\b(wish|wishes|hears?|speaks?|outlives?)\b", re.IGNORECASE),
}


def findings(text: str) -> Iterator[str]:
    """Yield a line for each bad habit in one docstring, comment or paragraph."""
    text = " ".join(text.split())
    for name, habit in HABITS.items():
        for match in habit.finditer(text):
            yield f"{name}: {text[max(0, match.start() - 30) : match.end() + 40]}"
    for sentence in re.split(r"(?<=[.!?;:])\s+", text):
        if (words := len(sentence.split())) > MOST_WORDS:
            yield f"{words} words in one sentence: {sentence[:80]}"


def prose_of_code(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring and comment, without the examples in docstrings."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for child in body if isinstance(body, list) else ():
            match child:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield child.lineno, without_examples(text)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def without_examples(docstring: str) -> str:
    """Return a docstring without its indented blocks, which are code, a file or a drawing."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(docstring).strip("\n"))
    return "\n\n".join(part for part in paragraphs if not all(line.startswith("    ") for line in part.splitlines()))


def prose_of_document(source: str) -> Iterator[tuple[int, str]]:
    """
    Yield line and text of every paragraph and item of a list, and of every cell of a table, without code.

    Links count as their text alone.
    """
    is_code, begun, parts = False, 1, list[str]()
    for number, line in enumerate([*source.splitlines(), ""], 1):
        is_fence = line.lstrip().startswith("```")
        is_code ^= is_fence
        text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "x", line)).strip()
        is_example = line.startswith("    ") and not parts
        if parts and (
            is_fence or is_code or not text or text.startswith(("#", "- ", "|", "<!--")) or text[:2] in _NUMBERS
        ):
            yield begun, " ".join(parts)
            parts = []
        if is_code or is_fence or is_example or not text:
            continue
        if text.startswith("|"):
            yield from ((number, cell) for cell in text.strip("|").split("|"))
            continue
        begun = begun if parts else number
        parts.append(text.removeprefix("- "))


def main() -> int:
    count = 0
    for path in sorted(found for name in PYTHON for found in (ROOT / name).rglob("*.py")):
        for line, text in prose_of_code(path.read_text(encoding="utf-8")):
            for finding in findings(text):
                count += 1
                print(f"{path.relative_to(ROOT)}:{line}: {finding}")  # noqa: T201  a command line tool
    for path in sorted(found for name in DOCUMENTS for found in _markdown(ROOT / name)):
        for line, text in prose_of_document(path.read_text(encoding="utf-8")):
            for finding in findings(text):
                count += 1
                print(f"{path.relative_to(ROOT)}:{line}: {finding}")  # noqa: T201  a command line tool
    return min(count, 1)


def _markdown(place: Path) -> list[Path]:
    return sorted(place.rglob("*.md")) if place.is_dir() else [place] if place.is_file() else []


if __name__ == "__main__":
    sys.exit(main())
