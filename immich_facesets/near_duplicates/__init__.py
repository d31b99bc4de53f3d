"""Faces and whole pictures that show nearly the same."""
