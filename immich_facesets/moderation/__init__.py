"""Decisions of moderators, and the constraints on grouping that follow from them."""
