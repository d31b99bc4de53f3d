"""
Checkpoints: the places where the caller of a long computation may end it.

Between two of them lies a bounded amount of work: one block of a matrix product, one merge, one set of faces, one file.
The caller sets a check, which raises an error to end the computation. A computation changes nothing but its result, and
a writer of files leaves a draft at most, so nothing is lost. The check is a context variable, because it concerns every function on the way and the result of none.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]


def _continue() -> None:
    """Never end the computation: the check of callers that set none."""


_check: ContextVar[Check] = ContextVar("check", default=_continue)


def checkpoint() -> None:
    """Call the check that the caller of this computation set; it raises an error to end the computation here."""
    _check.get()()


@contextmanager
def checked_by(check: Check) -> Iterator[None]:
    """Set the check of all computations in this context."""
    before = _check.set(check)
    try:
        yield
    finally:
        _check.reset(before)
