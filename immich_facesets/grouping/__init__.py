"""Faces to identities: assertions, matching, discovery, linking, and the plan that says what changes."""
