"""The findings of reading a user's files, in words for that user."""

from dataclasses import dataclass, field


@dataclass
class Findings:
    """
    Sentences about files that were read.

    ``found``: what is there; ``missing``: what is not, and the consequence; ``problems``: what is wrong. With one
    problem nothing is imported, and all of them are collected first.
    """

    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
