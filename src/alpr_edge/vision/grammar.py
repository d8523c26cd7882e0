"""Serial grammars as a soft prior: what a region's plates may say helps where pixels do not decide.

The patterns come with the model (`grammar` in its metadata: region → patterns of `A` letter and
`9` digit). A text outside every pattern is never excluded: vanity plates, old series and regions
without patterns stay readable; it only needs the pixels to be surer. Where O and 0, or I and 1,
cannot be told apart by shape, the pattern decides; where none matched, the place is reported as
ambiguous.

Pure: numbers in, numbers out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MATCH_BONUS = 1.2
"""What a match is worth, in nats. A random text of seven characters matches one of a region's three
patterns by chance at one in 150 (5 nats); the slots' own probabilities already hold most of that,
because the training texts follow the same grammars, so only a part is added."""

TWINS = frozenset("O0I1")
"""Characters that many dies draw alike. Source: the plate table's columns on shared shapes."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Choice:
    """A text of the slots.

    Attributes:
        codes: alphabet index of each character.
        pattern: the pattern that it follows, None for a free text.
    """

    codes: tuple[int, ...]
    pattern: str | None


class Grammar:
    """Patterns of all regions, ready for many plates.

    Args:
        patterns: region code → patterns of `A` and `9`, at most as long as there are slots.
        regions: the model's regions in the order of its output.
        alphabet: the model's alphabet; the code after its last is "empty".
        slots: characters at the most.

    Raises:
        ValueError: a pattern holds another sign, or is longer than the slots.
    """

    def __init__(
        self,
        patterns: Mapping[str, Sequence[str]],
        *,
        regions: Sequence[str],
        alphabet: str,
        slots: int,
    ) -> None:
        self._alphabet = alphabet
        self._letters = np.array([i for i, c in enumerate(alphabet) if c.isalpha()])
        self._digits = np.array([i for i, c in enumerate(alphabet) if c.isdigit()])
        places = {region: i for i, region in enumerate(regions)}
        self._texts: list[str] = []
        self._region: list[int] = []
        for region, texts in patterns.items():
            for text in dict.fromkeys(texts):
                if not text or len(text) > slots or set(text) - {"A", "9"}:
                    raise ValueError(f"a pattern has 1 to {slots} of A and 9, but got {text!r}")
                if region in places:
                    self._texts.append(text)
                    self._region.append(places[region])
        self._lengths = np.array([len(t) for t in self._texts], np.int64)
        self._kinds = np.full((len(self._texts), slots), 2, np.int64)
        for row, text in enumerate(self._texts):
            self._kinds[row, : len(text)] = [0 if sign == "A" else 1 for sign in text]

    def choose(self, slots: Floats, regions: Floats) -> Choice:
        """The likeliest text under the prior.

        Args:
            slots: `(S, A + 1)` log-probabilities, the last column "empty".
            regions: `(R,)` probabilities.
        """
        free = free_text(slots)
        if not self._texts:
            return Choice(free, None)
        rows = np.arange(len(slots))
        empty = np.append(slots[:, -1], np.float32(0.0))
        best = np.stack(
            [slots[:, self._letters].max(1), slots[:, self._digits].max(1), np.zeros(len(slots))]
        )
        scores = best[self._kinds, rows].sum(1) + empty[self._lengths]
        scores = scores + np.log(np.maximum(regions[self._region], 1e-6)) + MATCH_BONUS
        top = int(scores.argmax())
        plain = float(slots[np.arange(len(free)), list(free)].sum()) if free else 0.0
        plain += float(empty[len(free)])
        if not scores[top] >= plain:
            return Choice(free, None)
        pattern = self._texts[top]
        allowed = [self._letters if sign == "A" else self._digits for sign in pattern]
        codes = tuple(int(a[slots[i, a].argmax()]) for i, a in enumerate(allowed))
        return Choice(codes, pattern)


def free_text(slots: Floats) -> tuple[int, ...]:
    """The likeliest character of each slot up to the first empty one."""
    codes = slots.argmax(-1)
    ends = np.flatnonzero(codes == slots.shape[1] - 1)
    return tuple(int(c) for c in codes[: ends[0] if len(ends) else len(codes)])


def ambiguous_places(choice: Choice, alphabet: str) -> tuple[int, ...]:
    """Places whose character has a twin of the same shape that no pattern ruled out."""
    if choice.pattern is not None:
        return ()
    return tuple(i for i, code in enumerate(choice.codes) if alphabet[code] in TWINS)
