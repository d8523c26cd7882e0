"""Which TCP ports listen, from the text of /proc/net/tcp and tcp6. Pure.

Source: proc(5), and Documentation/networking/proc_net_tcp.rst of Linux: state 0A is LISTEN; an
address is written as 32-bit words of the machine's own byte order.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from typing import Final

_LISTEN: Final = "0A"
_LINE: Final = re.compile(
    r"\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) .*"
)


def listening(text: str, byteorder: str = sys.byteorder) -> frozenset[tuple[str, int]]:
    """`(address, port)` of every socket that listens; lines of another form are passed over."""
    found = set()
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None and match[3] == _LISTEN:
            found.add((_address(match[1], byteorder), int(match[2], 16)))
    return frozenset(found)


def outside(listeners: frozenset[tuple[str, int]]) -> frozenset[int]:
    """Ports that others than this machine may reach."""
    return frozenset(port for address, port in listeners if not _is_loopback(address))


def _address(text: str, byteorder: str) -> str:
    words = [bytes.fromhex(text[at : at + 8]) for at in range(0, len(text), 8)]
    raw = b"".join(word[::-1] if byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(raw))


def _is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
