"""Failed connections in words: what the system says, else what kind of failure it is."""

import httpx


def words_of(error: httpx.HTTPError) -> str:
    """Return why a connection failed, in words for a person: ``connection refused``, ``no answer in time``."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return f"{inner.strerror[:1].lower()}{inner.strerror[1:]}"
        inner = inner.__cause__ or inner.__context__
    match error:
        case httpx.PoolTimeout():
            return "no connection was free in time"
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            return "the connection broke off"
        case _:
            return "the connection failed"
