"""The HTML pages."""

from service.web.pages import (
    decide,
    documents,
    eras,
    faces,
    facesets,
    identify,
    left_out,
    people,
    person,
    review,
    static_files,
    status,
    syncs,
    system,
    writing_sets,
)

ROUTES = (
    *status.ROUTES,
    *people.ROUTES,
    *person.ROUTES,
    *faces.ROUTES,
    *facesets.ROUTES,
    *writing_sets.ROUTES,
    *left_out.ROUTES,
    *eras.ROUTES,
    *review.ROUTES,
    *identify.ROUTES,
    *syncs.ROUTES,
    *system.ROUTES,
    *documents.ROUTES,
    *decide.ROUTES,
    *static_files.ROUTES,
)
"""The routes of all pages."""
