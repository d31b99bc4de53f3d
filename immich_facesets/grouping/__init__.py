"""Grouping of faces into identities: assertions, matching, discovery, linking, and the plan of changes."""
