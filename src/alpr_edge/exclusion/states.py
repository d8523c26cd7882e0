"""The states of a track in the gate, and every way from one to the next.

`docs/exclusion.md` shows this table; a test compares the two. A pair of state and event that is not
in the table cannot happen: `advance` raises, and the gate is at fault.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a track stands."""

    OPEN = "open"
    """Seen, nothing against it so far. No read has been given."""
    TAINTED = "tainted"
    """Still seen, and will yield nothing whatever it does."""
    CLOSING = "closing"
    """Ended with a read, which waits for the hold and for its kin."""
    RELEASED = "released"
    """Its read has left, once."""
    DESTROYED = "destroyed"
    """Yields nothing. Remembered for a while so that its vehicle is known again."""


class Event(StrEnum):
    """What happens to a track."""

    TAINT = "taint"
    """Touch, crossing, suspect begin or end, kin, overflow, gap, time limit."""
    CLOSE = "close"
    """The tracker ended it with a read."""
    UNREAD = "unread"
    """The tracker ended it without one."""
    CLEAR = "clear"
    """Its hold, and that of all its kin, has passed and nothing was found against any."""
    SHUTDOWN = "shutdown"
    """The source has ended."""


TRANSITIONS: Final = MappingProxyType(
    {
        (State.OPEN, Event.TAINT): State.TAINTED,
        (State.OPEN, Event.CLOSE): State.CLOSING,
        (State.OPEN, Event.UNREAD): State.DESTROYED,
        (State.OPEN, Event.SHUTDOWN): State.DESTROYED,
        (State.TAINTED, Event.TAINT): State.TAINTED,
        (State.TAINTED, Event.CLOSE): State.DESTROYED,
        (State.TAINTED, Event.UNREAD): State.DESTROYED,
        (State.TAINTED, Event.SHUTDOWN): State.DESTROYED,
        (State.CLOSING, Event.TAINT): State.DESTROYED,
        (State.CLOSING, Event.CLEAR): State.RELEASED,
        (State.CLOSING, Event.SHUTDOWN): State.DESTROYED,
        (State.DESTROYED, Event.TAINT): State.DESTROYED,
        (State.DESTROYED, Event.SHUTDOWN): State.DESTROYED,
        (State.RELEASED, Event.TAINT): State.RELEASED,
        (State.RELEASED, Event.SHUTDOWN): State.RELEASED,
    }
)
"""Nothing leads out of `DESTROYED` or `RELEASED`, nothing from `TAINTED` to `RELEASED`, and
`RELEASED` is reached from `CLOSING` by `CLEAR` only."""


def advance(state: State, event: Event) -> State:
    """The next state.

    Raises:
        ValueError: the event cannot happen in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ValueError(f"a track that is {state} cannot {event}") from None


def as_markdown() -> str:
    """The table for the documentation: a row per state, a column per event, `–` for never."""
    head = ["", *(f"**{event}**" for event in Event)]
    rows = [
        [f"**{state}**", *(str(TRANSITIONS.get((state, event), "–")) for event in Event)]
        for state in State
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
