"""Copies among the pictures, byte by byte and by their looks: found, and told. Nothing is ever deleted."""
