"""Edge: photos from files and folders, for `alpr-edge read` and the image-folder source.

It finds photos and decodes them; it does not look at what they show. Rules:

- The content decides what a file is, never its name; a folder is searched by extension.
- Size limits are checked on the header, before a decoder allocates anything.
- EXIF orientation is applied (OpenCV's `IMREAD_COLOR`), for JPEG, PNG and WebP alike. Width,
  height, masks and boxes are all in the upright picture.
- Grey, palette, 16-bit, CMYK and transparent pictures become BGR uint8; alpha is dropped, and of an
  animation the first picture counts.
- A picture that is only partly there is refused: what a decoder fills in may read as a plate.
- Decoders' own messages (libjpeg, libpng) stay off the console.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from alpr_edge.capture.opencv import quiet_opencv
from alpr_edge.capture.photo_header import HeaderProblem, PhotoHeader, parse_header
from alpr_edge.config.files import FileTrouble, Trouble, display_name, read_regular_file
from alpr_edge.errors import CaptureError
from alpr_edge.types import Frame, Image

PHOTO_EXTENSIONS: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
MAX_PIXELS: Final = 100_000_000
"""Twice the 50 megapixels that must work: 300 MB as BGR, what a 1 GB module can still hold."""
MAX_SIDE_PX: Final = 32_767
"""Source: OpenCV keeps coordinates of remap and warp in 16-bit signed integers (SHRT_MAX)."""
MIN_SIDE_PX: Final = 16
"""Smaller than any legible plate: a line of capitals needs about 8 pixels of height."""
MAX_FILE_BYTES: Final = 1 << 29
"""512 MiB: an uncompressed 32-bit BMP of `MAX_PIXELS` is 400 MB."""

_HINTS: Final = {
    "missing": "check the path",
    "unreadable": "check the permissions of the file and its folder",
    "empty": "copy the file again: it has no bytes",
    "not_an_image": "give a JPEG, PNG, BMP or WebP photo",
    "broken": "copy the file again from the camera; a damaged photo is never guessed at",
    "too_large": f"give a photo of at most {MAX_PIXELS // 1_000_000} megapixels",
    "too_small": f"give a photo of at least {MIN_SIDE_PX} by {MIN_SIDE_PX} pixels",
}
_log = logging.getLogger(__name__)
_stderr_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class PhotoEntry:
    """One thing found for the reader, in input order: a photo's path, or why there is none.

    Attributes:
        source: the path as text for people and JSON.
        error: set where the path cannot be searched; then it must not be loaded.
    """

    path: Path
    source: str
    error: CaptureError | None = None


def find_photos(paths: Iterable[str | os.PathLike[str]]) -> Iterator[PhotoEntry]:
    """Photos named or found in folders: in input order, each folder sorted and searched downwards.

    A file that is named is always yielded, whatever it is called; in folders only known extensions
    count, hidden names are passed over and links to folders are not followed (they can loop). What
    cannot be searched is yielded with its error. Nothing is opened but folders.
    """
    for path in paths:
        if not os.fspath(path):
            yield _failed(path, "missing", "an empty path was given")
        elif _is_folder(path):
            yield from _search(path)
        else:
            yield PhotoEntry(Path(path), display_name(path))


def load_photo(path: str | os.PathLike[str], *, sequence: int = 0) -> Frame:
    """A photo as a frame. Its `captured_at` is the time of reading, not the camera's.

    Raises:
        CaptureError: `capture.photo.missing`, `.unreadable`, `.empty`, `.not_an_image`, `.broken`,
            `.too_large` or `.too_small`, each with a hint.
    """
    source = display_name(path)
    data = read_regular_file(path, limit_bytes=MAX_FILE_BYTES)
    if isinstance(data, FileTrouble):
        kind = "not_an_image" if data.kind is Trouble.NOT_A_FILE else data.kind.value
        raise _problem(kind, f"{source} {data.detail}")
    image = decode_photo(data, source=source)
    return Frame(image, source, sequence, datetime.now(UTC), time.monotonic_ns())


def decode_photo(data: bytes, *, source: str) -> Image:
    """`(H, W, 3)` uint8 BGR, upright, from the bytes of a photo.

    Raises:
        CaptureError: as `load_photo`, without the codes that concern the file itself.
    """
    if not data:
        raise _problem("empty", f"{source} is empty")
    header = parse_header(data)
    if isinstance(header, HeaderProblem):
        raise _problem(header.what, f"{source}: {header.detail}")
    _check_size(header, source)
    with _decoder_messages() as messages:
        image = _decode(data)
    if image is None:
        raise _problem("broken", f"{source}: the {header.kind} data cannot be decoded")
    if image.shape[:2] not in ((header.height, header.width), (header.width, header.height)):
        raise _problem("broken", f"{source}: the picture differs in size from its header")
    if any(sign in messages for sign in _SIGNS_OF_DAMAGE):
        raise _problem("broken", f"{source}: parts of the {header.kind} data are damaged")
    return image


def _check_size(header: PhotoHeader, source: str) -> None:
    size = f"{source} is {header.width} x {header.height} pixels"
    if min(header.width, header.height) < MIN_SIDE_PX:
        raise _problem("too_small", size)
    if max(header.width, header.height) > MAX_SIDE_PX or header.width * header.height > MAX_PIXELS:
        raise _problem("too_large", size)


def _decode(data: bytes) -> Image | None:
    quiet_opencv()
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError) as err:
        _log.debug("OpenCV refused a photo: %s", err)
        return None
    if decoded is None or decoded.dtype != np.uint8 or decoded.ndim != 3:
        return None
    return np.require(decoded, np.uint8, ["C", "W", "O"])


# Source: libjpeg-turbo 3, jerror.h. "extraneous bytes before marker" is absent: it is harmless.
_SIGNS_OF_DAMAGE: Final = (
    b"Corrupt JPEG data: premature end of data segment",
    b"Corrupt JPEG data: bad Huffman code",
    b"Corrupt JPEG data: bad arithmetic code",
    b"Corrupt JPEG data: found marker",
    b"Premature end of JPEG",
    b"Inconsistent progression sequence",
    b"libpng error",
)
_DECODERS: Final = (b"Corrupt JPEG", b"Premature end", b"Inconsistent prog", b"libpng", b"Invalid ")


@contextmanager
def _decoder_messages() -> Iterator[bytearray]:
    """What libjpeg and libpng print while a picture is decoded, instead of on the console.

    They write to file descriptor 2 with no way to ask them otherwise, so it points elsewhere for
    those milliseconds. What other threads print meanwhile is passed on afterwards.
    """
    messages = bytearray()
    with _stderr_lock:
        try:
            console = os.dup(2)
        except OSError:  # a service may run without stderr
            yield messages
            return
        catcher = os.memfd_create("decoder-messages")
        try:
            os.dup2(catcher, 2)
            try:
                yield messages
            finally:
                os.dup2(console, 2)
                messages += os.pread(catcher, 1 << 20, 0)
                _pass_on(bytes(messages), console)
        finally:
            os.close(console)
            os.close(catcher)


def _pass_on(messages: bytes, console: int) -> None:
    others = [line for line in messages.splitlines(True) if not line.startswith(_DECODERS)]
    try:
        os.write(console, b"".join(others))
    except OSError as err:  # the reader of stderr is gone: nothing of ours is lost
        _log.debug("standard error cannot be written: %s", err)


def _search(folder: str | os.PathLike[str]) -> Iterator[PhotoEntry]:
    found = False
    failures: list[OSError] = []
    for here, folders, names in os.walk(folder, onerror=failures.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_EXTENSIONS:
                found = True
                path = Path(here, name)
                yield PhotoEntry(path, display_name(path))
    for failure in failures:
        place = failure.filename if isinstance(failure.filename, str) else os.fspath(folder)
        why = f"{display_name(place)} cannot be searched: {failure.strerror}"
        yield _failed(place, "unreadable", why)
    if not found and not failures:
        yield _failed(folder, "missing", f"{display_name(folder)} holds no photo")


def _is_folder(path: str | os.PathLike[str]) -> bool:
    try:
        return os.path.isdir(path)
    except ValueError:  # a NUL in the name; load_photo says so
        return False


def _failed(path: str | os.PathLike[str], kind: str, message: str) -> PhotoEntry:
    return PhotoEntry(Path(path), display_name(path), _problem(kind, message))


def _problem(kind: str, message: str) -> CaptureError:
    return CaptureError(message, code=f"capture.photo.{kind}", hint=_HINTS[kind])
