"""The outbox against a model: any order of puts, settles, purges, crashes and reopenings."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from delivery_samples import sample_event
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alpr_edge.delivery.outbox import Outbox, OutboxLimits

MAX_ROWS = 8
START = datetime(2026, 1, 1, tzinfo=UTC)


class OutboxMachine(RuleBasedStateMachine):
    """`model` holds (id, expiry) in order; a crash is a copy of the files as they lie on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "0" / "outbox.db"
        self.outbox = self.open()
        self.model: list[tuple[str, int]] = []
        self.crashes = 0
        self.dropped = self.expired = 0

    def open(self) -> Outbox:
        return Outbox(self.path, OutboxLimits(max_rows=MAX_ROWS))

    @rule(hours=st.lists(st.integers(1, 5), min_size=1, max_size=12))
    def put(self, hours: list[int]) -> None:
        events = [sample_event(retention=timedelta(hours=h), last_seen=START) for h in hours]
        self.outbox.put_all(events)
        self.model += [(e.event_id, int(e.expires_at.timestamp())) for e in events]
        self.dropped += max(0, len(self.model) - MAX_ROWS)
        self.model = self.model[-MAX_ROWS:]

    @rule(which=st.sets(st.integers(0, MAX_ROWS)))
    def settle(self, which: set[int]) -> None:
        ids = [self.model[n][0] for n in which if n < len(self.model)]
        assert self.outbox.settle([*ids, "unknown"]) == len(ids)
        self.model = [row for row in self.model if row[0] not in ids]

    @rule(hours=st.integers(0, 6))
    def purge(self, hours: int) -> None:
        now = int((START + timedelta(hours=hours)).timestamp())
        kept = [row for row in self.model if row[1] > now]
        self.expired += len(self.model) - len(kept)
        self.outbox.purge_expired(now)
        self.model = kept

    @rule()
    def tidy(self) -> None:
        self.outbox.tidy()

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = self.open()
        self.dropped = self.expired = 0

    @rule()
    def crash(self) -> None:
        self.crashes += 1
        copy = self.folder / str(self.crashes)
        shutil.copytree(self.path.parent, copy)
        self.outbox.close()
        self.path = copy / "outbox.db"
        self.outbox = self.open()
        self.dropped = self.expired = 0

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        rows = self.outbox.pending(100)
        assert [(r.event_id, r.expires_at) for r in rows] == self.model
        counts = self.outbox.counts
        assert counts.rows == len(rows)
        assert counts.size_bytes == sum(len(r.payload) for r in rows)
        assert (counts.dropped, counts.expired, counts.damaged) == (self.dropped, self.expired, 0)

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.folder)


OutboxMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=20)
TestOutbox = OutboxMachine.TestCase
