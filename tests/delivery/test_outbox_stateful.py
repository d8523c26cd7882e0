"""The outbox against a model: any order of puts, settles, crashes, boots, clock steps."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from delivery_samples import sample_event
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.outbox_values import OutboxLimits
from alpr_edge.delivery.sealing import OVERHEAD_BYTES

MAX_ROWS = 8
HOUR = 3600.0


@dataclass
class Kept:
    """A row of the model: how long it may truly still be kept, and what the device can know."""

    event_id: str
    left_s: float
    off_s: float = 0.0
    wall_known: bool = True
    carried: bool = False


class OutboxMachine(RuleBasedStateMachine):
    """A crash is a copy of the files as they lie on disk; a boot may come with any wall clock."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "0" / "outbox.db"
        self.clocks = SetClocks()
        self.true_wall = self.clocks.wall
        self.outbox = self.open()
        self.model: list[Kept] = []
        self.crashes = 0
        self.dropped = self.expired = 0

    def open(self) -> Outbox:
        return Outbox(self.path, OutboxLimits(max_rows=MAX_ROWS), clocks=self.clocks)

    def pass_s(self, seconds: float, *, on: bool = True) -> None:
        self.true_wall += seconds
        self.clocks.wall += seconds
        self.clocks.boot += seconds if on else 0.0
        for row in self.model:
            row.left_s -= seconds
            row.off_s += 0.0 if on else seconds

    def gone(self, row: Kept) -> bool:
        """Whether the device can know that the retention has ended."""
        by_wall = row.carried and row.wall_known and self.clocks.trusted
        return row.left_s + (0.0 if by_wall else row.off_s) <= 0

    @rule(hours=st.lists(st.integers(1, 5), min_size=1, max_size=12))
    def put(self, hours: list[int]) -> None:
        seen = datetime.fromtimestamp(self.clocks.wall, UTC)
        events = [sample_event(retention=timedelta(hours=h), last_seen=seen) for h in hours]
        self.outbox.put_all(events)
        known = self.clocks.trusted
        self.model += [
            Kept(e.event_id, h * HOUR, wall_known=known) for e, h in zip(events, hours, strict=True)
        ]
        self.dropped += max(0, len(self.model) - MAX_ROWS)
        self.model = self.model[-MAX_ROWS:]

    @rule(which=st.sets(st.integers(0, MAX_ROWS)))
    def settle(self, which: set[int]) -> None:
        ids = [self.model[n].event_id for n in which if n < len(self.model)]
        assert self.outbox.settle([*ids, "unknown"]) == len(ids)
        self.model = [row for row in self.model if row.event_id not in ids]

    @rule(hours=st.integers(0, 6))
    def wait(self, hours: int) -> None:
        self.pass_s(hours * HOUR + 10.0)
        self.purge()

    @rule()
    def purge(self) -> None:
        kept = [row for row in self.model if not self.gone(row)]
        self.expired += len(self.model) - len(kept)
        self.outbox.purge_expired()
        self.model = kept

    @rule(years=st.integers(-56, 40))
    def the_wall_clock_jumps(self, years: int) -> None:
        self.clocks.trusted = False
        self.clocks.wall = max(0.0, self.true_wall + years * 365 * 86_400.0)

    @rule()
    def the_wall_clock_is_set_right(self) -> None:
        self.clocks.trusted = True
        self.clocks.wall = self.true_wall
        self.purge()

    @rule()
    def tidy(self) -> None:
        self.outbox.tidy()

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = self.open()
        self.dropped = self.expired = 0

    @rule(off_hours=st.integers(0, 4))
    def boot(self, off_hours: int) -> None:
        self.outbox.close()
        self.pass_s(off_hours * HOUR, on=False)
        self.clocks.reboot()
        for row in self.model:
            row.carried = True
        self.outbox = self.open()
        self.dropped = self.expired = 0
        self.purge()

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
        self.purge()
        rows = self.outbox.pending(100)
        assert [r.event_id for r in rows] == [m.event_id for m in self.model]
        counts = self.outbox.counts
        assert counts.rows == len(rows)
        assert counts.size_bytes == sum(len(r.payload) + OVERHEAD_BYTES for r in rows)
        assert (counts.dropped, counts.expired, counts.damaged) == (self.dropped, self.expired, 0)
        assert counts.unreadable == 0

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.folder)


OutboxMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=20)
TestOutbox = OutboxMachine.TestCase
