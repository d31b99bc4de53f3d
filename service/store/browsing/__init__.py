"""Reads for pages and API, a page at a time: the number of statements never grows with the page."""
