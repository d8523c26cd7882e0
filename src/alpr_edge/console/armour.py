"""Signed records as lines that survive a terminal: base64 between two markers. Pure.

    -----BEGIN ALPR-EDGE RECORD-----
    eyJwYXlsb2FkIjoi…
    -----END ALPR-EDGE RECORD-----

No checksum of its own: a record that was garbled on the way is refused by its signature.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from alpr_edge.errors import ConsoleError

_BEGIN: Final = "-----BEGIN ALPR-EDGE RECORD-----"
_END: Final = "-----END ALPR-EDGE RECORD-----"
_COLUMNS: Final = 64
MAX_PASTED: Final = 1 << 20


def armour(data: bytes) -> tuple[str, ...]:
    """Lines of at most 64 letters. `unarmour("\\n".join(armour(d))) == d`."""
    text = base64.b64encode(data).decode("ascii")
    body = [text[i : i + _COLUMNS] for i in range(0, len(text), _COLUMNS)]
    return (_BEGIN, *body, _END)


def unarmour(text: str) -> bytes:
    """The bytes of what was pasted: armoured, plain base64, or a JSON document as it is.

    Raises:
        ConsoleError: `console.paste`: it is none of them.
    """
    lines = [line.strip() for line in text.splitlines()]
    body = "".join(line for line in lines if line and not line.startswith("-----"))
    if body.startswith("{"):
        return body.encode()
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise ConsoleError(
            "what was pasted is no record",
            code="console.paste",
            hint="paste the whole text, from BEGIN to END; end with an empty line",
        )
    return data
