"""What the gate let go waits for the view's proof, its text in one block that is overwritten."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from itertools import count

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.exclusion.gate import Gate, GateLimits, GateStep
from alpr_edge.exclusion.release_hold import ReleaseHold
from alpr_edge.exclusion.view_watch import ViewReport, ViewState
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.types import ClosedTrack, DropReason, Read, TrackStep

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTHING = GateStep()
_ids = count(1)


def released(*plates: str) -> GateStep:
    """Reads that a gate let go."""
    gate = Gate(make_zones([], size_px=(64, 48), band_px=0, digest="m"), GateLimits())
    quad = np.array([(10, 10), (40, 10), (40, 20), (10, 20)], np.float32)
    tracks = tuple(
        ClosedTrack(next(_ids), read, quad, quad, quad, START, START, 3, 3)
        for read in (Read(plate, 0.9, (0.9,) * len(plate), None) for plate in plates)
    )
    return gate.step(TrackStep((), tracks, ()), 0)


def view(proven: int | None, state: ViewState = ViewState.CONFIRMED) -> ViewReport:
    reading = state in (ViewState.CONFIRMED, ViewState.DOUBTFUL)
    return ViewReport(state, may_read=reading, proven_ns=proven)


def texts() -> set[str]:
    """Of all reads that the interpreter knows."""
    gc.collect()
    return {one.plate for one in gc.get_objects() if isinstance(one, Read)}


def test_a_read_leaves_only_when_the_view_is_proven_after_it() -> None:
    hold = ReleaseHold()
    came = released("7ABC123")
    assert hold.step(came, view(900), 1000).released == ()
    assert hold.step(NOTHING, view(999), 1100).released == ()
    (left,) = hold.step(NOTHING, view(1000), 1200).released
    assert left.track.read == came.released[0].track.read
    assert left.mask_digest == "m"
    assert hold.waiting == 0


def test_in_doubt_reads_wait_and_a_stop_destroys_them() -> None:
    hold = ReleaseHold()
    hold.step(released("A1", "B2"), view(900, ViewState.DOUBTFUL), 1000)
    assert hold.waiting == 2
    step = hold.step(released("C3"), view(900, ViewState.MOVED), 1100)
    assert step.released == ()
    assert [d.reason for d in step.drops] == [DropReason.VIEW_UNPROVEN] * 3
    assert hold.waiting == 0
    assert not any(hold.memory)


def test_too_many_waiting_reads_are_destroyed() -> None:
    hold = ReleaseHold(3)
    step = hold.step(released("A1", "B2", "C3", "D4", "E5"), view(None, ViewState.DOUBTFUL), 1000)
    assert [d.reason for d in step.drops] == [DropReason.OVERFLOW] * 5
    assert hold.waiting == 0
    assert not any(hold.memory)
    # And there is room for the next ones.
    assert hold.step(released("F6", "G7", "H8"), view(None), 1100).drops == ()
    assert hold.waiting == 3


def test_a_text_too_long_for_its_place_is_destroyed() -> None:
    hold = ReleaseHold()
    step = hold.step(released("X" * 32), view(5000), 1000)
    assert step.released == ()
    assert [d.reason for d in step.drops] == [DropReason.OVERFLOW]


def test_the_end_destroys_what_is_not_proven() -> None:
    hold = ReleaseHold()
    hold.step(released("A1"), view(None), 5)
    end = hold.shutdown(released("B2"), view(None))
    assert end.released == ()
    assert len(end.drops) == 2
    assert not any(hold.memory)
    free = ReleaseHold().shutdown(released("C3"), ViewReport(ViewState.NO_REFERENCE, may_read=True))
    assert len(free.released) == 1


def test_a_text_that_waits_is_in_the_block_and_in_no_object() -> None:
    hold = ReleaseHold()
    plate = "".join(["CAN", "ARY", "7"])
    came = released(plate)
    assert plate in texts()
    hold.step(came, view(None), 1000)
    assert plate.encode() in bytes(hold.memory)
    del came
    assert plate not in texts()
    (left,) = hold.step(NOTHING, view(2000), 3000).released
    assert left.track.read.plate == plate
    assert not any(hold.memory)


def test_a_clock_that_steps_back_gives_no_read_twice_and_loses_none() -> None:
    hold = ReleaseHold()
    hold.step(released("LATE1"), view(None), 1000)
    hold.step(released("SOON2"), view(None), 500)
    assert [r.track.read.plate for r in hold.step(NOTHING, view(600), 600).released] == ["SOON2"]
    assert [r.track.read.plate for r in hold.step(NOTHING, view(1000), 1100).released] == ["LATE1"]
    assert hold.waiting == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 3)), max_size=25
    )
)
def test_no_read_leaves_without_a_proof_that_is_younger(steps: list) -> None:
    """Any course of proofs, doubts and stops; each read leaves once, with its own text."""
    hold = ReleaseHold(8)
    proven: int | None = None
    came: dict[str, int] = {}
    left: list[str] = []
    destroyed = 0
    for now, (number, proves, stops, lag) in enumerate(steps, 1):
        if proves:
            proven = max(proven or 0, now - lag)
        state = ViewState.COVERED if stops else ViewState.CONFIRMED
        plates = [f"P{now}X{i}" for i in range(number)]
        came.update(dict.fromkeys(plates, now))
        out = hold.step(released(*plates), view(proven, state), now)
        destroyed += len(out.drops)
        for read in out.released:
            assert not stops
            assert proven is not None
            assert came[read.track.read.plate] <= proven
            left.append(read.track.read.plate)
        assert any(hold.memory) == (hold.waiting > 0)
    assert len(set(left)) == len(left)
    assert len(left) + destroyed + hold.waiting == sum(s[0] for s in steps)
