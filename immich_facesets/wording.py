"""Words of messages to people."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: ``1 face``, ``1,200 faces``; ``many`` where the plural is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
