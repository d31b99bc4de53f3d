"""Prometheus metrics, and the watch on a blocked event loop."""
