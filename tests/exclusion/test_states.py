"""The transition table: what it forbids, and that the documentation shows it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from alpr_edge.exclusion.states import TRANSITIONS, Event, State, advance, as_markdown


def test_the_documentation_shows_this_table(repository: Path) -> None:
    assert as_markdown() in (repository / "docs" / "exclusion.md").read_text("utf-8")


def test_a_read_leaves_only_from_closing_by_clear() -> None:
    ways = [way for way, state in TRANSITIONS.items() if state is State.RELEASED]
    assert [way for way in ways if way[0] is not State.RELEASED] == [(State.CLOSING, Event.CLEAR)]


@pytest.mark.parametrize("end", [State.RELEASED, State.DESTROYED])
def test_nothing_leads_out_of_an_end(end: State) -> None:
    assert {state for (start, _), state in TRANSITIONS.items() if start is end} == {end}


def test_a_tainted_track_is_never_released() -> None:
    reached, found = {State.TAINTED}, [State.TAINTED]
    while found:
        start = found.pop()
        new = {state for (s, _), state in TRANSITIONS.items() if s is start} - reached
        reached |= new
        found += new
    assert reached == {State.TAINTED, State.DESTROYED}


@pytest.mark.parametrize("state", [State.OPEN, State.TAINTED, State.CLOSING])
def test_shutdown_destroys_all_that_is_not_over(state: State) -> None:
    assert advance(state, Event.SHUTDOWN) is State.DESTROYED


def test_every_other_pair_is_refused() -> None:
    for state, event in product(State, Event):
        if (state, event) not in TRANSITIONS:
            with pytest.raises(ValueError, match="cannot"):
                advance(state, event)
    assert (State.OPEN, Event.CLEAR) not in TRANSITIONS
