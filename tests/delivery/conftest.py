"""Lets the tests of this room share `delivery_samples` with the programs that they start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from delivery_samples import Subscriber


@pytest.fixture
def subscribe() -> Iterator[Callable[..., Subscriber]]:
    """Makes subscribers and closes them after the test."""
    made: list[Subscriber] = []

    def make(port: int, *topics: str, receipts: bool = False, name: str = "sub") -> Subscriber:
        made.append(Subscriber(port, *topics, receipts=receipts, name=name))
        return made[-1]

    yield make
    for one in made:
        one.close()
