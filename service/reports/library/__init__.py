"""The library as the API shows it: one read of the store for each question, and values of ``service.web``."""

from service.reports.library.faces import FaceReads
from service.reports.library.identities import IdentityReads
from service.reports.library.known_figures import KnownFigures
from service.store.database import Store
from service.web.library.reads import LibraryReads


def library_reads(store: Store, *, base_path: str) -> LibraryReads:
    """Return the calls behind the reading routes of the API."""
    figures = KnownFigures(store)
    identities, faces = IdentityReads(store, figures, base_path), FaceReads(store, figures, base_path)
    return LibraryReads(
        identities=identities.page,
        survivor=identities.survivor,
        identity=identities.one,
        faces=identities.faces,
        eras=identities.eras,
        nearest=identities.nearest,
        together=identities.together,
        history=identities.history,
        face=faces.one,
        search=faces.search,
    )
