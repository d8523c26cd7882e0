"""Signed notes and checkpoints: the specification's examples, rotation, and every parser fuzzed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import TestSigner

from alpr_edge.errors import AuditError
from alpr_edge.ledger.merkle import leaf_hash
from alpr_edge.ledger.note import (
    Checkpoint,
    Note,
    Submission,
    VerifierKey,
    cosign,
    cosigned,
    parse_checkpoint,
    parse_note,
    sign,
    verified,
)

# Source: documentation of golang.org/x/mod/sumdb/note, "Verifying a note".
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)
# Source: C2SP tlog-cosignature, the example.
C2SP = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJs"
    "X3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
HEAD = Checkpoint("alpr-edge/cam-0001/ledger/1", 7, leaf_hash(b"x"))
NAME = "alpr-edge/cam-0001"


def test_a_note_signed_by_go_verifies() -> None:
    note = parse_note(GO_NOTE.encode())
    key = VerifierKey.parse(GO_KEY)
    assert verified(note, [key]) == (key,)
    assert str(note) == GO_NOTE
    assert str(key) == GO_KEY


def test_the_example_of_the_specification_parses() -> None:
    note = parse_note(C2SP.encode())
    head = parse_checkpoint(note.text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert head.text == note.text
    assert str(note) == C2SP
    assert int.from_bytes(note.signatures[1].data[:8], "big") == 1679315147


def test_sign_verify_and_rotate() -> None:
    old, new, other = TestSigner(), TestSigner(), TestSigner()
    keys = [VerifierKey(NAME, one.public_key) for one in (old, new)]
    both = sign(HEAD, NAME, [old, new])
    assert parse_note(str(both).encode()) == both
    assert verified(both, keys) == tuple(keys)
    assert verified(both, keys[:1]) == (keys[0],)
    assert verified(sign(HEAD, NAME, [new]), keys) == (keys[1],)
    # A revoked key is one that is not given any more.
    with pytest.raises(AuditError, match="no known key"):
        verified(sign(HEAD, NAME, [old]), keys[1:])
    with pytest.raises(AuditError, match="no known key"):
        verified(sign(HEAD, NAME, [other]), keys)


def test_a_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    good, other = TestSigner(), TestSigner()
    key = VerifierKey(NAME, good.public_key)
    note = sign(HEAD, NAME, [good])
    forged = sign(Checkpoint(HEAD.origin, 8, HEAD.root), NAME, [good])
    with pytest.raises(AuditError, match="does not hold"):
        verified(Note(forged.text, note.signatures), [key])
    # A stranger's line beside the right one changes nothing.
    more = Note(note.text, (*note.signatures, *sign(HEAD, NAME, [other]).signatures))
    assert verified(more, [key]) == (key,)


def test_cosignatures() -> None:
    log, witness = TestSigner(), TestSigner()
    note = sign(HEAD, NAME, [log])
    line = cosign(note.text, "city.example/witness", witness, 1_790_000_000)
    whole = Note(note.text, (*note.signatures, line))
    key = VerifierKey("city.example/witness", witness.public_key, kind=4)
    assert cosigned(parse_note(str(whole).encode()), [key]) == {key: 1_790_000_000}
    assert VerifierKey.parse(str(key)) == key
    later = Note(note.text, (type(line)(line.name, line.key_id, bytes(8) + line.data[8:]),))
    with pytest.raises(AuditError, match="cosignature"):
        cosigned(later, [key])


def test_a_submission_comes_back_as_it_went() -> None:
    note = sign(HEAD, NAME, [TestSigner()])
    one = Submission(3, (bytes(32), b"\x01" * 32), note)
    assert Submission.parse(one.encode()) == one
    assert Submission.parse(Submission(0, (), note).encode()).proof == ()


@given(st.binary(max_size=400))
def test_parsers_refuse_garbage_in_order(data: bytes) -> None:
    for parse in (parse_note, Submission.parse):
        with pytest.raises(AuditError):
            parse(data)
    for parse_text in (VerifierKey.parse, parse_checkpoint):
        with pytest.raises(AuditError):
            parse_text(data.decode("latin-1"))


@given(st.data())
def test_any_changed_byte_of_a_checkpoint_is_noticed(data: st.DataObject) -> None:
    signer = TestSigner()
    key = VerifierKey(NAME, signer.public_key)
    good = str(sign(HEAD, NAME, [signer])).encode()
    at = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    wrong = good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :]
    with pytest.raises(AuditError):
        verified(parse_note(wrong), [key])


@pytest.mark.parametrize(
    "text",
    [
        *("", "a\n", "a\n1\n", "a\n01\nAAAA\n", f"a\n-1\n{'A' * 43}=\n", f"\n1\n{'A' * 43}=\n"),
        *(f"a\n1\n{'A' * 42}B=\n", f"a\n1\n{'A' * 43}=", f"a\n1\n{'A' * 43}=\n\n"),
        f"a\n9223372036854775808\n{'A' * 43}=\n",
    ],
)
def test_no_checkpoint(text: str) -> None:
    with pytest.raises(AuditError):
        parse_checkpoint(text)
    assert parse_checkpoint(f"a\n1\n{'A' * 43}=\nextension\n").size == 1
