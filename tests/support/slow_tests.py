"""
A pytest plugin: marks the tests that only ``make test-slow`` runs.

The quick run keeps one of each kind. The slow run has the PostgreSQL twins of store tests, the image builds, and the
older versions of Immich. It also has the variants that a test marks as slow itself: more photos, more moments of a kill.
"""

from collections import defaultdict
from collections.abc import Mapping

import pytest

ON_POSTGRESQL = {("store", "test_store.py"), ("store", "test_faces.py")}
"""Folders and files whose PostgreSQL twins stay in the quick run: upserts, migrations, transactions."""

WHOLE_FILES = {"test_embedder_image.py", "test_service_image.py"}
"""Image builds, each with a complete installation."""

ON_EVERY_VERSION = {
    "test_fake_immich_openapi.py",
    "test_fake_immich_recordings.py",
    "test_immich_recordings.py",
    "test_keyset_listing.py",
}
"""Files whose tests stay in the quick run for every version of Immich: recordings, API documents, whole listings."""


def parameters_of(item: pytest.Item) -> Mapping[str, object]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


def is_slow(item: pytest.Item, newest: str) -> bool:
    """
    Return whether a test belongs to the slow run by its path and its parameters.

    ``newest`` is the newest version of Immich that the same test runs on, "" for none.
    """
    name, parameters = item.path.name, parameters_of(item)
    if name in WHOLE_FILES:
        return True
    if parameters.get("database_url") == "postgresql":
        return item.path.parts[-2:] not in ON_POSTGRESQL
    return parameters.get("version", newest) != newest and name not in ON_EVERY_VERSION


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    newest: dict[str, str] = defaultdict(str)
    tests = [item.nodeid.partition("[")[0] for item in items]
    for test, item in zip(tests, items, strict=True):
        newest[test] = max(newest[test], str(parameters_of(item).get("version", "")))
    for test, item in zip(tests, items, strict=True):
        if is_slow(item, newest[test]):
            item.add_marker(pytest.mark.slow)
