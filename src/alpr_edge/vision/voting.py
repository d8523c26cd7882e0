"""Voting: many reads of one vehicle become one, character by character. Pure.

Each read is taken as a distribution over characters in each place: what it says with the confidence
that it gives, anything else with a share of the rest. Places are decided by the sum of the
logarithms; a frame counts by the odds of its read and by its sharpness, so that one sure frame is
not outvoted by many small and blurred ones. Rules:

- Only reads that may be of one plate vote together: same length, at most a third of the characters
  different from the strongest text.
- The outcome is a text that some frame read as a whole. One that no frame read is composed only
  where every text was read just once and two thirds of the reads agree in every place. So two
  plates in one track never give a text made of both (`tests/vision/test_voting.py`).
- Frames of one pass resemble each other, in their errors too: 16 of equal weight count as two
  independent ones.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from alpr_edge.types import Read, Region

LIKELY_OTHERS = 3.0
"""A wrong character is one of about so many look-alikes, not of all 35 others."""

AGREED = 2 / 3
"""Share of the reads that must agree in every place of a composed text."""

SURE = 0.6
"""A read at this confidence is believed to be of another plate when it says so."""

ALIKE = 0.25
"""n reads of one pass count as n to this power.

Source: 102 passes (pan-and-zoom films of photos not trained on and of photos trained on, the
simulated street), 2026-11: of the voted reads at 0.9 or more 58 of 60 were right; with 0.5, 64 of
67; with 0, 30 of 30 but half as many."""

MOST_SURE = 0.995
"""No read counts as surer: confidences near 1 are not measured that finely."""

_LEAST, _MOST = 1e-4, 1 - 1e-4

Weighted = Sequence[tuple[Read, float]]
"""Reads with the sharpness of their crop, or another weight; at least 0."""


def vote(reads: Weighted) -> tuple[Read, int]:
    """The voted read, and how many of the reads say exactly its text.

    Raises:
        ValueError: no reads.
    """
    if not reads:
        raise ValueError("nothing to vote on")
    voters, share = _voters(reads)
    powers = _powers([_evidence(read, weight) for read, weight in voters])
    texts = Counter(read.plate for read, _ in voters)
    composed = "".join(
        max(
            sorted({r.plate[slot] for r, _ in voters}),
            key=lambda c: _support([r for r, _ in voters], powers, slot, c),
        )
        for slot in range(len(voters[0][0].plate))
    )
    plate = composed if composed in texts or _may_compose(composed, voters, texts) else ""
    if not plate:
        plate = max(
            sorted(texts),
            key=lambda t: sum(
                _support([r for r, _ in voters], powers, i, c) for i, c in enumerate(t)
            ),
        )
    agreeing = sum(1 for read, _ in reads if read.plate == plate)
    return _outcome(plate, voters, powers, share), agreeing


def is_torn(reads: Weighted, plate: str) -> bool:
    """Whether the reads tell of a second vehicle: two sure ones of a text unlike the voted one."""
    others = [r.plate for r, _ in reads if r.confidence >= SURE and not alike(r.plate, plate)]
    return any(sum(alike(a, b) for b in others) >= 2 for a in others)


def alike(a: str, b: str) -> bool:
    """Whether two texts may be of one plate: at most a third of the characters apart (edits)."""
    most = max(1, max(len(a), len(b)) // 3)
    if abs(len(a) - len(b)) > most:
        return False
    row = list(range(len(b) + 1))
    for i, ca in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, cb in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (ca != cb))
    return row[-1] <= most


def _voters(reads: Weighted) -> tuple[list[tuple[Read, float]], float]:
    """The reads that vote together, and the share of all evidence that has their length."""
    lengths: dict[int, float] = defaultdict(float)
    texts: dict[str, float] = defaultdict(float)
    for read, weight in reads:
        evidence = _evidence(read, weight)
        lengths[len(read.plate)] += evidence
        texts[read.plate] += evidence
    length = max(lengths, key=lambda k: (lengths[k], k))
    strongest = max((t for t in texts if len(t) == length), key=lambda t: (texts[t], t))
    voters = [
        (r, w)
        for r, w in reads
        if len(r.plate) == length
        and sum(a != b for a, b in zip(r.plate, strongest, strict=True)) <= max(1, length // 3)
    ]
    return voters, lengths[length] / sum(lengths.values())


def _evidence(read: Read, weight: float) -> float:
    """What a read counts: the odds of being right, as it says, times its weight."""
    sure = min(max(read.confidence, _LEAST), MOST_SURE)
    return (weight + 1e-6) * sure / (1 - sure)


def _powers(evidence: list[float]) -> list[float]:
    """How much each read counts: its share of the evidence, times what all of them together do."""
    total = sum(evidence)
    shares = [e / total for e in evidence]
    equal_ones = 1 / sum(s * s for s in shares)
    return [share * equal_ones**ALIKE for share in shares]


def _support(reads: list[Read], powers: list[float], slot: int, character: str) -> float:
    """Logarithm of how likely the reads are if the plate has this character in this place."""
    total = 0.0
    for read, power in zip(reads, powers, strict=True):
        sure = min(max(read.char_confidences[slot], _LEAST), _MOST)
        said = read.plate[slot] == character
        total += power * math.log(sure if said else (1 - sure) / LIKELY_OTHERS)
    return total


def _may_compose(composed: str, voters: Weighted, texts: Counter[str]) -> bool:
    if max(texts.values()) > 1:
        return False
    return all(
        sum(read.plate[slot] == character for read, _ in voters) >= AGREED * len(voters)
        for slot, character in enumerate(composed)
    )


def _outcome(plate: str, voters: Weighted, powers: list[float], share: float) -> Read:
    reads = [read for read, _ in voters]
    confidences = []
    for slot, character in enumerate(plate):
        won = _support(reads, powers, slot, character)
        said = {r.plate[slot] for r in reads} - {character}
        rivals = [_support(reads, powers, slot, c) for c in said]
        # A character that nobody said is a rival too.
        rivals += [_support(reads, powers, slot, "")] * max(0, round(LIKELY_OTHERS) - len(rivals))
        confidences.append(1 / (1 + sum(math.exp(min(r - won, 50.0)) for r in rivals)))
    beyond = max((_beyond(r) for r in reads if r.plate == plate), default=1.0)
    confidence = min(1.0, math.prod(confidences) * beyond) * share
    best = max(reads, key=lambda r: (r.plate == plate, r.confidence))
    return replace(
        best,
        plate=plate,
        confidence=confidence,
        char_confidences=tuple(confidences),
        region=_vote_region(voters),
        ambiguous=_ambiguous(plate, reads),
    )


def _ambiguous(plate: str, reads: Sequence[Read]) -> tuple[int, ...]:
    """Places that no read which says the same character there could decide by a serial pattern."""
    return tuple(
        slot
        for slot, character in enumerate(plate)
        if all(slot in r.ambiguous for r in reads if r.plate[slot] == character)
    )


def _beyond(read: Read) -> float:
    """What a read's confidence says beyond its characters': the end, the grammar."""
    characters = math.prod(read.char_confidences)
    return read.confidence / characters if characters > 0 else 0.0


def _vote_region(voters: Weighted) -> Region | None:
    share: dict[str, float] = defaultdict(float)
    for read, weight in voters:
        if read.region is not None:
            share[read.region.code] += (weight + 1e-6) * read.region.confidence
    if not share:
        return None
    winner = max(share, key=lambda c: (share[c], c))
    count = sum(w + 1e-6 for r, w in voters if r.region is not None and r.region.code == winner)
    return Region(winner, share[winner] / count)
