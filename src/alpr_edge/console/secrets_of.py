"""Passwords, second factors and sealed keys of the console's users. Holds no file and no clock.

- Passwords: Argon2id in PHC form. Source of the cost: OWASP Password Storage Cheat Sheet (2025),
  "m=7168 (7 MiB), t=5, p=1", the smallest memory it lists; the console may use 15 MB in all.
- Second factor: TOTP, six digits, 30 seconds, SHA-1: what every authenticator app can do.
  Source: RFC 6238. Beside it eight recovery codes of 80 random bits, each good once, for a unit
  whose clock is wrong.
- A person's key is PKCS #8, sealed by a passphrase that Argon2id makes of the password: whoever
  takes the disk must guess the password at that cost, for the key as for the hash.

Source of all primitives: the `cryptography` library, which the device has anyway (ADR 0024).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final
from urllib.parse import quote

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from alpr_edge.errors import ConsoleError, KeyUnusable
from alpr_edge.trust.keys import PrivateKey

COST_KIB: Final = 7168
COST_TIMES: Final = 5
STEP_S: Final = 30
DIGITS: Final = 6
SLACK: Final = 1
"""Steps before and after the clock's that count, for a phone that is off by half a minute."""
LEAST_PASSWORD: Final = 12
MOST_PASSWORD: Final = 256
RECOVERY_CODES: Final = 8
_SCREEN: Final = 80
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters that nobody takes for another."""


def hash_password(password: str) -> str:
    """The PHC string of a password."""
    return _argon2(secrets.token_bytes(16)).derive_phc_encoded(password.encode())


def password_fits(password: str, phc: str) -> bool:
    """Whether this is the password. Takes the same time for right and wrong."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except (InvalidKey, ValueError):
        return False
    return True


def check_new_password(password: str, name: str) -> None:
    """Refuse a password that is too easy.

    Raises:
        ConsoleError: `console.password.weak`.
    """
    problem = ""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        problem = f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters"
    elif len(set(password)) < 5 or name.lower() in password.lower():
        problem = "the password is the name, or nearly one letter"
    if problem:
        raise ConsoleError(
            problem, code="console.password.weak", hint="four words that do not belong together"
        )


def new_words() -> str:
    """A secret for once: 20 letters in groups of five, 98 bits."""
    letters = [secrets.choice(_ALPHABET) for _ in range(20)]
    return "-".join("".join(letters[i : i + 5]) for i in range(0, 20, 5))


def plain_words(text: str) -> str:
    """A typed secret without the hyphens and spaces that people put in."""
    return "".join(c for c in text.lower() if c.isalnum())


def new_totp_secret() -> str:
    """160 random bits in base32. Source of the length: RFC 4226, section 4, R6."""
    return base64.b32encode(secrets.token_bytes(20)).decode("ascii")


def totp_step(secret: str, code: str, now_s: float) -> int | None:
    """The step of the code, if it is one of now; None: it is not."""
    if len(code) != DIGITS or not code.isascii() or not code.isdigit():
        return None
    made, now = _totp(secret), int(now_s // STEP_S)
    found = None
    for step in range(max(0, now - SLACK), now + SLACK + 1):
        if secrets.compare_digest(made.generate(step * STEP_S), code.encode("ascii")):
            found = step
    return found


def totp_code(secret: str, now_s: float) -> str:
    """The code of a moment: for tests and for who has no telephone."""
    return _totp(secret).generate(int(now_s)).decode("ascii")


def totp_uri(secret: str, name: str, unit: str) -> str:
    """What an authenticator app reads from the QR code; digits, hash and period are the usual ones.

    Source: Key Uri Format of google-authenticator's wiki. Short, so that the code fits 80 columns.
    """
    return f"otpauth://totp/{quote(name)}@{quote(unit)}?secret={secret}"


def new_recovery_codes() -> list[str]:
    """Codes that each replace one second factor."""
    return [new_words()[:17].rstrip("-") for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str) -> str:
    """SHA-256 of a code: it has enough bits to need no slow hash."""
    return hashlib.sha256(plain_words(code).encode()).hexdigest()


def seal_key(key: PrivateKey, password: str) -> str:
    """`salt:PEM`, opened by `open_key` with the same password."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{key.to_pem(_passphrase(password, salt)).decode('ascii')}"


def open_key(sealed: str, password: str) -> PrivateKey:
    """The key.

    Raises:
        KeyUnusable: `trust.key.passphrase`: another password, or damaged.
    """
    salt, _, pem = sealed.partition(":")
    try:
        return PrivateKey.from_pem(pem.encode(), _passphrase(password, bytes.fromhex(salt)))
    except ValueError as err:
        raise KeyUnusable("the sealed key is damaged", code="trust.key.passphrase") from err


def qr_lines(text: str) -> list[str]:
    """A QR code of letters: two columns of spaces or `#` a module, with its border.

    Letters work on every terminal. A code that is wider than 80 columns so is drawn with half
    blocks, which need UTF-8.
    """
    import segno

    code = segno.make(text, error="l", micro=False)
    rows = [list(row) for row in code.matrix_iter(scale=1, border=2)]
    if 2 * len(rows) <= _SCREEN:
        return ["".join("##" if dark else "  " for dark in row) for row in rows]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    return [
        "".join(" ▄▀█"[2 * bool(up) + bool(down)] for up, down in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def _argon2(salt: bytes) -> Argon2id:
    return Argon2id(
        salt=salt, length=32, iterations=COST_TIMES, lanes=1, memory_cost=COST_KIB, ad=None
    )


def _passphrase(password: str, salt: bytes) -> bytes:
    return _argon2(salt).derive(password.encode()).hex().encode("ascii")


def _totp(secret: str) -> TOTP:
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP_S)
