"""The HTML pages."""

from service.web.pages import static_files, status

ROUTES = (*status.ROUTES, *static_files.ROUTES)
"""The routes of all pages."""
