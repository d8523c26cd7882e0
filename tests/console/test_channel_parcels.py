"""Files in pieces."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.console.channel.parcels import KEPT_OUT, MAX_INCOMING, Inbox, Outbox
from alpr_edge.errors import ConsoleError

DATA = bytes(range(250)) * 3
DIGEST = hashlib.sha256(DATA).hexdigest()


@given(st.lists(st.tuples(st.integers(0, 749), st.integers(1, 300)), max_size=40))
def test_pieces_in_any_order_never_make_another_file(pieces: list[tuple[int, int]]) -> None:
    inbox = Inbox()
    inbox.create(len(DATA), DIGEST, "anna")
    for at, length in pieces:
        inbox.write("anna", at, DATA[at : at + length])
    have = inbox.create(len(DATA), DIGEST, "anna")
    assert inbox.write("anna", have, DATA[have:]) == len(DATA)
    assert inbox.finish("anna", DIGEST) == DATA


def test_a_damaged_file_is_dropped() -> None:
    inbox = Inbox()
    inbox.create(4, DIGEST, "anna")
    inbox.write("anna", 0, b"abcd")
    with pytest.raises(ConsoleError) as caught:
        inbox.finish("anna", DIGEST)
    assert caught.value.code == "console.channel.digest"
    assert inbox.create(4, DIGEST, "anna") == 0


def test_nobody_goes_on_with_the_file_of_another() -> None:
    inbox = Inbox()
    inbox.create(len(DATA), DIGEST, "anna")
    inbox.write("anna", 0, DATA[:100])
    for call in (
        lambda: inbox.write("ben", 100, DATA[100:]),
        lambda: inbox.finish("ben", DIGEST),
        lambda: Inbox().write("anna", 0, b"x"),
    ):
        with pytest.raises(ConsoleError) as caught:
            call()
        assert caught.value.code == "console.channel.parcel"
    assert inbox.create(len(DATA), DIGEST, "ben") == 0


def test_sizes_and_digests_that_are_none() -> None:
    for size, digest in ((0, DIGEST), (MAX_INCOMING + 1, DIGEST), (1, "x"), (1, DIGEST.upper())):
        with pytest.raises(ConsoleError) as caught:
            Inbox().create(size, digest, "anna")
        assert caught.value.code == "console.channel.request"
    inbox = Inbox()
    inbox.create(3, DIGEST, "anna")
    with pytest.raises(ConsoleError):
        inbox.write("anna", 0, b"four")


def test_what_goes_out_is_for_whoever_asked() -> None:
    outbox = Outbox()
    offers = [outbox.offer(bytes((i,)) * 10, "anna") for i in range(KEPT_OUT + 1)]
    last = offers[-1]
    assert outbox.piece(last.id, "anna", 4, 100) == bytes((KEPT_OUT,)) * 6
    assert outbox.piece(last.id, "anna", 10, 1) == b""
    for number, owner in ((offers[0].id, "anna"), (last.id, "ben"), (99, "anna")):
        with pytest.raises(ConsoleError) as caught:
            outbox.piece(number, owner, 0, 10)
        assert caught.value.code == "console.channel.parcel"
    for at, length in ((-1, 1), (0, 0), (0, 1 << 20)):
        with pytest.raises(ConsoleError):
            outbox.piece(last.id, "anna", at, length)
    outbox.clear()
    with pytest.raises(ConsoleError):
        outbox.piece(last.id, "anna", 0, 1)
