"""
Bundles for roop-unleashed (.fsz): a flat, stored ZIP of ``0.png``, ``1.png``, ... in rank order.

The reader takes the entries in directory order, fails on folders, and averages every face it finds. A bundle therefore
holds checked pictures of one face each, best first. The same pictures give the same bytes: the archive holds no
timestamp and no host.
"""

import io
import zipfile
from collections.abc import Iterable
from typing import BinaryIO

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a ZIP can hold
_UNIX = 3
_READABLE = 0o100644 << 16


def write_bundle(file: BinaryIO, pictures: Iterable[bytes]) -> None:
    """Write a bundle into an empty, seekable file; only one picture (PNG) is held in memory at a time."""
    with zipfile.ZipFile(file, "w", compression=zipfile.ZIP_STORED) as archive:
        for number, picture in enumerate(pictures):
            entry = zipfile.ZipInfo(f"{number}.png", date_time=_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _READABLE
            archive.writestr(entry, picture)


def bundle(pictures: Iterable[bytes]) -> bytes:
    """Return the bytes of a small bundle."""
    file = io.BytesIO()
    write_bundle(file, pictures)
    return file.getvalue()
