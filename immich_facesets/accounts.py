"""Which account of the server a source belongs to: a source is bound to the account that it was made with."""

from collections.abc import Collection, Mapping

from immich_facesets.errors import SetupError


def check_account(name: str, account: str, bound: Mapping[str, str]) -> None:
    """
    Raise a ``SetupError`` unless the source ``name`` may read this account.

    ``bound`` holds the account of each known source, by the source's name. Pictures of another account would make all
    known ones look deleted, and two sources of one account would hold each picture twice.
    """
    before = bound.get(name, "")
    if before not in {"", account}:
        raise SetupError(
            f"the API key of user {name!r} belongs to another Immich account than the one {name!r} was made with, so "
            "nothing of it was changed: put a key of that account back, or give the other account a name of its own "
            "in the settings"
        )
    twin = next((other for other, of in sorted(bound.items()) if of == account and other != name), None)
    if twin is not None:
        raise SetupError(
            f"the API keys of users {twin!r} and {name!r} belong to one Immich account: take one of them out of the "
            "settings, and remove what is known of it with 'immich-facesets sources remove NAME'"
        )


def former_name(name: str, account: str, bound: Mapping[str, str], configured: Collection[str]) -> str | None:
    """
    Return the former name of a source that only has another name in the settings now; None if there is none.

    That is a source of the same account which the settings, with the names ``configured``, no longer name.
    """
    if not account or name in bound:
        return None
    return next((old for old, of in sorted(bound.items()) if of == account and old not in configured), None)


def dropped_warning(name: str) -> str:
    """Return the warning about an Immich user with data here who is no longer in the settings."""
    return (
        f"the user {name!r} is not in the settings any more: what is known of this user stays, and is exported. Put "
        f"the key back, or run 'immich-facesets sources remove {name}'"
    )
