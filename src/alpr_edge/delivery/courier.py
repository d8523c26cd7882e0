"""The courier: takes waiting events from the outbox to the link, and deletes what has arrived.

It neither stores (`outbox`) nor speaks MQTT (`mqtt`); which events are out is `flight`'s business.

Rules:
- At least once: an event is deleted only when it is settled, and its id never changes, so the
  receiver recognises a repeat. A PUBACK settles only because the configuration says that the
  broker is durable; else the application's receipt does.
- A disk that takes nothing stops nothing: events are held in memory (bounded), sent from there
  where the broker is up, and stored as soon as the disk is back. Whatever is lost is counted.
- No plate reaches a log line: log records carry codes and numbers.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alpr_edge.delivery.event import CONTENT_TYPE, Event
from alpr_edge.delivery.flight import Flight, SettleOn
from alpr_edge.delivery.health import Health, Waiting, offline
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Connected, Link, Lost, Message, Phase, Refused
from alpr_edge.errors import PublishError

_log = logging.getLogger(__name__)
_POLL_S = 0.25
_DISK_RETRY_S = 1.0
_READ_AHEAD = 32
_HOPELESS = {"delivery.event.invalid", "delivery.outbox.too_large"}
"""No disk or broker will ever take these, so they are counted as lost at once."""


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """Attributes:
    settle_on: `puback` only where the broker is durable or replicated, else `receipt`.
    receipt_timeout_s: without a receipt for so long an event is sent again.
    max_unsettled: most events sent but not settled.
    max_in_memory: most events held in memory while the disk takes none; the oldest goes first.
    """

    settle_on: SettleOn = "puback"
    receipt_timeout_s: float = 60.0
    max_unsettled: int = 1000
    max_in_memory: int = 1000
    health_every_s: float = 60.0
    housekeeping_every_s: float = 15.0


class Courier:
    """Moves events. `submit` is for any thread; `pump` for one at a time (`start` makes one)."""

    def __init__(
        self,
        outbox: Outbox,
        link: Link,
        topic: str,
        *,
        health: Health,
        settings: CourierSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing moves before `start` or `pump`.

        Args:
            outbox: where events wait; closed by `close`.
            link: closed by `close`.
            topic: for reads, `Topics.reads`.
            health: counters to keep.
            settings: see `CourierSettings`.
            clock: Unix time in seconds, for retention.
        """
        self._outbox, self._link, self._topic = outbox, link, topic
        self._health = health
        self._settings = settings or CourierSettings()
        self._clock = clock
        self._flight = Flight(
            self._settings.settle_on,
            self._settings.receipt_timeout_s,
            self._settings.max_unsettled,
        )
        self._unstored: OrderedDict[str, Event] = OrderedDict()
        self._unstored_lock = threading.Lock()
        self._unsettled: dict[str, None] = {}
        self._disk_again_s = self._health_at_s = self._housekeeping_at_s = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, event: Event) -> bool:
        """Hand over an event; never raises for a broken disk or link.

        Returns:
            Whether it is on disk now. If not, it is held in memory and tried again, or counted as
            lost where that cannot help.
        """
        try:
            self._outbox.put(event)
        except PublishError as err:
            self._trouble(err)
            if err.code in _HOPELESS:
                self._health.count(lost=1)
            else:
                self._hold(event)
            stored = False
        else:
            stored = True
        self._link.wake()
        return stored

    def start(self) -> None:
        """Start the link and a thread that pumps."""
        if self._thread is None:
            self._link.start()
            self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
            self._thread.start()

    def pump(self, timeout_s: float = 0.0) -> int:
        """One round: hear the link, delete what is settled, send what waits.

        Waits up to `timeout_s` for the link to tell something. Returns how many were settled.
        """
        told = self._link.events(timeout_s)
        now_s = time.monotonic()
        for one in told:
            if isinstance(one, Refused):
                self._health.count(refused=1)
                self._health.error(str(one.code))
            elif isinstance(one, Lost) and one.code:
                self._health.error(str(one.code))
            elif isinstance(one, Connected):
                self._health_at_s = 0.0
            self._unsettled.update(dict.fromkeys(self._flight.take(one, now_s)))
        self._flight.tick(now_s)
        settled = self._settle()
        self._store_again(now_s)
        self._send()
        self._housekeep(now_s)
        return settled

    def drain(self, timeout_s: float) -> int:
        """Stop the thread and deliver what waits, while there is a link. Returns what is left."""
        self._stop()
        end = time.monotonic() + timeout_s
        self.pump()
        while self._left() and time.monotonic() < end:
            if self._link.state.phase in (Phase.IDLE, Phase.WAITING, Phase.CLOSED):
                break
            self.pump(min(0.05, timeout_s))
        return self._left()

    def close(self, drain_s: float = 5.0) -> int:
        """Drain, say farewell, close link and outbox. Returns what waits for the next start."""
        left = self.drain(drain_s)
        self._link.close(offline("shutdown"))
        self.pump()
        with self._unstored_lock:
            lost = len(self._unstored)
        if lost:
            self._health.count(lost=lost)
            _log.error(
                "events lost: neither disk nor broker took them",
                extra={"code": "delivery.lost", "lost": lost},
            )
        self._outbox.close()
        return left

    def health_document(self) -> dict[str, object]:
        """What the state topic tells, for a local page or the demo."""
        counts = self._outbox.counts
        with self._unstored_lock:
            in_memory = len(self._unstored)
        waiting = Waiting(counts.rows, in_memory, counts.dropped, counts.expired, counts.damaged)
        return self._health.document(waiting, self._link.state, time.monotonic())

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.pump(_POLL_S)
            except Exception as err:  # noqa: BLE001 - outermost loop: delivery goes on
                # The text of an unforeseen error might quote an event: only its type is told.
                _log.error(
                    "courier failed, goes on",
                    extra={"code": "internal", "type": type(err).__name__},
                )
                self._health.error("internal")
                self._stopping.wait(1.0)

    def _stop(self) -> None:
        self._stopping.set()
        self._link.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _left(self) -> int:
        with self._unstored_lock:
            in_memory = len(self._unstored)
        return self._outbox.counts.rows + in_memory

    def _send(self) -> None:
        """Give the link what waits, oldest first, as far as it has room."""
        now = self._clock()
        with self._unstored_lock:
            held = list(self._unstored.values()) if self._link.room else []
        for event in held:
            expires_at = int(event.expires_at.timestamp())
            if not self._send_one(event.event_id, event.to_json(), expires_at, now):
                return
        while self._link.room and self._flight.room:
            try:
                rows = self._outbox.pending(_READ_AHEAD, self._flight.cursor)
            except PublishError as err:
                self._trouble(err)
                return
            for row in rows:
                if not self._send_one(row.event_id, row.payload, row.expires_at, now):
                    return
                self._flight.cursor = row.seq
            if not rows:
                return

    def _send_one(self, event_id: str, payload: bytes, expires_at: int, now: float) -> bool:
        """Whether the next one may be tried: sent now, or needs no sending now."""
        left_s = int(expires_at - now)
        if left_s <= 0 or event_id in self._unsettled or not self._flight.wants(event_id):
            return True
        message = Message(event_id, self._topic, payload, CONTENT_TYPE, left_s)
        if not self._flight.room or not self._link.publish(message):
            return False
        self._flight.sent(event_id)
        self._health.count(published=1)
        return True

    def _settle(self) -> int:
        if not self._unsettled:
            return 0
        ids = list(self._unsettled)
        with self._unstored_lock:
            gone = sum(self._unstored.pop(one, None) is not None for one in ids)
        try:
            gone += self._outbox.settle(ids)
        except PublishError as err:
            self._trouble(err)
            return gone
        self._unsettled.clear()
        self._health.count(settled=gone)
        return gone

    def _hold(self, event: Event) -> None:
        with self._unstored_lock:
            self._unstored[event.event_id] = event
            lost = len(self._unstored) - self._settings.max_in_memory
            for _ in range(lost):
                self._unstored.popitem(last=False)
        if lost > 0:
            self._health.count(lost=lost)

    def _store_again(self, now_s: float) -> None:
        with self._unstored_lock:
            events: Sequence[Event] = tuple(self._unstored.values())
        if not events or now_s < self._disk_again_s:
            return
        self._disk_again_s = now_s + _DISK_RETRY_S
        try:
            self._outbox.put_all(events)
        except PublishError as err:
            self._trouble(err)
            return
        with self._unstored_lock:
            for event in events:
                self._unstored.pop(event.event_id, None)

    def _housekeep(self, now_s: float) -> None:
        if now_s >= self._housekeeping_at_s:
            self._housekeeping_at_s = now_s + self._settings.housekeeping_every_s
            try:
                self._outbox.purge_expired(self._clock())
                self._outbox.tidy()
            except PublishError as err:
                self._trouble(err)
        if now_s >= self._health_at_s and self._link.announce(self._health_json()):
            self._health_at_s = now_s + self._settings.health_every_s

    def _health_json(self) -> bytes:
        return json.dumps(self.health_document(), separators=(",", ":")).encode()

    def _trouble(self, err: PublishError) -> None:
        self._health.error(err.code)
        _log.warning("outbox trouble", extra={"code": err.code, "hint": err.hint})
