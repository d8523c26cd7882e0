"""A comparison with a reference, for `tests/hil/test_loopback.py` to replay and update."""

from __future__ import annotations

from collections.abc import Callable

FOUND = {"read": ["B"], "leaked": 0}


def test_what_was_found_is_reviewed(reviewed: Callable[..., None]) -> None:
    reviewed(FOUND)
