"""The size in the header of a WebP (RFC 9649): Pillow takes memory for all pixels before it returns the size."""

_KEY_FRAME = b"\x9d\x01\x2a"


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height; None for other files, and for those that no decoder understands."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and data[23:26] == _KEY_FRAME:
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None
