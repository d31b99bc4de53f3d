"""Reading the files that settings name: bounded, and every failure as one sentence for the user."""

import tomllib
from pathlib import Path
from typing import Any, Final

from immich_facesets.errors import SetupError

MOST_BYTES: Final = 1 << 20
"""The largest file of settings or of a secret. Devices such as ``/dev/zero`` never end."""


def read_setting_file(path: str | Path, says: str) -> str:
    """
    Return the text of a file; a ``SetupError`` for one that cannot be read, is no text, or is too large.

    ``says``: the beginning of the message, such as ``FACESETS_CONFIG names a file``.
    """
    try:
        with Path(path).open("rb") as file:
            body = file.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise SetupError(f"{says} that is larger than {MOST_BYTES >> 20} MiB: {path}")
        return body.decode()
    except (OSError, ValueError) as error:  # ``ValueError`` for NUL in the path, too
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SetupError(f"{says} that cannot be read ({reason}): {path}") from error


def read_toml_file(path: str | Path, says: str) -> dict[str, Any]:
    """Return the values of a TOML file; errors as in ``read_setting_file``, and for text that is not TOML."""
    text = read_setting_file(path, says)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ``ValueError`` for numbers of thousands of digits, too
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SetupError(f"{says} that is not TOML ({why}): {path}") from error
