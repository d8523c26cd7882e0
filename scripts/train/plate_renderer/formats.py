"""Serial grammars: which texts the plates of a region carry.

Does: holds patterns per region and draws serials from them, from free texts (vanity plates) and
from no grammar at all, so that a reader learns shapes and not grammars.
Does not: draw anything, nor claim completeness; unsure patterns stand beside sure ones.

Rules: in a pattern `A` is a letter, `9` a digit, `X` either; `-` a hyphen, `.` a raised dot, `*` an
emblem, a space a gap, `/` a new row, `=` a seal column (Germany); any other sign must not occur.
A letter after `\\` stands for itself. Signs that are no letter or digit never enter the label.
"""

from __future__ import annotations

from typing import Final

import numpy as np

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS: Final = "0123456789"

# Region -> (letters not used, patterns by falling frequency). Source: the project's table of plate
# formats (141 rows, each with its own sureness), 2026.
FORMATS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "us-ca": ("IOQ", ("9AAA999", "9AAA999", "9AAA999", "999AAA9", "9A99999", "99999A9", "AAA 999",
                      "999 AAA", "A999A9", "9999999", "9AA9999")),
    "us-al": ("IOQ", ("9AA9999", "99AA999", "9AXXXXX")),
    "us-ak": ("IOQ", ("AAA*999", "AAA 999")),
    "us-az": ("IOQU", ("AAA9999", "XXX 9XX", "XXX9XXX", "999 AAA", "AAA 999")),
    "us-ar": ("", ("999*AAA", "AAA*99A", "999 AAA")),
    "us-co": ("IOQU", ("999-AAA", "AAA-999", "AAA-A99", "999 AAA")),
    "us-ct": ("O", ("AA.99999", "999-AAA", "9AA.AA9", "AAA.999")),
    "us-de": ("", ("999999", "99999", "9999")),
    "us-dc": ("", ("AA*9999", "AA 9999")),
    "us-fl": ("O", ("A99*9AA", "AAA*A99", "999*9AA", "AAAA99", "AA99 AA", "A99 9AA", "AAA*99A")),
    "us-ga": ("", ("AAA9999", "AAA 9999", "999 AAA")),
    "us-hi": ("", ("AAA 999", "AAA*999")),
    "us-id": ("", ("9A A9999", "9A 9999A", "A 999999")),
    "us-il": ("", ("AA 99999", "A99 9999", "999 9999", "AA9 9999")),
    "us-in": ("", ("999A", "999AA", "999AAA", "99A9999")),
    "us-ia": ("", ("AAA 999", "999 AAA")),
    "us-ks": ("", ("999 AAA", "9999AAA", "999*AAA")),
    "us-ky": ("", ("999 AAA", "A9A999")),
    "us-la": ("", ("999*AAA", "AAA*999", "AAA 999")),
    "us-me": ("", ("9999 AA", "999 AAA")),
    "us-md": ("", ("9AA9999", "9AA9999", "AAA*999", "AAA 999")),
    "us-ma": ("", ("999 AA9", "9AA A99", "9AAA 99", "99A A99", "999 AAA")),
    "us-mi": ("", ("AAA 9999", "AAA9999", "9AAA99", "AAA 999")),
    "us-mn": ("", ("999-AAA", "AAA-999", "999*AAA")),
    "us-ms": ("", ("AAA 9999", "AAA 999", "AAA9999")),
    "us-mo": ("", ("AA9 A9A", "999 AAA", "AA9*A9A")),
    "us-mt": ("", ("9-99999A", "99-9999A", "AAA999")),
    "us-ne": ("", ("9-A999", "99-A999", "AAA 999", "9-A9999")),
    "us-nv": ("", ("999.AAA", "99A.999", "999.A99", "999 AAA", "999-AAA")),
    "us-nh": ("", ("999 9999", "AAA 9999")),
    "us-nj": ("", ("A99.AAA", "A99-AAA", "AAA.99A", "A99*AAA", "AAA-99A")),
    "us-nm": ("", ("999*AAA", "AAA*999", "999 AAA", "AAAA99")),
    "us-ny": ("", ("AAA*9999", "AAA*9999", "AAA-9999", "99999*AA", "AAA 9999", "999AAA")),
    "us-nc": ("", ("AAA-9999", "AAA-9999", "AAA 9999")),
    "us-nd": ("", ("999 AAA",)),
    "us-oh": ("", ("AAA 9999", "AA99 AA")),
    "us-ok": ("", ("AAA-999", "AAA*999", "999-AAA")),
    "us-or": ("", ("999*AAA", "AAA*999", "999 AAA", "9A-9999", "9AA 99A", "AAA 999")),
    "us-pa": ("", ("AAA-9999", "AAA*9999", "AAA*9999", "AA-99999")),
    "us-ri": ("", ("999-999", "AA-999", "9AA 999", "999 999")),
    "us-sc": ("", ("AAA 999", "9999 AA", "AAA*999")),
    "us-sd": ("", ("9A9 999", "9AA 999", "99A 999")),
    "us-tn": ("", ("999-AAA", "A99-99A", "9A9-9A9", "AAA*9999", "AAA 999")),
    "us-tx": ("", ("AAA*9999", "AAA*9999", "AAA-9999", "999*AAA", "999-AAA", "AA9*A999", "A99 AAA",
                   "99A-AA9")),
    "us-ut": ("", ("A99 9AA", "999 AAA", "9A9 AA")),
    "us-vt": ("", ("AAA 999",)),
    "us-va": ("", ("AAA-9999", "AAA-9999", "AAA 9999")),
    "us-wa": ("", ("AAA9999", "AAA9999", "999-AAA", "999.AAA")),
    "us-wv": ("", ("9A 9999", "9AA 999", "99A 999")),
    "us-wi": ("", ("AAA-9999", "999-AAA")),
    "us-wy": ("", ("9*99999", "99*99999", "9-99999")),
    "us": ("", ("\\G99 99999", "AAA 999", "999 AAA", "AAA-9999", "AAA9999")),
    "ca-on": ("", ("AAAA*999", "AAAA*999", "AAAA-999", "999*AAA")),
    "ca-qc": ("", ("A99 AAA", "999 AAA", "AAA 999")),
    "ca-bc": ("", ("AA9 99A", "999*AAA", "AAA*999")),
    "ca-ab": ("", ("AAA-9999", "AAA-999")),
    "ca-sk": ("", ("999 AAA", "999*AAA")),
    "ca-mb": ("", ("AAA 999",)),
    "ca-ns": ("", ("AAA 999", "AAA*999")),
    "ca-nb": ("", ("AAA 999", "AAA*999")),
    "ca-pe": ("", ("99 99AA", "99AAA", "999 9AA")),
    "ca-nl": ("", ("AAA 999",)),
    "ca-yt": ("", ("AAA 99", "AAA*99")),
    "ca-nt": ("", ("999999", "999 999")),
    "ca-nu": ("", ("999 999",)),
    "mx": ("IOQ", ("AAA-99-99", "AAA-99-99", "AAA-999-A", "999-AAA", "A99-AAA", "AA-99-999",
                   "99-AA-9A", "AAA 99 99", "A-999-AAA", "9AAA99")),
    "br": ("", ("AAA-9999", "AAA.9999", "AAA.9999", "AAA 9999")),
    "br-mercosur": ("", ("AAA9A99", "AAA9A99", "AAA 9A99")),
    "ar": ("", ("AA 999 AA", "AA 999 AA", "AAA 999")),
    "de": ("", ("AA=AA 9999", "A=AA 9999", "AAA=AA 999", "AA=A 9999", "A=AA 999", "AA=AA 999",
                "AAA=A 99", "AAA=AA 99", "AA=AA 99\\E", "A=A 999\\H")),
    "fr": ("IOU", ("AA-999-AA", "AA-999-AA", "AA-999-AA", "999 AAA 99", "9999 AA 99", "99 AAA 99")),
    "it": ("IOQU", ("AA 999AA", "AA 999 AA", "AA999AA")),
    "es": ("AEIOQU", ("9999 AAA", "9999 AAA", "9999AAA", "A-9999-AA", "AA-9999-A")),
    "nl": ("AEIOUCQ", ("99-AAA-9", "9-AAA-99", "AA-999-A", "99-AA-AA", "AA-AA-99", "A-999-AA",
                       "AA-99-AA")),
    "be": ("", ("9-AAA-999", "9-AAA-999", "AAA-999", "999-AAA")),
    "pt": ("", ("AA 99 AA", "99-AA-99", "AA-99-99", "99-99-AA", "99.AA.99")),
    "pl": ("Q", ("AA 99999", "AA 9999A", "AAA 9999", "AAA A999", "AAA 99AA", "AA 999AA")),
    "eu-ro": ("Q", ("AA 99 AAA", "AA 99 AAA", "\\B 99 AAA", "\\B 999 AAA", "AA 999999")),
    "se": ("IQV", ("AAA 999", "AAA 99A")),
    "at": ("Q", ("AA*9999A", "A*99999A", "AA*999AA", "A*9999AA")),
    "cz": ("GOQW", ("9A9 9999", "9AA 9999", "AAA 99-99")),
    "ie": ("", ("999-A-9999", "99-A-99999", "999-AA-9999", "99-AA-9999")),
    "dk": ("IOQW", ("AA 99 999", "AA 99999")),
    "fi": ("QW", ("AAA-999", "AAA-99")),
    "no": ("GIMOQW", ("AA 99999", "AA 999 99")),
    "ch": ("", ("AA.999999", "AA.99999", "AA.999 999")),
    "gb": ("IQ", ("AA99 AAA", "AA99 AAA", "AA99 AAA", "AA99 AAA", "A999 AAA", "AAA 999A",
                  "A99 AAA", "AAA 9999", "A9 AAA", "AAA 99")),
    "in": ("", ("AA 99 AA 9999", "AA 99 A 9999")),
    "au": ("", ("AAA.999", "AAA-99A", "AA.99.AA", "AAA 999")),
}  # fmt: skip

