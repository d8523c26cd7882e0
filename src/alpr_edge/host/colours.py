"""Colours for what a unit says. Pure.

At 9600 baud text comes a letter or two at a time: what may become a coloured word waits until it is
whole, or until nothing more comes for a moment (`flush`).
"""

from __future__ import annotations

import re
from typing import Final

_PROMPTS: Final = ((b"alpr-edge> ", b"\x1b[1;36m"), (b"alpr-edge# ", b"\x1b[1;35m"))
_WORDS: Final = {
    **dict.fromkeys(
        (b"stopped", b"failed", b"refused", b"damaged", b"locked"),
        b"\x1b[33m",
    ),
    **dict.fromkeys((b"reading", b"passed", b"in force"), b"\x1b[32m"),
}
_CODE: Final = re.compile(rb"\[[a-z][a-z_]*(?:\.[a-z0-9_]+)+\]")
_HALF_CODE: Final = re.compile(rb"\[(?:[a-z][a-z0-9_.]{0,60})?\Z")
_WHOLE: Final = re.compile(rb"\b(?:%b)\b" % b"|".join(_WORDS))
_LONGEST: Final = max(map(len, [*_WORDS, *(prompt for prompt, _ in _PROMPTS)]))
_OFF: Final = b"\x1b[0m"


class Colours:
    """Takes the unit's words in pieces and gives them back coloured; changes nothing else."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """More of it: what can be shown now."""
        text = self._held + data
        keep = _waits(text)
        self._held = text[len(text) - keep :] if keep else b""
        return colour(text[: len(text) - keep])

    def flush(self) -> bytes:
        """Nothing more has come for a moment: what was held."""
        held, self._held = self._held, b""
        return colour(held)


def colour(text: bytes) -> bytes:
    """What the unit said, with colours; nothing else is changed."""
    for prompt, code in _PROMPTS:
        text = text.replace(prompt, code + prompt + _OFF)
    text = _CODE.sub(lambda found: b"\x1b[31m" + found[0] + _OFF, text)
    return _WHOLE.sub(lambda found: _WORDS[found[0]] + found[0] + _OFF, text)


def _waits(text: bytes) -> int:
    """How many bytes at the end may still become something coloured."""
    half = _HALF_CODE.search(text)
    if half is not None:
        return len(text) - half.start()
    for length in range(min(_LONGEST, len(text)), 0, -1):
        tail = text[-length:]
        before = text[-length - 1 : -length]
        if before.isalnum():
            continue
        if any(one.startswith(tail) for one in _WORDS) or any(
            prompt != tail and prompt.startswith(tail) for prompt, _ in _PROMPTS
        ):
            return length
    return 0
