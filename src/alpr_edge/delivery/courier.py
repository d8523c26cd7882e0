"""The courier: takes waiting events from the outbox to the link, and deletes what has arrived.

It neither stores (`outbox`) nor speaks MQTT (`mqtt`); which events are out is `flight`'s business,
what a message looks like that of `encoding`.

Rules:
- At least once: an event is deleted only when it is settled, and its id never changes, so the
  receiver recognises a repeat. The application's receipt settles; a PUBACK does so only where the
  configuration declares the broker durable.
- Nothing leaves before the observer (the ledger) has been told of it.
- A disk that takes nothing stops nothing: events are held in memory (bounded), sent from there
  where the broker is up, and stored as soon as the disk is back. Whatever is lost is counted.
- No plate reaches a log line: log records carry codes and numbers.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from alpr_edge.delivery import wire
from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.desk import Answer, Desk
from alpr_edge.delivery.encoding import Encode
from alpr_edge.delivery.event import Event
from alpr_edge.delivery.flight import Flight, SettleOn
from alpr_edge.delivery.health import Facts, Health, Waiting, offline
from alpr_edge.delivery.held import Held
from alpr_edge.delivery.observer import Batch, NoObserver, Observer
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.outbox_values import OutboxCounts, Row
from alpr_edge.delivery.port import (
    Confirmed,
    Connected,
    Link,
    LinkEvent,
    Lost,
    Message,
    Phase,
    Refused,
    Request,
)
from alpr_edge.delivery.throttle import Throttle
from alpr_edge.delivery.writer import GroupWriter
from alpr_edge.errors import AlprEdgeError, PublishError

_log = logging.getLogger(__name__)
_POLL_S = 0.25
_DISK_RETRY_S = 1.0
_SETTLE_S = 0.02
_SETTLE_AT_ONCE = 256
"""How long a deletion waits for others, or for a disk that is busy with new reads; and how many
share a transaction at the most. Source: 71 us a row alone, 12 us by 50, 7 us by 200 (2026-11)."""
_READ_AHEAD = 32
_KEYS_EVERY_S = 3600.0
_MOST_ASKED = 8
"""Requests that are carried out or wait; more are not heard."""
_HOPELESS = {"delivery.event.invalid", "delivery.outbox.too_large"}
"""No disk or broker will ever take these, so they are counted as lost at once."""


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """Attributes:
    settle_on: `receipt`, or `puback` where the broker is durable or replicated.
    receipt_timeout_s: without a receipt for so long an event is sent again.
    max_unsettled: most events sent but not settled.
    max_in_memory: most events held in memory while the disk takes none; the oldest goes first.
    spare_s: how long events may be held in memory when the flash's budget is used up.
    max_bytes_per_s: most that is sent; 0 is no limit.
    """

    settle_on: SettleOn = "receipt"
    receipt_timeout_s: float = 60.0
    max_unsettled: int = 1000
    max_in_memory: int = 1000
    spare_s: float = 60.0
    max_bytes_per_s: int = 0
    health_every_s: float = 60.0
    housekeeping_every_s: float = 15.0


class Courier:
    """Moves events. `submit` and `hand_over` are for any thread, `pump` for one (see `start`)."""

    def __init__(
        self,
        outbox: Outbox,
        link: Link,
        encode: Encode,
        *,
        health: Health,
        settings: CourierSettings | None = None,
        observer: Observer | None = None,
        facts: Callable[[], Facts] = Facts,
        desk: Desk | None = None,
        greetings: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Nothing moves before `start` or `pump`.

        Args:
            outbox: where events wait; closed by `close`.
            link: closed by `close`.
            encode: how events are written.
            health: counters to keep.
            settings: see `CourierSettings`.
            observer: told what leaves and what is deleted.
            facts: what the machine says of itself now.
            desk: hears the city's requests, in a thread of its own.
            greetings: topics and what is published there, retained, on each connection.
        """
        self._outbox, self._link, self._encode = outbox, link, encode
        self._health, self._facts = health, facts
        self._settings = settings or CourierSettings()
        self._observer: Observer = observer or NoObserver()
        self._flight = Flight(
            self._settings.settle_on,
            self._settings.receipt_timeout_s,
            self._settings.max_unsettled,
        )
        self._desk, self._greetings = desk, tuple(greetings)
        self._clerk = ThreadPoolExecutor(1, "desk") if desk is not None else None
        self._asked: list[Future[Answer | None]] = []
        self._throttle = Throttle(self._settings.max_bytes_per_s, time.monotonic())
        self._held = Held(self._settings.max_in_memory)
        self._unsettled: dict[str, None] = {}
        self._told: OutboxCounts = outbox.counts
        self._destination = ""
        self._spare_until_s = self._settle_by_s = 0.0
        self._disk_again_s = self._health_at_s = self._housekeeping_at_s = self._keys_at_s = 0.0
        self._stopping = threading.Event()
        self._writer = GroupWriter(self._store_group)
        self._thread: threading.Thread | None = None

    def submit(self, event: Event) -> bool:
        """Hand over an event; never raises for a broken disk or link.

        Returns:
            Whether it is on disk now. If not, it is held in memory and tried again, or counted as
            lost where that cannot help.
        """
        return self.submit_all((event,))

    def hand_over(self, events: Iterable[Event]) -> None:
        """Take events and return before they are on disk; none is sent before it is.

        A thread stores what gathers while the disk works, in one commit (`writer`). Until then, a
        few milliseconds, they lie in memory only, as they did while their tracks were open.
        """
        events = list(events)
        if self._writer.running:
            self._writer.add(events)
        elif events:
            self.submit_all(events)

    def submit_all(self, events: Iterable[Event]) -> bool:
        """Hand over several events, which then share one write to disk. See `submit`."""
        parcels = self._outbox.parcels(events)
        if self._outbox.worn and len(self._held) + len(parcels) < self._settings.max_in_memory // 2:
            if not len(self._held):
                self._spare_until_s = time.monotonic() + self._settings.spare_s
            self._held.add(parcels)
            self._link.wake()
            return False
        try:
            self._outbox.put_parcels(parcels)
        except PublishError as err:
            self._trouble(err)
            if err.code not in _HOPELESS:
                self._lose(self._held.add(parcels))
            elif len(parcels) == 1:
                self._lose(1)
            else:
                # One of them spoils the others: each for itself.
                each = [self.submit(parcel.event) for parcel in parcels]
                return all(each)
            stored = False
        else:
            stored = True
        self._link.wake()
        return stored

    def start(self) -> None:
        """Start the link and a thread that pumps."""
        if self._thread is None:
            self._link.start()
            self._writer.start()
            self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
            self._thread.start()

    def pump(self, timeout_s: float = 0.0) -> int:
        """One round: hear the link, delete what is settled, send what waits.

        Waits up to `timeout_s` for the link to tell something. Returns how many were settled.
        """
        told = self._link.events(min(timeout_s, _SETTLE_S) if self._unsettled else timeout_s)
        now_s = time.monotonic()
        for one in told:
            if not isinstance(one, Confirmed):
                self._hear(one)
            for event_id in self._flight.take(one, now_s):
                self._unsettled[event_id] = None
        self._flight.tick(now_s)
        settled = self._settle(now_s)
        self._store_again(now_s)
        self._send(now_s)
        self._give_answers()
        self._housekeep(now_s)
        return settled

    def drain(self, timeout_s: float) -> int:
        """Stop the thread and deliver what waits, while there is a link. Returns what is left."""
        self._writer.close()
        self._stop()
        end = time.monotonic() + timeout_s
        self.pump()
        # An answer is waited for, too: that of the order to stop is made while the service ends.
        while (self.left or self._asked) and time.monotonic() < end:
            if self._link.state.phase in (Phase.IDLE, Phase.WAITING, Phase.CLOSED):
                break
            self.pump(min(0.05, timeout_s))
        return self.left

    def close(self, drain_s: float = 5.0) -> int:
        """Drain, say farewell, close link and outbox. Returns what waits for the next start."""
        left = self.drain(drain_s)
        self._disk_again_s = 0.0
        self._store_again(time.monotonic(), now=True)
        if self._clerk is not None:
            self._clerk.shutdown(wait=False, cancel_futures=True)
        self._link.close(offline("shutdown"))
        self.pump()
        lost = len(self._held)
        if lost:
            self._lose(lost)
            _log.error(
                "events lost: neither disk nor broker took them",
                extra={"code": "delivery.lost", "lost": lost},
            )
        self._outbox.close()
        return left

    def waiting(self, count: int) -> list[Row]:
        """The oldest stored events, at most `count`, for who may look at reads. For any thread.

        Raises:
            PublishError: the outbox cannot be read.
        """
        return self._outbox.pending(count)

    def health_document(self) -> wire.State:
        """What the state topic tells, for a local page or the demo. For any thread."""
        counts = self._outbox.counts
        waiting = Waiting(
            rows=counts.rows,
            in_memory=len(self._held),
            dropped=counts.dropped,
            expired=counts.expired,
            damaged=counts.damaged,
            unreadable=counts.unreadable,
            oldest_s=self._outbox.oldest_s(),
        )
        facts = replace(
            self._facts(),
            flash_written_bytes=counts.written_bytes,
            flash_worn=self._outbox.worn,
            clock_believed=self._outbox.clocks.believed(),
        )
        return self._health.document(waiting, self._link.state, time.monotonic(), facts)

    def _store_group(self, events: list[Event]) -> None:
        try:
            self.submit_all(events)
        except Exception as err:  # noqa: BLE001 - outermost loop of the writer: it goes on
            self._foreseen_by_nobody(err)
            self._lose(len(events))

    def _foreseen_by_nobody(self, err: Exception) -> None:
        # The text of an unforeseen error might quote an event: only its type is told.
        _log.error(
            "courier failed, goes on", extra={"code": "internal", "type": type(err).__name__}
        )
        self._health.error("internal")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.pump(_POLL_S)
            except Exception as err:  # noqa: BLE001 - outermost loop: delivery goes on
                self._foreseen_by_nobody(err)
                self._stopping.wait(1.0)

    def _stop(self) -> None:
        self._stopping.set()
        self._link.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def left(self) -> int:
        """How many events are not delivered: on disk, in memory, or on their way to the disk."""
        return self._outbox.counts.rows + len(self._held) + len(self._writer)

    def _hear(self, one: LinkEvent) -> None:
        if isinstance(one, Refused):
            self._health.count(refused=1)
            self._health.error(str(one.code))
        elif isinstance(one, Lost):
            if one.code and one.code is not LinkCode.RENEWED:
                self._health.error(str(one.code))
            self._observer.link_down(self._destination, str(one.code))
        elif isinstance(one, Connected):
            self._health_at_s = 0.0
            state = self._link.state
            self._destination = state.destination
            self._observer.link_up(state.destination, state.certificate, state.protocol)
            for topic, payload in self._greetings:
                self._link.tell(topic, payload, retain=True)
        elif isinstance(one, Request):
            if self._desk is None or self._clerk is None or len(self._asked) >= _MOST_ASKED:
                self._health.error("delivery.command.not_heard")
            else:
                self._asked.append(self._clerk.submit(self._desk.take, one))

    def _give_answers(self) -> None:
        """Answers that are ready, while the link takes them; they wait for it in memory."""
        waiting = []
        for future in self._asked:
            if not future.done():
                waiting.append(future)
                continue
            if future.cancelled():
                continue
            if future.exception() is not None:
                self._health.error("internal")
                continue
            answer = future.result()
            if answer is not None and not self._link.tell(
                answer.topic, answer.payload, correlation=answer.correlation
            ):
                waiting.append(future)
        self._asked = waiting

    def _send(self, now_s: float) -> None:
        """Give the link what waits, oldest first, as far as it has room."""
        if not self._send_held(now_s):
            return
        while self._link.room and self._flight.room and self._throttle.open(now_s):
            most = min(_READ_AHEAD, self._link.room)
            try:
                rows = self._outbox.pending(most, self._flight.cursor)
            except PublishError as err:
                self._trouble(err)
                return
            if not rows:
                return
            if not self._give(self._messages(rows), now_s):
                return
            self._flight.cursor = rows[-1].seq

    def _send_held(self, now_s: float) -> bool:
        if not self._link.room:
            return True
        batch: list[Message] = []
        for parcel in self._held.all():
            event_id, left_s = parcel.event.event_id, self._outbox.left_s(parcel)
            if left_s > 0 and self._wanted(event_id) and len(batch) < self._link.room:
                batch.append(self._encode(event_id, parcel.event.to_json(), left_s))
        return self._give(batch, now_s)

    def _wanted(self, event_id: str) -> bool:
        return event_id not in self._unsettled and self._flight.wants(event_id)

    def _messages(self, rows: Sequence[Row]) -> list[Message]:
        """Those that should go now; what cannot be encoded never will be, and is deleted."""
        batch, hopeless = [], []
        for row in rows:
            if self._wanted(row.event_id):
                try:
                    batch.append(self._encode(row.event_id, row.payload, row.left_s))
                except PublishError as err:
                    self._trouble(err)
                    hopeless.append(row.event_id)
        try:
            self._outbox.discard(hopeless)
        except PublishError as err:
            self._trouble(err)
        return batch

    def _give(self, batch: Sequence[Message], now_s: float) -> bool:
        """Tell the observer, then give all of them to the link; False when it did not take all."""
        if not batch:
            return True
        state = self._link.state
        try:
            self._observer.leaving(
                Batch(
                    len(batch),
                    batch[0].event_id,
                    batch[-1].event_id,
                    state.destination,
                    state.certificate,
                    sum(message.event_id in self._flight.seen for message in batch),
                )
            )
        except AlprEdgeError as err:
            self._health.error(err.code)
            _log.warning("batch held back", extra={"code": err.code, "hint": err.hint})
            return False
        room, given = self._flight.room, 0
        for message in batch:
            if given == room or not self._throttle.open(now_s) or not self._link.publish(message):
                break
            self._throttle.spend(len(message.payload) + len(message.topic))
            self._flight.sent(message.event_id)
            given += 1
        self._health.count(published=given)
        return given == len(batch)

    def _settle(self, now_s: float) -> int:
        """Delete what is settled, many in one transaction.

        While more answers are under way, or another thread waits for its commit to reach the disk,
        sending goes on: what is settled may wait a little, what is sent need not.
        """
        if not self._unsettled:
            return 0
        if not self._settle_by_s:
            self._settle_by_s = now_s + _SETTLE_S
        more = self._flight.out and len(self._unsettled) < _SETTLE_AT_ONCE
        if now_s < self._settle_by_s and (more or self._outbox.busy):
            return 0
        self._settle_by_s = 0.0
        ids = list(self._unsettled)
        gone = self._held.remove(ids)
        try:
            gone += self._outbox.settle(ids)
        except PublishError as err:
            self._trouble(err)
            return gone
        self._unsettled.clear()
        self._flight.forget(ids)
        self._health.count(settled=gone)
        if gone:
            self._observer.erased(gone, "delivered")
        return gone

    def _lose(self, count: int) -> None:
        if count > 0:
            self._health.count(lost=count)
            self._observer.erased(count, "not_stored")

    def _store_again(self, now_s: float, *, now: bool = False) -> None:
        """Store what is held; where the flash is to be spared, only after a while."""
        if not len(self._held):
            return
        if not now and (
            now_s < self._disk_again_s or (self._outbox.worn and now_s < self._spare_until_s)
        ):
            return
        self._disk_again_s = now_s + _DISK_RETRY_S
        parcels = self._held.all()
        expired = [p.event.event_id for p in parcels if self._outbox.left_s(p) <= 0]
        if expired:
            gone = self._held.remove(expired)
            self._health.count(lost=gone)
            self._observer.erased(gone, "expired")
        parcels = self._held.all()
        try:
            self._outbox.put_parcels(parcels)
        except PublishError as err:
            self._trouble(err)
            return
        self._held.remove([parcel.event.event_id for parcel in parcels])

    def _housekeep(self, now_s: float) -> None:
        if now_s >= self._housekeeping_at_s:
            self._housekeeping_at_s = now_s + self._settings.housekeeping_every_s
            try:
                self._outbox.purge_expired()
                self._outbox.tidy()
                if now_s >= self._keys_at_s:
                    self._keys_at_s = now_s + _KEYS_EVERY_S
                    self._outbox.renew_keys()
            except PublishError as err:
                self._trouble(err)
        self._tell_losses()
        if now_s >= self._health_at_s and self._link.announce(self._health_json()):
            self._health_at_s = now_s + self._settings.health_every_s

    def _tell_losses(self) -> None:
        counts, before = self._outbox.counts, self._told
        self._told = counts
        if counts.expired > before.expired:
            self._observer.erased(counts.expired - before.expired, "expired")
        if counts.dropped > before.dropped:
            self._observer.erased(counts.dropped - before.dropped, "overflow")
        if counts.unreadable > before.unreadable:
            self._observer.erased(counts.unreadable - before.unreadable, "unreadable")
        if counts.damaged > before.damaged:
            self._observer.erased(counts.damaged - before.damaged, "damaged")

    def _health_json(self) -> bytes:
        return json.dumps(self.health_document(), separators=(",", ":")).encode()

    def _trouble(self, err: PublishError) -> None:
        self._health.error(err.code)
        _log.warning("outbox trouble", extra={"code": err.code, "hint": err.hint})
