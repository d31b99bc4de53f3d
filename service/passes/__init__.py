"""The four passes: gather, decide, commit. They communicate only through the store."""
