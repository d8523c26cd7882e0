"""Who wants to know what leaves the device and what is deleted on it: the ledger's port.

Adapters are made elsewhere (rooms to the right may not be imported here); `NoObserver` watches
nothing, `RecordingObserver` is the shipped fake. No call carries a plate.

The contract: calls come from the courier's thread, one at a time, and should be short. `leaving` is
called before a batch is given to the link: when it raises `AlprEdgeError`, nothing of the batch
leaves, and it is tried again. The others must not raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

ErasedBecause = Literal["delivered", "expired", "overflow", "unreadable", "damaged", "not_stored"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that leave together.

    Attributes:
        first_id, last_id: the first and the last event's id, in the order of sending.
        destination: `host:port` of the broker.
        certificate: SHA-256 in hex of the broker's certificate; empty without TLS.
        repeated: how many of them were given to a link before, in this run.
    """

    count: int
    first_id: str
    last_id: str
    destination: str
    certificate: str
    repeated: int


class Observer(Protocol):
    """What may be watched."""

    def leaving(self, batch: Batch) -> None:
        """A batch is about to be sent.

        Raises:
            AlprEdgeError: it must not be sent now.
        """
        ...

    def erased(self, count: int, because: ErasedBecause) -> None:
        """Events were deleted from the device."""
        ...

    def link_up(self, destination: str, certificate: str, protocol: str) -> None:
        """A broker is connected."""
        ...

    def link_down(self, destination: str, code: str) -> None:
        """A connection ended."""
        ...


class NoObserver:
    """Watches nothing."""

    def leaving(self, batch: Batch) -> None:
        """Nothing."""

    def erased(self, count: int, because: ErasedBecause) -> None:
        """Nothing."""

    def link_up(self, destination: str, certificate: str, protocol: str) -> None:
        """Nothing."""

    def link_down(self, destination: str, code: str) -> None:
        """Nothing."""


class RecordingObserver:
    """The shipped fake: writes everything down.

    Attributes:
        refuse_with: when set, `leaving` raises it.
    """

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.erasures: list[tuple[int, ErasedBecause]] = []
        self.links: list[tuple[str, ...]] = []
        self.refuse_with: Exception | None = None

    def leaving(self, batch: Batch) -> None:
        """Write it down, or raise what it was told to."""
        if self.refuse_with is not None:
            raise self.refuse_with
        self.batches.append(batch)

    def erased(self, count: int, because: ErasedBecause) -> None:
        """Write it down."""
        self.erasures.append((count, because))

    def link_up(self, destination: str, certificate: str, protocol: str) -> None:
        """Write it down."""
        self.links.append(("up", destination, certificate, protocol))

    def link_down(self, destination: str, code: str) -> None:
        """Write it down."""
        self.links.append(("down", destination, code))
