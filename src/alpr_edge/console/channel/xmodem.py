"""XMODEM with CRC, blocks of 128 and 1,024 bytes, for terminal programs that know nothing better.
Pure: bytes in, bytes out; `session` gives it the wire when a command yields `talk.Move`.

    SOH number ~number 128 bytes crc crc      or STX and 1,024 bytes; the last is filled up with SUB
    receiver: C (begin), ACK, NAK, CAN CAN    sender: EOT after the last block

Source: C. Forsberg, "XMODEM/YMODEM Protocol Reference", 1988; held against lrzsz in the tests. Own
code, because the library on PyPI waits within its calls, and this end must not.

Rules:
- After an error the line must fall silent before anything is asked for again, and the first end is
  refused: both keep a piece of a hurt block from being taken for something else.
- Bytes that bring nothing do not keep a transfer alive: each end counts the ticks since it last
  went on (`moved` grows), and gives up after `_NOTHING_TICKS`.
- No length and no name go along, so what was sent comes with filling; whoever takes it knows the
  form of the file (JSON and TOML end by themselves; `trim` takes the filling off text).
- The plain checksum of 1977 is not spoken: one error in 256 would pass.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Final

SOH: Final = 0x01
STX: Final = 0x02
EOT: Final = 0x04
ACK: Final = 0x06
NAK: Final = 0x15
CAN: Final = 0x18
SUB: Final = 0x1A
BEGIN: Final = 0x43
INTERRUPT: Final = 0x03
"""Ctrl-C of a person who began no program; no byte of the protocol."""
_CANCEL: Final = bytes((CAN, CAN, CAN))
TRIES: Final = 10
_WAIT_TICKS: Final = 100
"""Ten seconds, as the protocol has it."""
_BEGIN_TICKS: Final = 30
_BEGIN_TRIES: Final = 20
_AGAIN_TICKS: Final = 10
_END_TICKS: Final = 15
_END_TRIES: Final = 3
"""lrzsz throws its own last answer away when it ends; every block was confirmed by then."""
MAX_BYTES: Final = 8 << 20
_NOTHING_TICKS: Final = 1200
"""Two minutes: all tries of a silent line end before."""


class Sender:
    """Sends a file when the other end begins.

    `failed` says why it did not arrive; empty after the end: it did.
    """

    def __init__(self, data: bytes) -> None:
        if not data:
            raise ValueError("an empty file cannot be sent")
        self._data, self._at, self._number = data, 0, 1
        self._size = 0
        self._waited = self._tries = self._cancels = 0
        self._last = b""
        self._ending = False
        self.failed = ""
        self.is_over = False
        self.moved = self._idle = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Transfer.feed`."""
        out = b""
        for at, byte in enumerate(data):
            if self.is_over:
                return out, data[at:]
            out += self._byte(byte)
        return out, b""

    def tick(self) -> bytes:
        """See `Transfer.tick`."""
        self._waited += 1
        self._idle += 1
        if not self.is_over and self._idle >= _NOTHING_TICKS:
            return self._give_up("nothing is moving")
        most = _WAIT_TICKS if self._last else _BEGIN_TICKS * _BEGIN_TRIES
        if self._ending:
            most = _END_TICKS
        if self.is_over or self._waited < most:
            return b""
        return self._again() if self._last else self._give_up("nobody began to receive")

    def _byte(self, byte: int) -> bytes:
        self._cancels = self._cancels + 1 if byte == CAN else 0
        if self._cancels >= 2:
            self.is_over, self.failed = True, "the other end gave up"
            return b""
        if byte == INTERRUPT and not self._last:
            return self._give_up("left by hand")
        if byte == BEGIN and self._at == 0 and not self._size:
            self.moved, self._idle = self.moved + 1, 0
            return self._block()
        # Some receivers throw away what comes at once after their first C, and ask again.
        if byte == BEGIN and self._at == 0 and self._waited >= _AGAIN_TICKS:
            return self._again()
        if byte == NAK and self._last:
            return self._again()
        if byte == ACK and self._last:
            return self._next()
        return b""

    def _next(self) -> bytes:
        if self._ending:
            self.is_over = True
            return b""
        self.moved, self._idle = self.moved + 1, 0
        self._at += self._size
        self._number = (self._number + 1) & 0xFF
        if self._at >= len(self._data):
            self._ending = True
            return self._send(bytes((EOT,)))
        return self._block()

    def _block(self) -> bytes:
        left = len(self._data) - self._at
        self._size = 1024 if left > 896 else 128
        piece = self._data[self._at : self._at + self._size].ljust(self._size, bytes((SUB,)))
        head = bytes((STX if self._size == 1024 else SOH, self._number, self._number ^ 0xFF))
        return self._send(head + piece + _crc(piece))

    def _send(self, data: bytes) -> bytes:
        self._last, self._tries, self._waited = data, 0, 0
        return data

    def _again(self) -> bytes:
        self._tries += 1
        self._waited = 0
        if self._ending and self._tries >= _END_TRIES:
            self.is_over = True
            return b""
        return self._last if self._tries < TRIES else self._give_up("too many errors on the line")

    def _give_up(self, why: str) -> bytes:
        self.is_over, self.failed = True, why
        return _CANCEL


