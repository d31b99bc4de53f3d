"""
Open an npz file from another tool: a zip archive of arrays, none of which is unpickled or trusted.

A header that states more data than the file holds is refused before memory is allocated. Every member is read to its
end, where its checksum is.
"""

import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from immich_facesets.imports.findings import Findings

MOST_BYTES = 2**31
"""The largest size of one array that is read into memory."""

MOST_PACKED = 200
SMALL_BYTES = 64 * 2**20
"""
Arrays may unpack to 200 times the size of the file, and to 64 MiB in any case.

Texts padded to the longest path reach some 50 times. A file made for it reaches 1,000 times and more, and each of its
bytes counts again for every name that shares it.
"""

_FROM_END = 2
"""How ``seek`` counts."""

_PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""NumPy writes no others; a header of some others asks for gigabytes of memory."""

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, EOFError, OSError, ValueError, RuntimeError, TypeError,
    LookupError, SyntaxError, ArithmeticError, MemoryError,
)  # fmt: skip
"""
Errors raised by reading a damaged member of an archive; ``RuntimeError`` for an encrypted one or an unknown
compression, and the last five for headers, which NumPy parses as a program text. None is swallowed: each is reported as a problem, and with one problem nothing is imported.
"""


@dataclass(frozen=True, slots=True)
class Header:
    """The description of an array in the file, before the array is read."""

    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        size = max(self.dtype.itemsize, 1)  # rows of no size take memory, too, once they are Python's
        for length in self.shape:  # Python's numbers, which do not overflow
            size *= length
        return size


def open_archive(file: BinaryIO, name: str, findings: Findings) -> zipfile.ZipFile | None:
    """Return the archive of a seekable file; None when it is none. ``name`` is the file's name in messages."""
    try:
        return zipfile.ZipFile(file)
    except _DAMAGE:
        findings.problems.append(f"{name} is no npz file, or it was cut short: an npz file is a zip archive of arrays")
        return None


def read_headers(archive: zipfile.ZipFile, name: str, findings: Findings) -> dict[str, Header]:
    """Return the readable arrays of an archive by name. Reads the whole file once, in small pieces."""
    headers: dict[str, Header] = {}
    members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    if problem := _archive_problem(archive, members):
        findings.problems.append(f"{name} {problem}")
        return {}
    for info in members:
        array = info.filename.removesuffix(".npy")
        try:
            with archive.open(info) as member:
                header = _header(info.filename, member)
                while member.read(2**20):
                    pass
        except _DAMAGE as error:
            findings.problems.append(f"{name}: the array {array!r} cannot be read ({error or 'it ends too early'})")
            continue
        if problem := _problem(header, array, info.file_size):
            findings.problems.append(f"{name}: the array {array!r} {problem}")
            continue
        headers[array] = header
    if not headers and not findings.problems:
        findings.problems.append(f"{name} holds no arrays")
    return headers


def read_arrays(
    archive: zipfile.ZipFile, headers: Mapping[str, Header], name: str, findings: Findings
) -> dict[str, NDArray[Any]]:
    """Return those arrays, by the keys of ``headers``."""
    arrays: dict[str, NDArray[Any]] = {}
    for key, header in headers.items():
        if header.size_bytes > MOST_BYTES:
            findings.problems.append(f"{name}: the array {key!r} is too large: {header.shape} of {header.dtype}")
            continue
        try:
            with archive.open(header.member) as member:
                arrays[key] = np.lib.format.read_array(member, allow_pickle=False)
        except _DAMAGE as error:
            findings.problems.append(f"{name}: the array {key!r} cannot be read ({error})")
    return arrays


def _archive_problem(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> str:
    """Return why the members of an archive must not be unpacked, "" when they may be."""
    if any(info.compress_type not in _PACKINGS for info in members):
        return "is packed as no npz file is: save it again with numpy.savez_compressed"
    packed = archive.fp.seek(0, _FROM_END) if archive.fp is not None else 0
    unpacked = sum(info.file_size for info in members)
    if unpacked > max(SMALL_BYTES, MOST_PACKED * packed):
        return f"unpacks from {packed:,} to {unpacked:,} bytes, as no cache of faces does: save it again"
    return ""


def _header(name: str, member: Any) -> Header:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise ValueError(f"its format {version[0]}.{version[1]} is unknown")
    return Header(name, shape, dtype)


def _problem(header: Header, array: str, file_bytes: int) -> str:
    """Return why an array must not be read, "" when it may be."""
    if header.dtype.hasobject:
        return (
            "holds Python objects, which only a pickle could give back, and pickles can run programs: where it was made, "
            f"save it again with {array} as plain text or numbers, such as numpy.array({array}.tolist(), dtype=str)"
        )
    if min(header.shape, default=0) < 0 or header.size_bytes > file_bytes:
        return "claims more than the file holds"
    return ""
