"""Pictures of high dynamic range: as bright and as contrasty as the same picture in sRGB."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from embedder.images.decoder import Decoder
from embedder.images.hdr import HLG, PQ, Cicp, tone_mapped

Values = NDArray[np.float64]
WHITE = 203.0
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def portrait() -> NDArray[np.uint8]:
    """Shades of skin, hair and cloth, up to three quarters of white."""
    rows, columns = np.mgrid[:96, :128]
    base = np.stack([90 + columns, 60 + columns * 0.8, 40 + rows], axis=-1)
    base[:32] = np.array([35, 28, 22]) + columns[:32, :, None] * 0.2
    return np.asarray(np.clip(base, 0, 205), np.uint8)


def linear(srgb: NDArray[np.uint8]) -> Values:
    code = srgb / 255
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def pq(nits: Values) -> Values:
    """The inverse of the curve of SMPTE ST 2084."""
    power = (np.clip(nits, 0, 1e4) / 1e4) ** 0.1593017578125
    coded: Values = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return coded


def hlg(nits: Values) -> Values:
    """The curve of ARIB STD-B67 for a display of 1,000 nits."""
    display = nits / 1000
    luminance = (display @ [0.2627, 0.678, 0.0593])[..., None]
    scene = display * np.maximum(luminance, 1e-9) ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    coded: Values = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    return coded


def coded(transfer: int, srgb: NDArray[np.uint8]) -> Values:
    """The picture in Rec. 2020 and this curve, with white at 203 nits, in [0, 1]."""
    nits = WHITE * (linear(srgb) @ TO_2020.T)
    return np.clip((pq if transfer == PQ else hlg)(nits), 0, 1)


def heic(transfer: int, values: Values) -> bytes:
    """Ten bits, and no profile but the code points."""
    height, width = values.shape[:2]
    raw = np.rint(values * 65535).astype(np.uint16)
    image = pillow_heif.from_bytes("RGB;16", (width, height), raw.tobytes())
    stream = io.BytesIO()
    points = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9}
    image.save(stream, quality=95, chroma="444", full_range_flag=1, **points)
    return stream.getvalue()


def png(transfer: int, values: Values) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(stream, "PNG")
    data, body = stream.getvalue(), b"cICP" + bytes([9, transfer, 0, 1])
    return data[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("store", [heic, png])
def test_a_picture_of_high_range_looks_like_its_ordinary_twin(
    transfer: int, store: Callable[[int, Values], bytes]
) -> None:
    expected = portrait().astype(float)
    values = coded(transfer, portrait())
    found = Decoder(10**6).decode(store(transfer, values)).pixels.astype(float)
    assert np.abs(found - expected).mean() < 4
    assert found.std() == pytest.approx(expected.std(), rel=0.05)
    assert np.abs(255 * values - expected).mean() > 8, "as it is coded the picture is another"


def test_lights_brighter_than_white_are_compressed_and_keep_their_order() -> None:
    nits = np.array([20, 100, 203, 400, 1000, 4000], float)
    codes = np.rint(255 * pq(nits)).astype(np.uint8)
    greys = np.repeat(codes[None, :, None], 3, axis=2)
    shown = tone_mapped(greys, Cicp(1, PQ))[0, :, 0].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert 225 <= shown[2] <= 245
    assert shown[4] >= 250
    assert (np.diff(shown[:4]) > 5).all()


def test_code_points_of_an_ordinary_picture_change_nothing() -> None:
    image = Image.fromarray(portrait())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    plain = stream.getvalue()
    body = b"cICP" + bytes([1, 13, 0, 1])
    marked = plain[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + plain[33:]
    assert (Decoder(10**6).decode(marked).pixels == portrait()).all()
