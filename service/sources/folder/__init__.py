"""A folder tree as a source of pictures."""

from service.sources.folder.source import FolderSource, Memory, Mode

__all__ = ["FolderSource", "Memory", "Mode"]
