"""Packets as lines of text among other text: the framing of SMP over a console. Pure.

    06 09  base64(length, packet, CRC)[:124]  0A        first line
    04 14  base64(…)[124:248]                 0A        every further line

`length` is of packet and CRC together, two bytes, high byte first; the CRC is CRC-16/XMODEM of the
packet. A line has at most 127 bytes with its end. Source: Zephyr, "SMP over console" (mcumgr serial
transport), 2026-11.

Rules:

- What is not within such a line is not the channel's: log lines may come between any two lines of a
  packet. A first line begins anew, whatever came before.
- A packet counts only when its length and its CRC hold. Anything else is dropped without a word:
  the asker asks again.
- No input makes the decoder hold more than `MAX_PACKET` bytes and one line.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Final

FIRST: Final = b"\x06\x09"
MORE: Final = b"\x04\x14"
END: Final = 0x0A
MAX_LINE: Final = 127
"""With marker and end. Source: as above; consoles of microcontrollers have such buffers."""
MAX_PACKET: Final = 4096
_TEXT: Final = MAX_LINE - 3
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def encode(packet: bytes) -> bytes:
    """The lines of a packet.

    Raises:
        ValueError: it is empty or larger than `MAX_PACKET`.
    """
    if not 1 <= len(packet) <= MAX_PACKET:
        raise ValueError(f"a packet has 1 to {MAX_PACKET} bytes, not {len(packet)}")
    whole = (len(packet) + 2).to_bytes(2, "big") + packet + _crc(packet)
    text = binascii.b2a_base64(whole, newline=False)
    lines = bytearray()
    for at in range(0, len(text), _TEXT):
        lines += (MORE if at else FIRST) + text[at : at + _TEXT]
        lines.append(END)
    return bytes(lines)


def wire_size(packet_bytes: int) -> int:
    """Bytes on the wire of a packet of that size."""
    text = -(-(packet_bytes + 4) // 3) * 4
    return text + 3 * -(-text // _TEXT)


class Decoder:
    """Finds packets in what comes over a wire.

    `feed` gives packets; what it met that was not the channel's is in `stray` until `take_stray`.
    """

    def __init__(self) -> None:
        self._marker = 0
        self._line: bytearray | None = None
        self._is_first = False
        self._text = bytearray()
        self._stray = bytearray()
        self._open = False

    @property
    def mid_packet(self) -> bool:
        """Whether a line has begun, or a packet that lacks lines."""
        return self._marker != 0 or self._line is not None or self._open

    def reset(self) -> None:
        """Forget what has begun."""
        self._marker, self._line, self._open = 0, None, False
        self._text.clear()
        self._stray.clear()

    def take_stray(self) -> bytes:
        """What was not the channel's since the last call; at most the last 4 KiB."""
        stray = bytes(self._stray)
        self._stray.clear()
        return stray

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Packets that are complete now. Take all of them before feeding more."""
        for byte in data:
            packet = self._byte(byte)
            if packet is not None:
                yield packet

    def _byte(self, byte: int) -> bytes | None:
        if self._marker:
            marker, self._marker = bytes((self._marker, byte)), 0
            if marker in (FIRST, MORE):
                self._line, self._is_first = bytearray(), marker == FIRST
                return None
            self._keep(marker[0])
        if byte in (FIRST[0], MORE[0]):
            self._line = None
            self._marker = byte
            return None
        if self._line is None:
            self._keep(byte)
            return None
        if byte == END:
            line, self._line = self._line, None
            return self._take(line)
        if byte in _ALPHABET and len(self._line) < _TEXT:
            self._line.append(byte)
        elif byte != 0x0D:  # some terminals send CR LF
            self._line = None
            self._drop()
        return None

    def _take(self, line: bytearray) -> bytes | None:
        if self._is_first:
            self._text.clear()
            self._open = True
        elif not self._open:
            return None
        self._text += line
        if len(self._text) < 4:
            self._drop()
            return None
        wanted = int.from_bytes(_bytes(self._text[:4])[:2], "big")
        if not 3 <= wanted <= MAX_PACKET + 2:
            self._drop()
            return None
        characters = -(-(wanted + 2) // 3) * 4
        if len(self._text) < characters:
            if len(line) < _TEXT:  # only the last line may be shorter
                self._drop()
            return None
        whole = _bytes(self._text)
        exact = len(self._text) == characters
        self._drop()
        packet, crc = whole[2:wanted], whole[wanted : wanted + 2]
        return packet if exact and len(whole) == wanted + 2 and crc == _crc(packet) else None

    def _drop(self) -> None:
        self._text.clear()
        self._open = False

    def _keep(self, byte: int) -> None:
        self._stray.append(byte)
        if len(self._stray) > 4096:
            del self._stray[:2048]


def _crc(packet: bytes) -> bytes:
    return binascii.crc_hqx(packet, 0).to_bytes(2, "big")


def _bytes(text: bytearray) -> bytes:
    try:
        return binascii.a2b_base64(bytes(text), strict_mode=True)
    except binascii.Error:
        return b"\0\0"
