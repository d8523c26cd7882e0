"""Voting: many reads of one vehicle become one, character by character.

Reads of another length than the winning one do not vote on characters: they are misaligned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from alpr_edge.types import Read, Region


def vote(reads: Sequence[tuple[Read, float]]) -> tuple[Read, int]:
    """The voted read of weighted reads, and how many reads say exactly its text.

    A character's confidence is its share of the votes times its best single confidence.

    Raises:
        ValueError: no reads.
    """
    if not reads:
        raise ValueError("nothing to vote on")
    lengths: dict[int, float] = defaultdict(float)
    for read, weight in reads:
        lengths[len(read.plate)] += weight * read.confidence
    length = max(lengths, key=lambda k: (lengths[k], k))
    voters = [(r, w) for r, w in reads if len(r.plate) == length]
    characters = [_vote_slot(voters, slot) for slot in range(length)]
    plate = "".join(c for c, _ in characters)
    confidences = tuple(s for _, s in characters)
    total = 1.0
    for sure in confidences:
        total *= sure
    total *= lengths[length] / max(sum(lengths.values()), 1e-9)
    agreeing = sum(1 for r, _ in reads if r.plate == plate)
    return Read(plate, total, confidences, _vote_region(voters)), agreeing


def _vote_slot(voters: Sequence[tuple[Read, float]], slot: int) -> tuple[str, float]:
    share: dict[str, float] = defaultdict(float)
    best: dict[str, float] = defaultdict(float)
    for read, weight in voters:
        character, sure = read.plate[slot], read.char_confidences[slot]
        share[character] += weight * sure * sure
        best[character] = max(best[character], sure)
    winner = max(share, key=lambda c: (share[c], c))
    return winner, best[winner] * share[winner] / max(sum(share.values()), 1e-9)


def _vote_region(voters: Sequence[tuple[Read, float]]) -> Region | None:
    share: dict[str, float] = defaultdict(float)
    for read, weight in voters:
        if read.region is not None:
            share[read.region.code] += weight * read.region.confidence
    if not share:
        return None
    winner = max(share, key=lambda c: (share[c], c))
    count = sum(w for r, w in voters if r.region is not None and r.region.code == winner)
    return Region(winner, share[winner] / max(count, 1e-9))