_TWINS: Final = {"us-ca": "O", "us-az": "O", "gb": "IO", "fr": "O", "br": "O", "mx": "O"}
"""Region -> letters that its plates draw like digits."""

_SOUNDS: Final = (
    "BCDFGHJKLMNPRSTVWZ", "AEIOU", "BCDFGKLMNPRSTVXYZ", "AEIOUY", "LMNRSTX", "AEIOY", "NRSTZ",
)  # fmt: skip
_SWAPS: Final = {"I": "1", "E": "3", "S": "5", "B": "8", "A": "4", "Z": "2", "G": "6"}


def draw_serial(rng: np.random.Generator, region: str, *, free: float = 0.16) -> str:
    """Return a serial with its separators; `free` is the chance of one outside the grammar."""
    roll = rng.random()
    if roll < free:
        # Where O and 0 (I and 1) share a shape, only a grammar could tell them apart.
        return _random_text(rng, _TWINS.get(region, "") if rng.random() < 0.85 else "")
    if region.startswith(("us", "ca-")) and roll < free + 0.16:
        return _vanity(rng)
    banned, patterns = FORMATS[region]
    # Earlier patterns are the more frequent ones.
    index = int(len(patterns) * rng.random() ** 1.35)
    return fill(patterns[index], rng, banned if rng.random() < 0.8 else "")


