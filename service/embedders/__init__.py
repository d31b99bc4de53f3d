"""Clients of embedders: one client, the pool that shares the work, and the embedder child process."""
