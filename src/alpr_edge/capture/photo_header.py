"""What a photo's bytes say about it before they are decoded: kind, size, completeness.

Pure: bytes in, a `PhotoHeader` or a `HeaderProblem` out. It does not decode pixels and does not
judge whether the size is acceptable. Rules:

- Only JPEG, PNG, BMP and WebP are known; the name of the file plays no part.
- Time is linear in the bytes, memory constant: it runs on hostile input before any limit.
- *Truncated* is refused here, because OpenCV fills what is missing with grey and a plate
  half in grey reads as another plate: JPEG must reach its end marker, every PNG chunk must carry
  its CRC up to IEND, BMP and WebP must hold as many bytes as their headers promise.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Final

MAX_JPEG_SCANS: Final = 100
"""Scans a JPEG may hold. Each scan of a progressive file costs a pass over all pixels.

Source: libjpeg-turbo, "Two issues with the JPEG standard" (2018), proposes 500 as a generous
limit; jpegtran's default progression has 10."""


@dataclass(frozen=True, slots=True)
class PhotoHeader:
    """Stored size in pixels, before any EXIF rotation. `kind`: jpeg, png, bmp or webp."""

    kind: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class HeaderProblem:
    """Why the bytes are not a whole photo.

    Attributes:
        what: `not_an_image` or `broken`.
        detail: a phrase for people.
    """

    what: str
    detail: str


def parse_header(data: bytes) -> PhotoHeader | HeaderProblem:
    """Kind and size of a photo, having checked that its end is there."""
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM") and len(data) >= 18:
            return _bmp(data)
    except (struct.error, IndexError):
        return _broken("it ends inside its header")
    return HeaderProblem("not_an_image", "it is not a JPEG, PNG, BMP or WebP photo")


def _broken(detail: str) -> HeaderProblem:
    return HeaderProblem("broken", detail)


# JPEG: ITU-T T.81, annex B. SOF markers C0-CF without DHT (C4), JPG (C8) and DAC (CC).
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0-7, SOI: no length follows
_EOI: Final = 0xD9
_SOS: Final = 0xDA
# One literal byte first: `re` then looks for it by memchr. Of fill bytes (FF FF) the last counts.
_MARKER: Final = re.compile(rb"\xff[^\xff]", re.DOTALL)
# In entropy-coded data FF00 is a stuffed FF and RST0-7 are part of the data (B.1.1.5).
_SCAN_END: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


def _jpeg(data: bytes) -> PhotoHeader | HeaderProblem:
    size: PhotoHeader | None = None
    scans = 0
    position = 2
    pattern = _MARKER
    while True:
        found = pattern.search(data, position)
        if found is None:
            return _broken("the JPEG is cut off: its end is missing")
        marker, position = data[found.end() - 1], found.end()
        pattern = _MARKER
        if marker == _EOI:
            break
        if marker == 0x00 or marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _SOF and size is None:
            height, width = struct.unpack_from(">HH", data, position + 3)
            size = PhotoHeader("jpeg", width, height)
        if marker == _SOS:
            scans += 1
            pattern = _SCAN_END
            if scans > MAX_JPEG_SCANS:
                return _broken(f"the JPEG has more than {MAX_JPEG_SCANS} scans")
        position += max(length, 2)
    if size is None or scans == 0:
        return _broken("the JPEG holds no picture")
    return size


def _png(data: bytes) -> PhotoHeader | HeaderProblem:
    size: PhotoHeader | None = None
    position = 8
    view = memoryview(data)
    while True:
        if position + 12 > len(data):
            return _broken("the PNG is cut off: its end is missing")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            return _broken("the PNG is cut off inside a chunk")
        if zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return _broken("the PNG is damaged: a chunk's checksum is wrong")
        if size is None:
            if kind != b"IHDR" or length != 13:
                return _broken("the PNG does not begin with its header chunk")
            size = PhotoHeader("png", *struct.unpack_from(">II", data, position + 8))
        if kind == b"IEND":
            return size
        position = end + 4


def _bmp(data: bytes) -> PhotoHeader | HeaderProblem:
    (pixels_at,) = struct.unpack_from("<I", data, 10)
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:  # OS/2 core header
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    elif 40 <= header_size <= 256:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    else:
        return HeaderProblem("not_an_image", "it is not a BMP of a known kind")
    if compression not in (0, 3, 6):
        return HeaderProblem("not_an_image", "it is a run-length coded BMP, which is not supported")
    if width <= 0 or bits not in (1, 4, 8, 16, 24, 32):
        return _broken("the BMP's header holds impossible values")
    height = abs(height)  # negative: the rows run from the top
    row_bytes = (width * bits + 31) // 32 * 4
    if pixels_at + row_bytes * height > len(data):
        return _broken("the BMP is cut off")
    return PhotoHeader("bmp", width, height)


def _webp(data: bytes) -> PhotoHeader | HeaderProblem:
    # Source: RFC 9649, sections 2.3-2.7.
    (riff_size,) = struct.unpack_from("<I", data, 4)
    if riff_size + 8 > len(data):
        return _broken("the WebP is cut off")
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(_exactly(data, 24, 3), "little") + 1
        height = int.from_bytes(_exactly(data, 27, 3), "little") + 1
    elif kind == b"VP8L":
        signature, bits = struct.unpack_from("<BI", data, 20)
        if signature != 0x2F:
            return _broken("the WebP's lossless header is damaged")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        if _exactly(data, 23, 3) != b"\x9d\x01\x2a":
            return _broken("the WebP's header is damaged")
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", data, 26))
    else:
        return _broken("the WebP holds no picture")
    return PhotoHeader("webp", width, height)


def _exactly(data: bytes, start: int, count: int) -> bytes:
    part = data[start : start + count]
    if len(part) != count:
        raise IndexError(start)
    return part
