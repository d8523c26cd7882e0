"""The real link: MQTT 5, falling back to 3.1.1, kept up by one thread.

It holds no message of its own (`outbox` does) and decides nothing about events (`courier`).
One connection is a `mqtt_session.Session`; this module makes one after the other.

Rules:
- MQTT 5 first. A broker that refuses it, hangs up or does not answer is tried with 3.1.1 at once
  (`ProtocolChoice`); the state tells which was agreed on.
- After a failure the next attempt waits, longer each time, with jitter. A connection that held for
  a while starts the pauses anew; one that is dropped at once does not.
- A broker that stops acknowledging is left and connected to anew.
- Several brokers are tried in their order; the first is tried again after each that was lost.
- Certificate files that were replaced are taken into use by a new connection, without a farewell.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time

from alpr_edge.delivery.backoff import Backoff
from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.mqtt_session import Answer, Ended, Session, Told
from alpr_edge.delivery.mqtt_settings import MqttSettings
from alpr_edge.delivery.port import (
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

_log = logging.getLogger(__name__)
_STEADY_S = 10.0


class ProtocolChoice:
    """Which MQTT version to try. Pure.

    A refusal of MQTT 5 is remembered for the next connections, and so is silence: amqtt 0.12 waits
    for ever on a CONNECT of MQTT 5 with a will. A hang-up without an answer is tried with 3.1.1
    once, but not remembered: the broker may just have been stopped.
    """

    def __init__(self, protocol: str) -> None:
        self._auto = protocol == "auto"
        self._prefer5 = self.mqtt5 = protocol != "3.1.1"

    def next(self, answered: bool, code: LinkCode) -> bool:
        """Learn from a connection that ended; True when the other version should follow at once."""
        no_answer = not answered and code in (LinkCode.TIMEOUT, LinkCode.LOST)
        if not self._auto:
            return False
        if self.mqtt5 and (no_answer or code is LinkCode.PROTOCOL):
            self._prefer5 = code is LinkCode.LOST
            self.mqtt5 = False
            return True
        if no_answer or code is LinkCode.PROTOCOL:
            self._prefer5 = True
        self.mqtt5 = self._prefer5
        return False


class MqttLink:
    """A `port.Link` to one MQTT broker."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._session: Session | None = None
        self._in_flight: dict[tuple[int, int], tuple[str, float]] = {}
        self._closing = threading.Event()
        self._farewell: list[bytes] = []
        self._state = LinkState(Phase.IDLE)
        self._thread = threading.Thread(target=self._run, name="mqtt-link", daemon=True)

    @property
    def state(self) -> LinkState:
        """Where it is now."""
        session = self._session
        if session is not None and session.ready:
            protocol = "MQTT 5" if session.mqtt5 else "MQTT 3.1.1"
            host, port = session.address
            return LinkState(
                Phase.CONNECTED, session.code, protocol, f"{host}:{port}", session.certificate
            )
        return self._state

    @property
    def room(self) -> int:
        """How many messages it would take now."""
        session = self._session
        if session is None or not session.ready:
            return 0
        return max(0, session.window - len(self._in_flight))

    def start(self) -> None:
        """Begin to connect."""
        if self._state.phase is Phase.IDLE:
            self._state = LinkState(Phase.CONNECTING)
            self._thread.start()

    def publish(self, message: Message) -> bool:
        """Send at QoS 1; False when not connected or without room."""
        session = self._session
        if session is None or self.room == 0:
            return False
        mid = session.publish(message)
        if mid is None:
            return False
        self._in_flight[session.number, mid] = (message.event_id, time.monotonic())
        return True

    def announce(self, state: bytes) -> bool:
        """Publish health, retained."""
        session = self._session
        return session is not None and session.ready and session.announce(state)

    def tell(
        self, topic: str, payload: bytes, *, retain: bool = False, correlation: bytes = b""
    ) -> bool:
        """Send what is no read, at QoS 1."""
        session = self._session
        if session is None or not session.ready:
            return False
        return session.tell(topic, payload, retain=retain, correlation=correlation)

    def events(self, timeout_s: float) -> list[LinkEvent]:
        """What happened since the last call."""
        found: list[LinkEvent] = []
        timeout_s = self._attend(timeout_s)
        try:
            told = self._told.get(timeout=timeout_s) if timeout_s > 0 else self._told.get(False)
            while True:
                found += self._understand(told)
                told = self._told.get(block=False)
        except queue.Empty:
            pass
        self._leave_if_stalled()
        return found

    def _attend(self, timeout_s: float) -> float:
        """Run the connection's loop in this thread while there is one; returns what is left."""
        end = time.monotonic() + timeout_s
        while self._told.empty():
            session = self._session
            if session is None or not session.ready or not session.attend(max(0.0, timeout_s)):
                return timeout_s
            timeout_s = end - time.monotonic()
            if timeout_s <= 0:
                break
        return 0.0

    def wake(self) -> None:
        """Let a waiting `events` return."""
        self._told.put(None)
        session = self._session
        if session is not None:
            session.wake()

    def close(self, farewell: bytes = b"") -> None:
        """Disconnect in order; waits for the thread, but not for ever."""
        if self._closing.is_set():
            return
        self._farewell[:] = [farewell] if farewell else []
        self._closing.set()
        session = self._session
        if session is not None:
            session.close_soon()
        if self._thread.is_alive():
            self._thread.join(self._settings.times.connect + self._settings.times.farewell + 1.0)
        self._state = LinkState(Phase.CLOSED, self._state.code)

    def _understand(self, told: Told) -> list[LinkEvent]:
        match told:
            case None:
                return []
            case Answer(number, mid, code):
                event_id, _ = self._in_flight.pop((number, mid), ("", 0.0))
                if not event_id:
                    return []
                return [Refused(event_id, code) if code else Confirmed(event_id)]
            case Ended(number, code):
                gone = [key for key in self._in_flight if key[0] == number]
                return [Lost(tuple(self._in_flight.pop(key)[0] for key in gone), code)]
            case Connected() | Receipt() | Request():
                return [told]

    def _leave_if_stalled(self) -> None:
        session = self._session
        if session is None or not session.ready:
            return
        _, oldest = next(iter(self._in_flight.values()), ("", None))
        if oldest is not None and time.monotonic() - oldest > self._settings.times.acknowledge:
            session.abort(LinkCode.STALLED)

    def _run(self) -> None:
        backoff = Backoff(
            self._settings.times.first_retry, self._settings.times.most_retry, random.random
        )
        addresses = ((self._settings.host, self._settings.port), *self._settings.others)
        choices = [ProtocolChoice(self._settings.protocol) for _ in addresses]
        number = at = 0
        while not self._closing.is_set():
            number += 1
            began = time.monotonic()
            session = self._attempt(number, choices[at].mqtt5, addresses[at])
            if self._closing.is_set():
                break
            if choices[at].next(session.answered, session.code):
                continue
            steady = session.answered and time.monotonic() - began > _STEADY_S
            if session.code is LinkCode.RENEWED:
                continue
            # The next broker at once; after the last one, or one that was there, the pause.
            at = 0 if steady else (at + 1) % len(addresses)
            if steady:
                backoff.reset()
            if at == 0:
                self._closing.wait(backoff.next_s())
        self._state = LinkState(Phase.CLOSED, self._state.code)

    def _attempt(self, number: int, mqtt5: bool, address: tuple[str, int]) -> Session:
        self._state = LinkState(Phase.CONNECTING, self._state.code)
        session = Session(
            self._settings, number=number, mqtt5=mqtt5, told=self._told, address=address
        )
        self._session = session
        code = session.run(self._closing, self._farewell)
        self._state = LinkState(Phase.WAITING, code)
        self._session = None
        session.release()
        if not self._closing.is_set():
            _log.warning(
                "link down",
                extra={
                    "code": str(code),
                    "hint": code.hint,
                    "mqtt": "5" if mqtt5 else "3.1.1",
                    "broker": f"{address[0]}:{address[1]}",
                },
            )
        return session
