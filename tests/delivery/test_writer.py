"""Group commit and the rows kept in memory: neither is ever ahead of the disk."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from delivery_samples import eventually, sample_event
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.event import Event
from alpr_edge.delivery.fresh import MAX_ROWS, Fresh
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.memory_link import MemoryLink
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Message, Topics
from alpr_edge.delivery.retention import Deadline
from alpr_edge.delivery.writer import MOST, GroupWriter

TOPICS = Topics("cam-1")
END = Deadline(1e9, 0)


class Gate:
    """A store that waits until it is let on."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.entered = threading.Event()
        self.open = threading.Event()

    def store(self, events: list[Event]) -> None:
        self.entered.set()
        assert self.open.wait(60)
        self.groups.append([event.event_id for event in events])


def test_what_comes_while_the_disk_works_shares_the_next_commit_in_order() -> None:
    gate, events = Gate(), [sample_event() for _ in range(8)]
    writer = GroupWriter(gate.store)
    writer.start()
    writer.add(events[:1])
    assert gate.entered.wait(60)
    for event in events[1:]:
        writer.add([event])
    assert len(writer) == 8
    gate.open.set()
    writer.close()
    assert [len(group) for group in gate.groups] == [1, 7]
    assert [one for group in gate.groups for one in group] == [e.event_id for e in events]
    assert len(writer) == 0


def test_a_disk_that_hangs_makes_handing_over_wait_and_memory_stays_bounded() -> None:
    gate, event = Gate(), sample_event()
    writer = GroupWriter(gate.store)
    writer.start()
    writer.add([event])
    assert gate.entered.wait(60)
    writer.add([event] * MOST)
    more = threading.Thread(target=writer.add, args=([event],))
    more.start()
    more.join(0.3)
    assert more.is_alive()
    assert len(writer) == MOST + 1
    gate.open.set()
    more.join(60)
    assert not more.is_alive()
    writer.close()
    assert sum(len(group) for group in gate.groups) == MOST + 2


class OnDiskFirst(MemoryLink):
    """Looks, as each read leaves, whether the outbox's file has it."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__()
        self._outbox = outbox
        self.premature: list[str] = []
        self.taken: list[str] = []

    def publish(self, message: Message) -> bool:
        stored = self._outbox._db.execute(
            "SELECT count(*) FROM events WHERE event_id = ?", (message.event_id,)
        ).fetchone()[0]
        if stored != 1:
            self.premature.append(message.event_id)
        self.taken.append(message.event_id)
        return super().publish(message)


def test_what_is_handed_over_leaves_only_once_it_is_on_disk(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    link = OnDiskFirst(outbox)
    courier = Courier(
        outbox,
        link,
        cloudevents(TOPICS),
        health=Health("test", 0.0),
        settings=CourierSettings(settle_on="puback"),
    )
    courier.start()
    events = [sample_event() for _ in range(300)]
    for event in events:
        courier.hand_over([event])
    eventually(lambda: courier.left == 0, within_s=60)
    courier.close(5.0)
    assert link.premature == []
    assert link.taken == [event.event_id for event in events]


def test_without_a_thread_handing_over_stores_at_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    courier = Courier(outbox, MemoryLink(), cloudevents(TOPICS), health=Health("test", 0.0))
    courier.hand_over([sample_event()])
    assert outbox.counts.rows == 1
    assert courier.close(0.0) == 1


def test_what_was_handed_over_before_the_end_is_stored_for_the_next_start(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    link = MemoryLink()
    courier = Courier(outbox, link, cloudevents(TOPICS), health=Health("test", 0.0))
    courier.start()
    link.cut()
    events = [sample_event() for _ in range(50)]
    for event in events:
        courier.hand_over([event])
    assert courier.close(0.0) == 50
    with Outbox(tmp_path / "outbox.db") as again:
        assert [row.event_id for row in again.pending(100)] == [e.event_id for e in events]


# --- the rows in memory ----------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(1, 5)),
            st.tuples(st.just("settle"), st.integers(0, 8)),
            st.tuples(st.just("forget"), st.just(0)),
        ),
        max_size=25,
    ),
    st.integers(0, 30),
    st.integers(1, 10),
)
def test_memory_never_says_anything_else_than_the_file(
    steps: Sequence[tuple[str, int]], after: int, limit: int
) -> None:
    fresh, rows, last = Fresh(), {}, 0
    for step, count in steps:
        if step == "put":
            new = [(last + n, f"e{last + n}", END, b"x") for n in range(1, count + 1)]
            last += count
            fresh.add(new)
            rows |= {row[0]: row for row in new}
        elif step == "settle":
            gone = list(rows)[count : count + 2]
            fresh.remove(gone)
            for seq in gone:
                del rows[seq]
        else:
            fresh.begin(last)
    found = fresh.after(after, limit)
    if found is not None:
        assert list(found) == [row for seq, row in rows.items() if seq > after][:limit]
    assert fresh.last == last


def test_memory_is_bounded_and_says_when_the_file_must_be_read() -> None:
    fresh = Fresh()
    fresh.add((seq, str(seq), END, b"x") for seq in range(1, MAX_ROWS + 11))
    assert fresh.after(5, 3) is None
    assert [row[0] for row in fresh.after(10, 3) or ()] == [11, 12, 13]
    # Large rows, and one that stays while many go by, make room as well.
    fresh.add([(MAX_ROWS + 11, "large", END, bytes(4 * 2**20))])
    assert fresh.after(MAX_ROWS, 1) is None
    stuck = Fresh()
    for seq in range(1, 4 * MAX_ROWS):
        stuck.add([(seq, str(seq), END, b"x")])
        stuck.remove([seq] if seq > 1 else [])
    assert stuck.after(0, 1) is None


def test_beyond_what_memory_holds_the_outbox_reads_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpr_edge.delivery.fresh.MAX_ROWS", 10)
    with Outbox(tmp_path / "o.db") as outbox:
        events = [sample_event() for _ in range(25)]
        outbox.put_all(events)
        found, after = [], 0
        while rows := outbox.pending(4, after):
            found += [row.event_id for row in rows]
            after = rows[-1].seq
        assert found == [event.event_id for event in events]


def test_a_new_file_goes_on_counting_so_that_a_cursor_stays_right(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    with Outbox(path) as outbox:
        outbox.put_all([sample_event() for _ in range(5)])
        cursor = outbox.pending(10)[-1].seq
        outbox.tidy()
        with path.open("r+b") as file:
            file.write(b"nonsense" * 2048)
        outbox._db.execute("PRAGMA shrink_memory")
        after = sample_event()
        outbox.put(after)
        assert outbox.counts.damaged == 1
        assert [row.event_id for row in outbox.pending(10, cursor)] == [after.event_id]
