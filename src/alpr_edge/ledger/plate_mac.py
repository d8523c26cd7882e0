"""Which plate was searched for, without the plate: its HMAC under a key only the device has.

Whoever has the device's key and a plate can ask "was this one searched for?"; nobody can list what
was searched for without trying plates one by one with that key. Pure.

Source: RFC 2104 (HMAC), RFC 5869 (a key of its own, derived from the device's).
"""

from __future__ import annotations

import hmac
from typing import Final

from alpr_edge.trust.keys import PrivateKey

_CONTEXT: Final = b"alpr-edge ledger: plate that was searched for, 1"


def plate_mac(key: PrivateKey, plate: str) -> str:
    """64 hexadecimal digits for a plate, upper case without separators counts the same."""
    plain = "".join(c for c in plate.upper() if c.isalnum())
    own = hmac.digest(b"", key.sign(_CONTEXT), "sha256")
    return hmac.new(own, plain.encode(), "sha256").hexdigest()
