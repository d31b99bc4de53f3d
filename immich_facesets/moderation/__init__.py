"""Decisions of a moderator, and the constraints on grouping that follow from them."""
