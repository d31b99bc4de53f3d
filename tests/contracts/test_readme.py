"""
The README says what the program does: its settings tables are the settings, its commands are the commands.

Run as a program it writes the tables: python tests/contracts/test_readme.py
"""

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from embedder.settings import EmbedderSettings  # noqa: E402 - the repository must be found first
from immich_facesets.runtime.settings import is_secret, variable_names  # noqa: E402
from service.cli.app import app  # noqa: E402
from service.settings import Settings  # noqa: E402

README = ROOT / "README.md"
TABLES: dict[str, type[BaseSettings]] = {"settings": Settings, "embedder settings": EmbedderSettings}


def shown(value: Any) -> str:
    """A default as a person would write it."""
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


def span(text: str, name: str) -> tuple[int, int]:
    """Where the table of this name stands in the README."""
    begin = text.index("-->\n", text.index(f"<!-- {name}: ")) + len("-->\n")
    return begin, text.index(f"<!-- end of {name} -->")


def written(text: str) -> str:
    for name, model in TABLES.items():
        begin, end = span(text, name)
        text = f"{text[:begin]}\n{table(model)}\n\n{text[end:]}"
    return text


def test_the_settings_tables_are_the_settings() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == written(text), "run: python tests/contracts/test_readme.py"


def test_every_setting_is_explained() -> None:
    for model in TABLES.values():
        assert all(field.description for field in model.model_fields.values())


def test_every_command_is_in_the_table_of_commands() -> None:
    text = README.read_text(encoding="utf-8")
    commands = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    told = set(re.findall(r"`immich-facesets (\w[\w-]*)", text))
    assert commands == told


def test_every_file_the_readme_links_to_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).is_file(), target


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
