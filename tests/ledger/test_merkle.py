"""Hashing and proofs: RFC vectors, an independent implementation, and every wrong proof refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from pymerkle import verify_consistency as their_consistency
from pymerkle import verify_inclusion as their_inclusion

from alpr_edge.errors import AuditError
from alpr_edge.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    LeafList,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
)

# The leaves of the test suite of Certificate Transparency (RFC 6962's reference implementation).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"entry %d" % i) for i in range(count)]


def test_the_empty_tree() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert EMPTY_ROOT.hex() == empty == Frontier().root().hex()


def test_roots_of_the_reference_implementation() -> None:
    tree = Frontier()
    for entry, root in zip(CT_LEAVES, CT_ROOTS, strict=True):
        tree.append(leaf_hash(entry))
        assert tree.root().hex() == root


def test_the_inclusion_proof_of_the_reference_implementation() -> None:
    # Source: certificate-transparency, merkletree/merkle_tree_test.cc, leaf 6 of 8, from 1.
    source = LeafList([leaf_hash(entry) for entry in CT_LEAVES])
    assert [h.hex() for h in inclusion_proof(source, 5, 8)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 31, 33])
def test_an_independent_implementation_agrees(size: int) -> None:
    theirs = InmemoryTree()
    for i in range(size):
        theirs.append_entry(b"entry %d" % i)
    source = LeafList(_leaves(size))
    root = root_of(source, 0, size)
    assert theirs.get_root() == root
    for index in range(size):
        proof = theirs.prove_inclusion(index + 1)
        mine = inclusion_proof(source, index, size)
        assert check_inclusion(_leaves(size)[index], index, size, mine) == root
        their_inclusion(theirs.get_leaf(index + 1), root, proof)
        assert set(mine) <= set(proof.path)
    for old in range(1, size):
        old_root = root_of(source, 0, old)
        assert theirs.get_root(old) == old_root
        proof = theirs.prove_consistency(old, size)
        their_consistency(old_root, root, proof)
        mine = consistency_proof(source, old, size)
        check_consistency(old, old_root, size, root, mine)


@given(st.integers(1, 70), st.data())
def test_every_proof_holds_and_every_changed_one_does_not(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    source = LeafList(leaves)
    root = root_of(source, 0, size)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(source, index, size)
    assert check_inclusion(leaves[index], index, size, proof) == root
    old = data.draw(st.integers(0, size))
    steps = consistency_proof(source, old, size)
    old_root = root_of(source, 0, old)
    check_consistency(old, old_root, size, root, steps)

    for wrong in (proof[:-1], [*proof, root], proof[::-1], [root, *proof]):
        if wrong != proof:
            assert _refused_or_other(leaves[index], index, size, wrong, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index)) if size > 1 else None
    if other is not None:
        assert _refused_or_other(leaves[index], other, size, proof, root)
    for wrong in (steps[:-1], [*steps, root], [root, *steps]):
        if wrong != steps:
            with pytest.raises(AuditError):
                check_consistency(old, old_root, size, root, wrong)


def _refused_or_other(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    try:
        return check_inclusion(leaf, index, size, proof) != root
    except AuditError as err:
        return err.code == "ledger.proof.inclusion"


@given(
    st.integers(-2, 1 << 62),
    st.integers(-2, 1 << 62),
    st.lists(st.binary(min_size=0, max_size=33), max_size=70),
)
def test_a_strange_proof_is_refused_and_never_crashes(a: int, b: int, proof: list[bytes]) -> None:
    with pytest.raises(AuditError):
        check_consistency(a, bytes(32), b, b"\x01" * 32, proof)
    assert _refused_or_other(bytes(32), a, b, proof, bytes(31))


def test_a_frontier_takes_only_what_fits() -> None:
    tree = Frontier(_leaves(3))
    with pytest.raises(ValueError, match="does not fit"):
        tree.append_perfect(bytes(32), 1)
    other = tree.copy()
    other.append(bytes(32))
    assert tree.root() == Frontier(_leaves(3)).root() != other.root()