def fill(pattern: str, rng: np.random.Generator, banned: str = "") -> str:
    """Fill a pattern; separators and row breaks stay as they are."""
    letters = [c for c in LETTERS if c not in banned]
    out, literal = [], False
    for sign in pattern:
        if literal or sign not in "A9X\\":
            out.append(sign)
            literal = False
        elif sign == "\\":
            literal = True
        elif sign == "9" or (sign == "X" and rng.random() < 0.4):
            out.append(DIGITS[int(rng.integers(10))])
        else:
            out.append(letters[int(rng.integers(len(letters)))])
    return "".join(out)


def label(serial: str) -> str:
    """Return the text to be read: A-Z and 0-9 only."""
    return "".join(c for c in serial if c in LETTERS or c in DIGITS)


def _random_text(rng: np.random.Generator, banned: str) -> str:
    """Letters and digits without any grammar, 4 to 8 of them, sometimes with a separator."""
    count = int(rng.integers(4, 9))
    letters = "".join(c for c in LETTERS if c not in banned)
    pool = letters + DIGITS if rng.random() < 0.7 else letters + DIGITS + DIGITS + DIGITS
    text = "".join(pool[int(rng.integers(len(pool)))] for _ in range(count))
    if rng.random() < 0.45 and count < 8:
        at = int(rng.integers(1, count))
        text = text[:at] + str(rng.choice([" ", "-", ".", " "])) + text[at:]
    return text


def _vanity(rng: np.random.Generator) -> str:
    """A word-like free text of 2 to 7 characters, at times with digits or a gap."""
    count = int(rng.choice([2, 3, 4, 5, 6, 7], p=[0.03, 0.09, 0.16, 0.2, 0.26, 0.26]))
    start = int(rng.integers(2))
    chars = []
    for i in range(count):
        pool = _SOUNDS[(start + i) % len(_SOUNDS)] if rng.random() < 0.75 else LETTERS
        chars.append(pool[int(rng.integers(len(pool)))])
    if rng.random() < 0.35:
        at = int(rng.integers(count))
        chars[at] = _SWAPS.get(chars[at], DIGITS[int(rng.integers(1, 10))])
    if count < 7 and count > 2 and rng.random() < 0.4:
        chars.insert(int(rng.integers(1, count)), str(rng.choice([" ", " ", " ", "-", "*"])))
    return "".join(chars)
