"""Decisions of moderators, from a command, the API or a page: one way for all."""
