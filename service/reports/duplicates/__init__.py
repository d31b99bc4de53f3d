"""Report of duplicate pictures, byte by byte and by appearance. Nothing is ever deleted."""
