"""The four passes: gather, decide, commit. They talk to each other only through the store."""
