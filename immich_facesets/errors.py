"""
The four kinds of trouble, sorted by what to do about them.

Everything that fails on purpose leaves its boundary as one of these; whatever else is raised is a bug and keeps its
traceback. Messages are written for the person who must act and never hold a key, a name or a vector.
"""


class FacesetsError(Exception):
    """Any trouble we know how to speak about; ``str(error)`` is one clear sentence."""


class TransientError(FacesetsError):
    """
    Nothing is wrong with the item: the same call may work later.

    ``retry_after`` is the pause in seconds the other side asked for, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ItemError(FacesetsError):
    """
    One item failed and will fail again; record it and go on with the next.

    ``reason`` is a short stable code (``corrupt``, ``too_large``, ``not_found``, ...) that counters and pages group by.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SetupError(FacesetsError):
    """A person must change something; the message says what and how."""


class RequestError(FacesetsError):
    """The caller asked for the impossible. ``status`` is the HTTP status that says so."""

    def __init__(self, message: str, *, status: int = 409) -> None:
        super().__init__(message)
        self.status = status