class Receiver:
    """Takes a file; `done` gets it when it is complete and gives what the terminal is told.

    `failed` says why nothing was taken.
    """

    def __init__(self, done: Callable[[bytes], bytes]) -> None:
        self._done = done
        self._data = bytearray()
        self._block = bytearray()
        self._number = 1
        self._began = self._purging = self._saw_end = False
        self._waited, self._tries, self._cancels = _BEGIN_TICKS, 0, 0
        self.failed = ""
        self.is_over = False
        self.moved = self._idle = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Transfer.feed`."""
        out = b""
        for at, byte in enumerate(data):
            if self.is_over:
                return out, data[at:]
            out += self._byte(byte)
        return out, b""

    def tick(self) -> bytes:
        """See `Transfer.tick`."""
        self._waited += 1
        self._idle += 1
        if not self.is_over and self._idle >= _NOTHING_TICKS:
            return self._give_up("nothing came but noise")
        # Within a block a byte was lost when nothing comes for a second; between blocks, ten.
        broken = self._block or self._purging
        most = _AGAIN_TICKS if broken else (_WAIT_TICKS if self._began else _BEGIN_TICKS)
        if self.is_over or self._waited < most:
            return b""
        self._waited = 0
        self._block.clear()
        self._purging = self._saw_end = False
        self._tries += 1
        if self._tries > (TRIES if self._began else _BEGIN_TRIES):
            return self._give_up("the sender fell silent" if self._began else "nothing came")
        return bytes((NAK if self._began else BEGIN,))

    def _byte(self, byte: int) -> bytes:
        self._waited = 0
        if self._block:
            self._block.append(byte)
            size = 1024 if self._block[0] == STX else 128
            if len(self._block) < size + 5:
                return b""
            block, self._block = bytes(self._block), bytearray()
            return self._take(block)
        self._cancels = self._cancels + 1 if byte == CAN else 0
        if self._cancels >= 2:
            self.is_over, self.failed = True, "the sender gave up"
        elif self._purging or byte == CAN:
            pass
        elif byte == INTERRUPT and not self._began:
            return self._give_up("left by hand")
        elif byte == EOT and self._began:
            return self._end()
        elif byte in (SOH, STX):
            self._saw_end = False
            self._block.append(byte)
        else:
            self._purging = self._began
        return b""

    def _end(self) -> bytes:
        """The first one is refused: a hurt byte may look like an end, a sender says it again."""
        if not self._saw_end:
            self._saw_end = True
            return bytes((NAK,))
        self.is_over = True
        return bytes((ACK,)) + self._done(bytes(self._data))

    def _take(self, block: bytes) -> bytes:
        number, inverse, piece, crc = block[1], block[2], block[3:-2], block[-2:]
        if number ^ inverse != 0xFF or crc != _crc(piece):
            # Not asked for again before the line is silent: the rest must not pass for a block.
            self._purging = True
            return b""
        if number == (self._number - 1) & 0xFF and self._began:  # our ACK was lost
            return bytes((ACK,))
        if number != self._number:
            return self._give_up("a block is missing")
        if len(self._data) + len(piece) > MAX_BYTES:
            return self._give_up("the file is too large")
        self._began, self._tries = True, 0
        self.moved, self._idle = self.moved + 1, 0
        self._number = (number + 1) & 0xFF
        self._data += piece
        return bytes((ACK,))

    def _give_up(self, why: str) -> bytes:
        self.is_over, self.failed = True, why
        return _CANCEL


def trim(data: bytes) -> bytes:
    """Without the filling of the last block; for text only."""
    return data.rstrip(bytes((SUB,)))


def _crc(piece: bytes) -> bytes:
    return binascii.crc_hqx(piece, 0).to_bytes(2, "big")
