"""Prometheus metrics, and monitoring of a blocked event loop."""
