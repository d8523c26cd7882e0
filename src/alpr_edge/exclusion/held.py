"""Memory for plate texts that must not stay: one block, fixed places, overwritten after use.

Does: keeps up to `places` short texts in one block that an edge module can lock into RAM
(`process_guard`), and overwrites a place with zeros when its text is given up.
Does not: reach texts elsewhere. The strings that the recogniser and the tracker made are Python
objects, which cannot be overwritten; docs/exclusion.md says what that leaves.

Rules: texts are plates, A-Z0-9, at most `LONGEST` characters; a longer one is not kept.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 31
"""Characters of a text that can be held; plates have up to 10."""
_SIZE: Final = LONGEST + 1


class HeldTexts:
    """A fixed number of places for texts."""

    def __init__(self, places: int) -> None:
        self._block = bytearray(places * _SIZE)
        self._free = list(range(places))

    @property
    def memory(self) -> memoryview:
        """The block itself, for locking it into RAM."""
        return memoryview(self._block)

    @property
    def places_left(self) -> int:
        """Texts that can still be held."""
        return len(self._free)

    def put(self, text: str) -> int | None:
        """Keep a text. Returns its place, None if there is none or the text is too long."""
        raw = text.encode("ascii", "replace")
        if not self._free or len(raw) > LONGEST:
            return None
        place = self._free.pop()
        start = place * _SIZE
        self._block[start] = len(raw)
        self._block[start + 1 : start + 1 + len(raw)] = raw
        return place

    def get(self, place: int) -> str:
        """The text at a place."""
        start = place * _SIZE + 1
        return self._block[start : start + self._block[start - 1]].decode("ascii")

    def wipe(self, place: int | None) -> None:
        """Overwrite a place and free it; None does nothing."""
        if place is not None:
            self._block[place * _SIZE : (place + 1) * _SIZE] = bytes(_SIZE)
            self._free.append(place)
