"""Which waiting events are out, and when one may be deleted or must be sent again. Pure.

States of an event: waiting → out (sent, no answer) → settled;
with receipts: out → awaiting (acknowledged by the broker, no receipt) → settled.

Rules:
- `puback`: the broker's acknowledgement settles. Only right where the broker is durable.
- `receipt`: only the application's receipt settles; without one in time the event is sent again.
- Refused: it rests, longer each time, then goes again; it does not hold up those behind it.
- A lost connection makes everything that is not settled wait again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from alpr_edge.delivery.port import Confirmed, LinkEvent, Lost, Receipt, Refused

SettleOn = Literal["puback", "receipt"]
_FIRST_REST_S = 5.0
_MOST_REST_S = 300.0


class Flight:
    """Keeps the ids that are not simply waiting, and a cursor over the outbox's sequence.

    Attributes:
        cursor: rows up to this sequence number need no look now.
        seen: unsettled events that were given to a link in this run.
    """

    def __init__(self, settle_on: SettleOn, receipt_timeout_s: float, most: int) -> None:
        self._settle_on = settle_on
        self._receipt_timeout_s = receipt_timeout_s
        self._most = most
        self._out: set[str] = set()
        self._due: dict[str, float] = {}
        self._rest_s = _FIRST_REST_S
        self.cursor = 0
        self.seen: set[str] = set()

    @property
    def room(self) -> int:
        """How many more may be out, awaiting or resting."""
        return max(0, self._most - len(self._out) - len(self._due))

    @property
    def out(self) -> int:
        """How many wait for the broker's answer."""
        return len(self._out)

    def wants(self, event_id: str) -> bool:
        """Whether this event should be sent now."""
        return event_id not in self._out and event_id not in self._due

    def sent(self, event_id: str) -> None:
        """The link has taken it."""
        self._out.add(event_id)
        self.seen.add(event_id)

    def forget(self, event_ids: Iterable[str]) -> None:
        """These are settled and deleted."""
        self.seen.difference_update(event_ids)

    def take(self, event: LinkEvent, now_s: float) -> tuple[str, ...]:
        """Note what the link told; returns the ids that are settled by it."""
        match event:
            case Confirmed(event_id) if event_id in self._out:
                self._out.discard(event_id)
                self._rest_s = _FIRST_REST_S
                if self._settle_on == "puback":
                    return (event_id,)
                self._due[event_id] = now_s + self._receipt_timeout_s
            case Refused(event_id):
                self._out.discard(event_id)
                self._due[event_id] = now_s + self._rest_s
                self._rest_s = min(_MOST_REST_S, self._rest_s * 2)
            case Receipt(event_ids) if self._settle_on == "receipt":
                for event_id in event_ids:
                    self._out.discard(event_id)
                    self._due.pop(event_id, None)
                return event_ids
            case Lost(event_ids):
                # Those awaiting a receipt may have been lost inside the broker: they go again too.
                self._out.difference_update(event_ids)
                self._due.clear()
                self.cursor = 0
            case _:
                pass
        return ()

    def tick(self, now_s: float) -> None:
        """Let what is due be sent again."""
        due = [event_id for event_id, at in self._due.items() if at <= now_s]
        for event_id in due:
            del self._due[event_id]
        if due:
            self.cursor = 0
