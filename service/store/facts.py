"""Small named facts: settings that stored results depend on."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from service.store.tables import facts
from service.store.upsert import upsert


def read_fact(tx: Connection, name: str) -> Any:
    """The value of a fact (anything JSON holds), None when it was never written."""
    return tx.scalar(select(facts.c.value).where(facts.c.name == name))


def write_fact(tx: Connection, name: str, value: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Remember a fact; ``options`` as `upsert` takes them."""
    upsert(tx, facts, [{"name": name, "value": value}], options=options)
