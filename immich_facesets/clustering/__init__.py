"""Average linkage of unit vectors with numpy alone; independent of identities and settings."""
