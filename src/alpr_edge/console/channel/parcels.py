"""Files in pieces: what goes out, what comes in, and how both go on after a break. Pure.

Out: the whole file is named by its SHA-256 and asked for piece by piece, from any offset, as often
as needed. In: pieces are taken in order; each answer says how far the file is complete, so a lost
piece is sent again and a doubled one changes nothing. A file that stopped half-way is kept and goes
on where it stopped when the same one (length and SHA-256) is offered again.

Rules:
- Nothing of a file is used before all of it is here and its SHA-256 holds; if it does not, all of
  it is dropped.
- At most `MAX_INCOMING` bytes wait here, in RAM, for one file at a time.
- What goes out is for the person who asked for it: `Outbox.piece` wants the same name again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from alpr_edge.console.channel.packets import MAX_BLOB
from alpr_edge.errors import ConsoleError

MAX_INCOMING: Final = 8 << 20
"""Bytes; 12 minutes at 115200 baud. Larger files come over the network or on a card."""
KEPT_OUT: Final = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that can be fetched: its name on the channel, length and SHA-256 (hex)."""

    id: int
    size: int
    sha256: str

    def values(self) -> dict[str, object]:
        """As JSON."""
        return {"id": self.id, "size": self.size, "sha256": self.sha256}


class Outbox:
    """What the other end may fetch; the last `KEPT_OUT` files."""

    def __init__(self) -> None:
        self._next = 1
        self._held: dict[int, tuple[str, bytes]] = {}

    def clear(self) -> None:
        """Let go of all of them."""
        self._held.clear()

    def offer(self, data: bytes, owner: str) -> Offer:
        """Keep a file for somebody."""
        made = Offer(self._next, len(data), hashlib.sha256(data).hexdigest())
        self._held[made.id] = (owner, data)
        self._next += 1
        while len(self._held) > KEPT_OUT:
            del self._held[next(iter(self._held))]
        return made

    def piece(self, number: int, owner: str, offset: int, length: int) -> bytes:
        """Some of a file's bytes; fewer at its end.

        Raises:
            ConsoleError: `console.channel.parcel`: it is not here any more, or not theirs.
        """
        found_owner, data = self._held.get(number, ("", b""))
        if number not in self._held or found_owner != owner:
            raise ConsoleError(
                f"there is no file {number} to fetch",
                code="console.channel.parcel",
                hint="ask for it again; what was fetched already is not lost if it is the same",
            )
        if offset < 0 or not 1 <= length <= MAX_BLOB:
            raise ConsoleError(
                f"{length} bytes from {offset} cannot be asked for", code="console.channel.request"
            )
        return data[offset : offset + length]


@dataclass(slots=True)
class _Part:
    size: int
    sha256: str
    owner: str
    data: bytearray = field(default_factory=bytearray)


class Inbox:
    """One file that is coming in."""

    def __init__(self) -> None:
        self._part: _Part | None = None

    def clear(self) -> None:
        """Forget it."""
        self._part = None

    def create(self, size: int, sha256: str, owner: str) -> int:
        """Begin a file, or go on with the same one: how many bytes of it are here.

        Raises:
            ConsoleError: `console.channel.request`: it is too large, or its SHA-256 is none.
        """
        if not 1 <= size <= MAX_INCOMING:
            raise ConsoleError(
                f"{size} bytes are too many; at most {MAX_INCOMING} come over the cable",
                code="console.channel.request",
                hint="bring it over the network",
            )
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ConsoleError("that is no SHA-256", code="console.channel.request")
        part = self._part
        if part is None or (part.size, part.sha256, part.owner) != (size, sha256, owner):
            self._part = part = _Part(size, sha256, owner)
        return len(part.data)

    def write(self, owner: str, offset: int, piece: bytes) -> int:
        """Take a piece; how many bytes are here now. One that leaves a gap is not taken.

        Raises:
            ConsoleError: no file was begun, or it would grow too long.
        """
        part = self._theirs(owner)
        if offset + len(piece) > part.size:
            raise ConsoleError("that is longer than announced", code="console.channel.request")
        if 0 <= offset <= len(part.data):
            part.data += piece[len(part.data) - offset :]
        return len(part.data)

    def finish(self, owner: str, sha256: str) -> bytes:
        """The whole file.

        Raises:
            ConsoleError: `.parcel`: it is not all here; `.digest`: its SHA-256 is another, and it
                is dropped.
        """
        part = self._theirs(owner)
        if part.sha256 != sha256 or len(part.data) != part.size:
            raise ConsoleError(
                f"{len(part.data)} of {part.size} bytes are here",
                code="console.channel.parcel",
                hint="send the rest",
            )
        self._part = None
        data = bytes(part.data)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ConsoleError(
                "the file was damaged on the way: its SHA-256 is another",
                code="console.channel.digest",
                hint="send it again",
            )
        return data

    def _theirs(self, owner: str) -> _Part:
        if self._part is None or self._part.owner != owner:
            raise ConsoleError(
                "no file was begun", code="console.channel.parcel", hint="send it again"
            )
        return self._part
