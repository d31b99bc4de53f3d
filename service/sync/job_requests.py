"""Jobs that were requested: what is to run, and the promise of its number."""

from collections.abc import Collection
from dataclasses import dataclass

from immich_facesets.errors import RequestError
from service.progress import JobKind
from service.web.context import Begun


@dataclass(frozen=True, slots=True)
class WantedJob:
    """
    A job to run, for one source or all. ``people``: whom an export is about, None for everybody.

    ``begun``: of a requested one, its number to come.
    """

    kind: JobKind
    source: str | None = None
    people: frozenset[int] | None = None
    begun: Begun | None = None

    def tell(self, begun: int | str) -> None:
        """Set the number of the job, or the error that kept it from beginning; only the first call counts."""
        if self.begun is not None and not self.begun.done():
            self.begun.set_result(begun)

    def refuse_impossible(self, sources: Collection[str]) -> None:
        """Raise a ``RequestError`` for a job that there cannot be. ``sources``: their names."""
        if self.kind == "export" and self.source is not None:
            raise RequestError("an export is about all sources: leave the source out", status=400)
        if self.kind != "export" and self.people is not None:
            raise RequestError("a sync is about everybody: leave the people out", status=400)
        if self.source is not None and self.source not in sources:
            raise RequestError(f"there is no source {self.source!r}", status=404)
