"""The shipped fake of a link: a broker in memory, scripted by its user. For tests and dry runs.

It follows the contract in `port`; it starts no thread and opens no socket.
"""

from __future__ import annotations

import queue

from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.port import (
    WINDOW,
    Confirmed,
    Connected,
    LinkEvent,
    LinkState,
    Lost,
    Message,
    Phase,
    Receipt,
    Refused,
    Request,
)


class MemoryLink:
    """Takes messages into `sent`; confirms them at once, unless `holding`.

    Attributes:
        sent: every message that was taken, in order, repeats included.
        announced: every payload of the state topic, the farewell included.
        holding: when True, nothing is confirmed until `confirm` is called.
        refuse_with: when set, every message is refused with it.
        told: what `tell` was given: topic, payload, retained, correlation.
    """

    def __init__(self, *, reachable: bool = True, window: int = WINDOW) -> None:
        self.sent: list[Message] = []
        self.announced: list[bytes] = []
        self.told: list[tuple[str, bytes, bool, bytes]] = []
        self.holding = False
        self.refuse_with = LinkCode.NONE
        self._reachable = reachable
        self._window = window
        self._in_flight: list[str] = []
        self._queue: queue.SimpleQueue[LinkEvent | None] = queue.SimpleQueue()
        self._state = LinkState(Phase.IDLE)

    @property
    def state(self) -> LinkState:
        """Where it is now."""
        return self._state

    @property
    def room(self) -> int:
        """How many messages it would take now."""
        if self._state.phase is not Phase.CONNECTED:
            return 0
        return max(0, self._window - len(self._in_flight))

    def start(self) -> None:
        """Connect, if reachable."""
        if self._state.phase is Phase.IDLE:
            self._state = LinkState(Phase.WAITING, LinkCode.UNREACHABLE)
            if self._reachable:
                self.mend()

    def publish(self, message: Message) -> bool:
        """Take the message, if there is room."""
        if self.room == 0:
            return False
        self.sent.append(message)
        if self.refuse_with:
            self._queue.put(Refused(message.event_id, self.refuse_with))
            return True
        self._in_flight.append(message.event_id)
        if not self.holding:
            self.confirm()
        return True

    def announce(self, state: bytes) -> bool:
        """Take the health payload, if connected."""
        if self._state.phase is not Phase.CONNECTED:
            return False
        self.announced.append(state)
        return True

    def tell(
        self, topic: str, payload: bytes, *, retain: bool = False, correlation: bytes = b""
    ) -> bool:
        """Take it, if connected."""
        if self._state.phase is not Phase.CONNECTED:
            return False
        self.told.append((topic, payload, retain, correlation))
        return True

    def events(self, timeout_s: float) -> list[LinkEvent]:
        """What happened; waits up to `timeout_s` for it."""
        found: list[LinkEvent] = []
        try:
            first = self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get(False)
            found += [first] if first else []
            while True:
                one = self._queue.get(block=False)
                found += [one] if one else []
        except queue.Empty:
            return found

    def wake(self) -> None:
        """Let a waiting `events` return."""
        self._queue.put(None)

    def close(self, farewell: bytes = b"") -> None:
        """Disconnect for good."""
        if self._state.phase is Phase.CLOSED:
            return
        if farewell:
            self.announce(farewell)
        self.cut(LinkCode.NONE)
        self._state = LinkState(Phase.CLOSED)

    def confirm(self) -> None:
        """Acknowledge everything in flight."""
        for event_id in self._in_flight:
            self._queue.put(Confirmed(event_id))
        self._in_flight = []

    def receipt(self, *event_ids: str) -> None:
        """Answer as the receiving application."""
        self._queue.put(Receipt(event_ids))

    def ask(self, payload: bytes, answer_to: str = "", correlation: bytes = b"") -> None:
        """Send a request as the city."""
        self._queue.put(Request(payload, answer_to, correlation))

    def cut(self, code: LinkCode = LinkCode.LOST) -> None:
        """Break the connection."""
        if self._state.phase is Phase.CONNECTED:
            self._state = LinkState(Phase.WAITING, code)
            self._queue.put(Lost(tuple(self._in_flight), code))
            self._in_flight = []

    def mend(self) -> None:
        """Connect again."""
        if self._state.phase is Phase.WAITING:
            self._state = LinkState(Phase.CONNECTED, LinkCode.NONE, "memory", "memory")
            self._queue.put(Connected())
