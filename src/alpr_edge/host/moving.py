"""Files over a link, in pieces, from where they stopped. Pure over `Link`.

Pieces start small and grow while all is well, and shrink when pieces are lost: a short piece gets
through a bad line more often.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from alpr_edge.console.channel.packets import MAX_BLOB, Command
from alpr_edge.errors import ConsoleError
from alpr_edge.host.link import Link

Progress = Callable[[int, int], None]
"""Bytes that are there, of so many."""
LEAST: Final = 96
WINDOW: Final = 6
_CLEAN: Final = 4
_SETTLED_S: Final = 1.0
"""Before it, what has passed says little: the first pieces lie in buffers."""
_OVERHEAD: Final = 1.4
_Request = tuple[Command, dict[str, Any], bytes]


class Left:
    """How long a file will still take: by the line's rate at first, then by what has passed.

    Args:
        now_s: a clock, in seconds.
    """

    def __init__(self, baud: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._baud, self._now_s = baud, now_s
        self._from: tuple[float, int] | None = None

    def seconds(self, done: int, total: int) -> float:
        """Until `total` bytes are there; what was there at the first call took no time."""
        now = self._now_s()
        if self._from is None:
            self._from = now, done
        took, passed = now - self._from[0], done - self._from[1]
        if took < _SETTLED_S or not passed:
            # Ten bits a byte, and four letters for three bytes with what frames them.
            return (total - done) * 10 * _OVERHEAD / self._baud
        return (total - done) * took / passed

    def words(self, done: int, total: int) -> str:
        """For a person: `12 of 40 KiB, 3 s left`."""
        left = ceil(self.seconds(done, total))
        time_left = f"{left} s" if left < 100 else f"{ceil(left / 60)} min"
        return f"{done // 1024} of {ceil(total / 1024)} KiB, {time_left} left"


@dataclass(slots=True)
class _Piece:
    """How large the next piece is."""

    size: int
    most: int
    clean: int = 0
    repeats: int = 0

    def learn(self, repeats: int) -> None:
        """A piece has arrived; so many requests were repeated until now."""
        if repeats > self.repeats:
            self.size, self.clean = max(LEAST, self.size // 2), 0
        else:
            self.clean += 1
            if self.clean >= _CLEAN:
                self.size, self.clean = min(self.most, self.size * 2), 0
        self.repeats = repeats


def _piece(link: Link) -> _Piece:
    # Half a second of line at the most, so that a repeat costs little.
    most = max(LEAST, min(MAX_BLOB, link.baud // 40))
    return _Piece(min(most, 512), most, repeats=link.repeats)


def fetch(
    link: Link,
    offer: dict[str, Any],
    have: bytes = b"",
    *,
    progress: Progress = lambda done, total: None,
    keep: Callable[[bytes], None] = lambda piece: None,
) -> bytes:
    """A file that the unit offers: the rest of it after `have`.

    Args:
        offer: `id`, `size` and `sha256`, as the unit gave them.
        keep: gets every piece in order, so that a break loses nothing.

    Raises:
        ConsoleError: `host.file.damaged`: its SHA-256 is another.
        LinkLost: try again with what there is.
    """
    number, size, digest = int(offer["id"]), int(offer["size"]), str(offer["sha256"])
    data = bytearray(have[:size])
    piece = _piece(link)

    def requests() -> Iterator[_Request]:
        at = len(data)
        while at < size:
            length = min(piece.size, size - at)
            yield Command.READ, {"id": number, "at": at, "length": length}, b""
            at += length

    progress(len(data), size)
    for answer in link.many(requests(), window=WINDOW):
        data += answer.blob
        keep(answer.blob)
        piece.learn(link.repeats)
        progress(len(data), size)
    if hashlib.sha256(data).hexdigest() != digest:
        raise ConsoleError(
            "the file was damaged on the way: its SHA-256 is another",
            code="host.file.damaged",
            hint="fetch it again; what is here was dropped",
        )
    return bytes(data)


def send(link: Link, data: bytes, *, progress: Progress = lambda done, total: None) -> str:
    """Bring a file to the unit, from where it stopped; its SHA-256. `FINISH` or a call uses it."""
    digest = hashlib.sha256(data).hexdigest()
    opened = link.ask(Command.CREATE, {"size": len(data), "sha256": digest})
    have = int(opened.body["have"])
    piece = _piece(link)
    progress(have, len(data))
    while have < len(data):
        requests: list[_Request] = []
        at = have
        while at < len(data) and len(requests) < WINDOW:
            part = data[at : at + piece.size]
            requests.append((Command.WRITE, {"at": at}, part))
            at += len(part)
        for answer in link.many(requests, window=WINDOW):
            have = max(have, int(answer.body["have"]))
            progress(have, len(data))
            piece.learn(link.repeats)
    return digest
