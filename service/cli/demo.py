"""``demo``: the whole job on this machine alone, with invented people, a fake Immich and no weights."""


def demo() -> int:
    """Show the whole job: a small invented library is synced, exported and served."""
    return 0
