"""Photos made for the tests, as bytes."""

from __future__ import annotations

import base64
import struct
import zlib

import cv2
import numpy as np

from alpr_edge.types import Image

# 16 × 16, pure red, CMYK with Adobe's inverted colours; OpenCV cannot write one. Made by Pillow.
CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBX"
    "QUZMTlJTUjI+WmFaUGBKUVJP/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYH"
    "CAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBka"
    "JSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeo"
    "qaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD06vMK"
    "8wr06iiiiiiiiiiiiv/Z"
)
KINDS = ("jpg", "png", "bmp", "webp")


def picture(width: int = 96, height: int = 64) -> Image:
    """Noise with large grains: compresses like a photo, and shows any shift."""
    grains = np.random.default_rng(7).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(grains, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encoded(kind: str, image: np.ndarray | None = None, *parameters: int) -> bytes:
    """A picture as a file of this kind."""
    ok, data = cv2.imencode(f".{kind}", picture() if image is None else image, parameters)
    assert ok
    return data.tobytes()


def jpeg_with_orientation(image: Image, orientation: int) -> bytes:
    """A JPEG with an EXIF segment that holds nothing but the orientation."""
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    data = encoded("jpg", image, cv2.IMWRITE_JPEG_QUALITY, 98)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(width: int, height: int) -> bytes:
    """A well-formed PNG that claims a size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def resized_jpeg(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG, claiming another size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
