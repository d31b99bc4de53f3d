"""Read-only views of what is stored, for commands and pages."""
