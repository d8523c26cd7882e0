"""Merkle tree hashing, proofs and their verification. Pure.

It knows hashes only: no entry format (`entry`), no file (`files`), no signature (`note`).

Rules:
- A leaf is hashed with the prefix 0x00, a node with 0x01, so that neither can pass for the other.
- Verification never trusts a length: a proof that is too long or too short is refused.

Source: RFC 9162 (and RFC 6962, which it replaces; the hashes are the same), section 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from alpr_edge.errors import AuditError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Source: RFC 9162, section 2.1.1."""

MAX_PROOF = 63
"""Source: C2SP tlog-witness, add-checkpoint: at most 63 hashes."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows, as the roots of its perfect subtrees: at most 64 hashes.

    Appending costs one hash on average, the root as many as the size has bits.
    """

    __slots__ = ("_roots", "size")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._roots: list[bytes] = []
        for leaf in leaves:
            self.append(leaf)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        self.append_perfect(leaf, 0)

    def append_perfect(self, root: bytes, level: int) -> None:
        """Add a perfect subtree of `2**level` leaves; the size must be a multiple of that.

        Raises:
            ValueError: it does not fit at the right edge.
        """
        width = 1 << level
        if self.size % width:
            raise ValueError(f"a subtree of {width} leaves does not fit after {self.size}")
        position = self.size >> level
        while position & 1:
            root = node_hash(self._roots.pop(), root)
            position >>= 1
        self._roots.append(root)
        self.size += width

    def root(self) -> bytes:
        """The Merkle tree hash."""
        if not self._roots:
            return EMPTY_ROOT
        result = self._roots[-1]
        for root in reversed(self._roots[:-1]):
            result = node_hash(root, result)
        return result

    def copy(self) -> Frontier:
        """An independent copy."""
        other = Frontier()
        other.size, other._roots = self.size, list(self._roots)
        return other


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


class HashSource(Protocol):
    """Where proofs take their hashes from."""

    def node(self, level: int, index: int) -> bytes:
        """The root of the perfect subtree over entries `[index << level, (index + 1) << level)`.

        Raises:
            AuditError: it is not there.
        """
        ...


class LeafList:
    """A `HashSource` over leaf hashes in memory, for tests and small trees."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    def node(self, level: int, index: int) -> bytes:
        """See `HashSource`."""
        return perfect_root(self._leaves[index << level : (index + 1) << level])


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def root_of(source: HashSource, first: int, end: int) -> bytes:
    """The Merkle tree hash over entries `[first, end)` as it stands within the whole tree."""
    size = end - first
    if size == 0:
        return EMPTY_ROOT
    level = size.bit_length() - 1
    if size == 1 << level:
        return source.node(level, first >> level)
    middle = first + _split(size)
    return node_hash(root_of(source, first, middle), root_of(source, middle, end))


def inclusion_proof(source: HashSource, index: int, size: int) -> list[bytes]:
    """The hashes that lead from entry `index` to the root of the tree of `size` entries.

    Raises:
        ValueError: there is no such entry.

    Source: RFC 9162, section 2.1.3.1.
    """
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not among {size}")
    proof: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            proof.append(root_of(source, middle, end))
            end = middle
        else:
            proof.append(root_of(source, first, middle))
            first = middle
    return proof[::-1]


def consistency_proof(source: HashSource, old: int, new: int) -> list[bytes]:
    """The hashes that show that the tree of `old` entries is the beginning of that of `new`.

    Raises:
        ValueError: `old` is larger than `new`.

    Source: RFC 9162, section 2.1.4.1.
    """
    if not 0 <= old <= new:
        raise ValueError(f"{old} entries are not the beginning of {new}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    first, end, known = 0, new, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            proof.append(root_of(source, middle, end))
            end = middle
        else:
            proof.append(root_of(source, first, middle))
            first, known = middle, False
    if not known:
        proof.append(root_of(source, first, end))
    return proof[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that the proof leads to; compare it with the checkpoint's.

    Raises:
        AuditError: the proof does not belong to that place (`ledger.proof.inclusion`).

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size or any(len(h) != HASH_BYTES for h in proof):
        raise _bad("inclusion", f"it does not fit entry {index} of {size}")
    place, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise _bad("inclusion", "it is too long")
        if place & 1 or place == last:
            result = node_hash(sibling, result)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise _bad("inclusion", "it is too short")
    return result


def check_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Refuse unless the tree of `old` entries is the beginning of that of `new`.

    Raises:
        AuditError: it is not, or the proof is malformed (`ledger.proof.consistency`).

    Source: RFC 9162, section 2.1.4.2.
    """
    if not 0 <= old <= new or any(len(h) != HASH_BYTES for h in proof):
        raise _bad("consistency", f"{old} entries are not the beginning of {new}")
    if old in (0, new):
        known = EMPTY_ROOT if old == 0 else new_root
        if proof or old_root != known:
            raise _bad("consistency", "equal sizes need equal roots and no proof")
        return
    hashes = list(proof)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise _bad("consistency", "it is empty")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise _bad("consistency", "it is too long")
        if place & 1 or place == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        place, last = place >> 1, last >> 1
    if last or first != old_root or second != new_root:
        raise _bad("consistency", f"the log of {new} entries does not begin with the {old} known")


def _bad(what: str, why: str) -> AuditError:
    return AuditError(
        f"the {what} proof does not hold: {why}",
        code=f"ledger.proof.{what}",
        hint="the log was rewritten or the proof belongs to another; keep both, tell the auditor",
    )
