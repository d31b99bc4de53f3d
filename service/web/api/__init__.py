"""The HTTP API, one module for each noun; handlers read parameters, call, and answer."""

from service.web.api import (
    decisions,
    eras,
    faces,
    facesets,
    identify,
    identities,
    jobs,
    operations,
    pictures,
    references,
    review,
    service,
)
from service.web.routes import Route

ROUTES: tuple[Route, ...] = (
    *operations.ROUTES,
    *identities.ROUTES,
    *eras.ROUTES,
    *faces.ROUTES,
    *identify.ROUTES,
    *pictures.ROUTES,
    *facesets.ROUTES,
    *references.ROUTES,
    *decisions.ROUTES,
    *jobs.ROUTES,
    *review.ROUTES,
    *service.ROUTES,
)
