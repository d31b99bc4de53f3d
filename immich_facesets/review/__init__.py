"""The review queue: what a person should look at, in the order of what it costs if it stays wrong."""
