"""Exact average linkage of unit vectors, with numpy alone: no identities, no settings."""
