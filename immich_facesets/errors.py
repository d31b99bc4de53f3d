"""
The four kinds of errors, classified by the required action.

Every deliberate failure leaves its boundary as one of these. Any other exception is a bug and keeps its traceback.
Messages are written for the user who must act and never hold a key, a name or a vector.
"""


class FacesetsError(Exception):
    """Base class of all expected errors; ``str(error)`` is one clear sentence."""


class TransientError(FacesetsError):
    """
    Nothing is wrong with the item: the same call may work later.

    ``retry_after`` is the pause in seconds requested by the other side, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutOfServiceError(TransientError):
    """The remote itself reports that it is out of service, such as in maintenance: no retry helps until that ends."""


class ItemError(FacesetsError):
    """
    One item failed and will fail again; record it and continue with the next.

    ``reason`` is a short stable code (``corrupt``, ``too_large``, ``not_found``, ...) that counters and pages group by.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SetupError(FacesetsError):
    """A user must change something; the message describes what and how."""


class RequestError(FacesetsError):
    """An invalid request of the caller. ``status`` is the matching HTTP status."""

    def __init__(self, message: str, *, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


class TwiceInPictureError(RequestError):
    """
    An identity would have two faces of one picture.

    ``faces``: those of all such pictures, whose number is ``pictures``. The caller may allow these pictures first.
    """

    def __init__(self, message: str, *, faces: tuple[int, ...], pictures: int) -> None:
        super().__init__(message)
        self.faces = faces
        self.pictures = pictures


class NameTakenError(RequestError):
    """Other identities have the name; ``numbers``: theirs. The caller says whether it is the same person or a namesake."""

    def __init__(self, message: str, *, numbers: tuple[int, ...]) -> None:
        super().__init__(message)
        self.numbers = numbers
