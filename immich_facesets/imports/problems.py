"""What reading somebody's files came to, in words for that person."""

from dataclasses import dataclass, field


@dataclass
class Findings:
    """
    Sentences. ``found``: what is there; ``missing``: what is not, and what is done without it; ``problems``: what is
    wrong. With one problem nothing is taken over, and all of them are collected first.
    """

    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 face``, ``1,200 faces``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
