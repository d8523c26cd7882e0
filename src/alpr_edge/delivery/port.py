"""The port to a broker: what a link can do, and what it tells.

Adapters: `mqtt.MqttLink` (the real one), `memory_link.MemoryLink` (the shipped fake). Both pass
`tests/contracts/test_link_contract.py`.

The contract:
- A link queues nothing. `publish` takes a message only while connected and while there is room;
  else it says False and the caller keeps the message.
- A message that was taken gives exactly one of `Confirmed`, `Refused`, `Lost`.
- A read is never retained; only `announce`, and `tell` where it is asked to.
- Trouble never raises: it shows in `state`, and the link tries again by itself.
- `publish`, `announce` and `events` are for one thread; `wake`, `state` and `room` for any.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from alpr_edge.delivery.codes import LinkCode

WINDOW = 64
"""Most messages without an answer, and so what a broken link can cost in repeats. Answers come in
groups, and deletions share a transaction: 20 gave four fifths of the rate of 64, more gave nothing
(bench_delivery, 2026-11). A broker's smaller Receive Maximum wins."""


class Phase(StrEnum):
    """Where a link is. `waiting`: an attempt failed, the next one comes after a pause."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LinkState:
    """Attributes:
    phase: see `Phase`.
    code: the latest trouble; with phase `connected` one that does not stop reads.
    protocol: what was agreed on, `MQTT 5` or `MQTT 3.1.1`.
    destination: `host:port` of the broker.
    certificate: SHA-256 in hex of its certificate; empty without TLS.
    """

    phase: Phase
    code: LinkCode = LinkCode.NONE
    protocol: str = ""
    destination: str = ""
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Binary:
    """The form for MQTT 5: what describes the payload goes beside it.

    Attributes:
        properties: user properties.
    """

    payload: bytes = field(repr=False)
    content_type: str = ""
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One read on its way.

    Attributes:
        expires_in_s: what is left of its retention; the broker drops it then where it can (MQTT 5).
        binary: sent instead where MQTT 5 was agreed on.
    """

    event_id: str
    topic: str
    payload: bytes = field(repr=False)
    content_type: str = ""
    expires_in_s: int | None = None
    binary: Binary | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker is there (again)."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The broker has acknowledged a message. That is not delivery: see `courier`."""

    event_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker has rejected a message."""

    event_id: str
    code: LinkCode


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended; these had no answer and may or may not have arrived."""

    event_ids: tuple[str, ...]
    code: LinkCode


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receiving application has stored these events."""

    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A message on the requests topic, not looked into yet.

    Attributes:
        answer_to: where the asker wants the answer (MQTT 5); empty for the device's own topic.
        correlation: goes back with the answer (MQTT 5).
    """

    payload: bytes = field(repr=False)
    answer_to: str = ""
    correlation: bytes = b""


LinkEvent = Connected | Confirmed | Refused | Lost | Receipt | Request


@dataclass(frozen=True, slots=True)
class Topics:
    """The device's topics. A plate is never part of a topic.

    Attributes:
        prefix: what they begin with, without wildcards and outer slashes.
    """

    device_id: str
    prefix: str = "alpr-edge"

    def __post_init__(self) -> None:
        name = self.device_id
        if not 1 <= len(name) <= 64 or not all(
            c.isascii() and (c.isalnum() or c in "-_.") for c in name
        ):
            raise ValueError("device_id must be 1 to 64 of A-Z a-z 0-9 - _ .")

    @property
    def reads(self) -> str:
        """Events, never retained."""
        return f"{self.prefix}/{self.device_id}/reads"

    @property
    def state(self) -> str:
        """Health, retained; the last will is sent here."""
        return f"{self.prefix}/{self.device_id}/state"

    @property
    def receipts(self) -> str:
        """Where the receiving application answers with event ids."""
        return f"{self.prefix}/{self.device_id}/receipts"

    @property
    def requests(self) -> str:
        """Where the city asks."""
        return f"{self.prefix}/{self.device_id}/requests"

    @property
    def responses(self) -> str:
        """Where the device answers."""
        return f"{self.prefix}/{self.device_id}/responses"


class Link(Protocol):
    """A connection to one broker, kept up by itself. The contract is in the module's docstring."""

    @property
    def state(self) -> LinkState:
        """Where it is now."""
        ...

    @property
    def room(self) -> int:
        """How many messages it would take now; 0 when not connected."""
        ...

    def start(self) -> None:
        """Begin to connect; returns at once."""
        ...

    def publish(self, message: Message) -> bool:
        """Send; False means not taken."""
        ...

    def announce(self, state: bytes) -> bool:
        """Publish health, retained; False when not connected (it is not kept)."""
        ...

    def tell(
        self, topic: str, payload: bytes, *, retain: bool = False, correlation: bytes = b""
    ) -> bool:
        """Send something that is no read (an answer, a discovery message) at QoS 1, once; False
        when not connected. Nothing is told of its way."""
        ...

    def events(self, timeout_s: float) -> list[LinkEvent]:
        """What happened since the last call; waits for something up to `timeout_s`."""
        ...

    def wake(self) -> None:
        """Let a waiting `events` return now."""
        ...

    def close(self, farewell: bytes = b"") -> None:
        """Say `farewell` on the state topic where possible, then disconnect. Safe to call twice."""
        ...
