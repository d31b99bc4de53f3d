"""
A pytest plugin: marks the tests that only ``make test-slow`` runs.

The quick run keeps one of each kind. The slow run has the rest: the PostgreSQL twins of store tests, the image builds,
and what a test marks as slow itself (more moments of the kill matrix, older versions of Immich).
"""

from pathlib import Path

import pytest

ON_POSTGRESQL = {"test_store.py", "test_stored_faces.py"}
"""Files whose PostgreSQL twins stay in the quick run: upserts, migrations, transactions."""

WHOLE_FILES = {"test_embedder_image.py", "test_service_image.py"}
"""Image builds, each with a complete installation."""


def is_slow(path: Path, parameters: dict[str, object]) -> bool:
    """Return whether a test belongs to the slow run by where it stands and what it runs on."""
    if path.name in WHOLE_FILES:
        return True
    return parameters.get("database_url") == "postgresql" and path.name not in ON_POSTGRESQL


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        if is_slow(item.path, callspec.params if callspec is not None else {}):
            item.add_marker(pytest.mark.slow)
