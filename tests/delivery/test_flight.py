"""The flight's rules; and a broker that answers as it likes: nothing sticks, nothing lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.delivery.backoff import Backoff
from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.flight import Flight, SettleOn
from alpr_edge.delivery.port import Confirmed, Connected, Lost, Receipt, Refused


def flight(settle_on: SettleOn = "puback", most: int = 10) -> Flight:
    return Flight(settle_on, 60.0, most)


def test_puback_settles_once() -> None:
    one = flight()
    one.sent("a")
    assert not one.wants("a")
    assert one.take(Confirmed("a"), 0.0) == ("a",)
    assert one.take(Confirmed("a"), 0.0) == ()


def test_with_receipts_a_puback_settles_nothing_and_silence_resends() -> None:
    one = flight("receipt")
    one.sent("a")
    one.cursor = 5
    assert one.take(Confirmed("a"), 0.0) == ()
    one.tick(59.0)
    assert not one.wants("a")
    one.tick(60.0)
    assert one.wants("a")
    assert one.cursor == 0


def test_a_receipt_settles_even_what_this_run_has_not_sent() -> None:
    one = flight("receipt")
    one.sent("a")
    assert one.take(Receipt(("a", "b")), 0.0) == ("a", "b")
    assert one.room == 10


def test_receipts_do_nothing_where_pubacks_settle() -> None:
    one = flight("puback")
    one.sent("a")
    assert one.take(Receipt(("a",)), 0.0) == ()
    assert not one.wants("a")


def test_a_refused_event_rests_longer_each_time() -> None:
    one = flight()
    for now, rest in ((0.0, 5.0), (100.0, 10.0), (200.0, 20.0)):
        one.sent("a")
        assert one.take(Refused("a", LinkCode.PUBLISH_REFUSED), now) == ()
        one.tick(now + rest - 0.1)
        assert not one.wants("a")
        one.tick(now + rest)
        assert one.wants("a")


def test_a_lost_connection_makes_all_of_it_wait_again() -> None:
    one = flight("receipt")
    one.cursor = 9
    for name in "abc":
        one.sent(name)
    one.take(Confirmed("a"), 0.0)
    one.take(Lost(("b",), LinkCode.LOST), 0.0)
    assert one.wants("a")
    assert one.wants("b")
    assert not one.wants("c")  # taken by the connection that came after
    assert one.cursor == 0


def test_room_is_bounded() -> None:
    one = flight(most=2)
    one.sent("a")
    one.sent("b")
    one.take(Refused("a", LinkCode.PUBLISH_REFUSED), 0.0)
    assert one.room == 0


@pytest.mark.parametrize("settle_on", ["puback", "receipt"])
@given(st.lists(st.tuples(st.sampled_from("sacrRltC"), st.integers(0, 5)), max_size=80))
def test_whatever_the_broker_does_all_is_settled_in_the_end(
    settle_on: SettleOn, moves: list[tuple[str, int]]
) -> None:
    waiting = [f"e{n}" for n in range(6)]
    one, out, now = flight(settle_on), list[str](), 0.0

    def settle(event: Any) -> None:
        for event_id in one.take(event, now):
            if event_id in waiting:
                waiting.remove(event_id)

    def send() -> None:
        for event_id in waiting:
            if one.room and one.wants(event_id):
                one.sent(event_id)
                assert event_id not in out
                out.append(event_id)

    for move, n in moves:
        now += 7.0
        if move == "s":
            send()
        elif move == "a" and out:
            settle(Confirmed(out.pop(n % len(out))))
        elif move == "r" and out:
            settle(Refused(out.pop(n % len(out)), LinkCode.PUBLISH_REFUSED))
        elif move == "l":
            settle(Lost(tuple(out), LinkCode.LOST))
            out.clear()
        elif move == "R":
            settle(Receipt((f"e{n}",)))
            if settle_on == "receipt" and f"e{n}" in out:
                out.remove(f"e{n}")
        elif move == "C":
            settle(Connected())
        elif move == "t":
            one.tick(now)
        elif move == "c":
            settle(Confirmed("unknown"))
    for _ in range(3):
        now += 1000.0
        one.tick(now)
        send()
        for event_id in list(out):
            settle(Confirmed(event_id))
            settle(Receipt((event_id,)))
        out.clear()
    assert waiting == []


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_are_bounded_and_never_vanish(attempts: int, drawn: float) -> None:
    backoff = Backoff(0.5, 60.0, lambda: drawn)
    pauses = [backoff.next_s() for _ in range(attempts)]
    assert all(0.25 <= pause <= 60.0 for pause in pauses)
    assert pauses == sorted(pauses)
    backoff.reset()
    assert backoff.next_s() == pauses[0]
