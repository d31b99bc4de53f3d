"""Files in memory, which carry pictures between the embedder and a decoding process."""

import mmap
import os
import sys

if sys.platform == "linux":
    import fcntl


def anonymous_file(data: bytes | memoryview) -> int:
    """Return a file of this content in memory, which is gone when it is closed everywhere."""
    file = os.memfd_create("picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
    except BaseException:
        os.close(file)
        raise
    return file


def shared_memory(file: int, size_bytes: int) -> mmap.mmap:
    """
    Return the memory of a file that another process made.

    That process cannot cut the file off any more, as reading behind its end would end this process. A file that is too
    small, or cannot be protected, is an ``OSError``.
    """
    if sys.platform == "linux":
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    if not 0 < size_bytes <= os.fstat(file).st_size:
        raise OSError("a file in memory is smaller than the picture in it")
    return mmap.mmap(file, size_bytes)
