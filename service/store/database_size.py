"""How much room the database takes."""

from sqlalchemy import Connection, text

_BYTES = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}


def database_bytes(tx: Connection) -> int:
    """Return the bytes of the database, without the log of what is written just now."""
    return int(tx.scalar(_BYTES[tx.dialect.name]) or 0)
