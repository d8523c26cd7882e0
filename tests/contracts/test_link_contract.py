"""What every link must do (`delivery.port`), run on the shipped fake and on the real adapter."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from alpr_edge.delivery.memory_link import MemoryLink
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings, MqttTimes
from alpr_edge.delivery.port import (
    Confirmed,
    Connected,
    Link,
    LinkEvent,
    Lost,
    Message,
    Phase,
    Receipt,
    Refused,
    Topics,
)

TOPICS = Topics("cam-1")


def message(payload: bytes = b"{}") -> Message:
    return Message(str(uuid.uuid4()), TOPICS.reads, payload, "application/json", 3600)


class Side(Protocol):
    """The broker's side of a link under test."""

    link: Link

    def cut(self) -> None: ...
    def mend(self) -> None: ...


class MemorySide:
    """The fake plays both sides."""

    def __init__(self) -> None:
        self.link = MemoryLink(window=20)

    def cut(self) -> None:
        self.link.cut()

    def mend(self) -> None:
        self.link.mend()


class MqttSide:
    """A real mosquitto."""

    def __init__(self, mosquitto: Any) -> None:
        self.cut: Callable[[], None] = mosquitto.stop
        self.mend: Callable[[], None] = mosquitto.start
        times = MqttTimes(first_retry=0.1, most_retry=0.3)
        self.link = MqttLink(
            MqttSettings("127.0.0.1", mosquitto.port, TOPICS, receipts=True, times=times)
        )


class LinkContract:
    """The laws. A subclass gives the side."""

    @staticmethod
    def collect(link: Link, until: Callable[[list[LinkEvent]], bool]) -> list[LinkEvent]:
        found: list[LinkEvent] = []
        end = time.monotonic() + 15
        while not until(found):
            assert time.monotonic() < end, f"got only {found}"
            found += link.events(0.1)
        return found

    def connect(self, link: Link) -> None:
        link.start()
        self.collect(link, lambda found: Connected() in found)

    def test_before_start_it_takes_nothing(self, side: Side) -> None:
        assert side.link.state.phase is Phase.IDLE
        assert side.link.room == 0
        assert not side.link.publish(message())
        assert not side.link.announce(b"{}")
        assert side.link.events(0) == []

    def test_it_connects_and_says_so(self, side: Side) -> None:
        self.connect(side.link)
        assert side.link.state.phase is Phase.CONNECTED
        assert side.link.state.protocol
        assert not side.link.state.code
        assert side.link.room == 20
        side.link.start()
        assert side.link.announce(b"{}")

    def test_each_message_that_was_taken_gets_one_answer(self, side: Side) -> None:
        self.connect(side.link)
        sent = []
        found: list[LinkEvent] = []
        while len(sent) < 100:
            one = message(bytes(len(sent)))
            if side.link.publish(one):
                sent.append(one.event_id)
            else:
                found += side.link.events(0.1)
        found += self.collect(side.link, lambda more: len(found) + len(more) >= 100)
        assert found == [Confirmed(event_id) for event_id in sent]
        assert side.link.room == 20
        assert side.link.events(0.05) == []

    def test_without_a_connection_it_takes_nothing_and_keeps_nothing(self, side: Side) -> None:
        self.connect(side.link)
        side.cut()
        found = self.collect(side.link, lambda found: any(isinstance(e, Lost) for e in found))
        assert not any(isinstance(e, Confirmed | Refused) for e in found)
        assert side.link.state.phase is not Phase.CONNECTED
        assert side.link.state.code
        assert side.link.room == 0
        assert not side.link.publish(message())
        assert not side.link.announce(b"{}")
        side.mend()
        self.collect(side.link, lambda found: Connected() in found)
        assert side.link.room == 20
        assert side.link.events(0.1) == []

    def test_it_connects_again_by_itself_each_time(self, side: Side) -> None:
        self.connect(side.link)
        for _ in range(3):
            side.cut()
            self.collect(side.link, lambda found: any(isinstance(e, Lost) for e in found))
            side.mend()
            self.collect(side.link, lambda found: Connected() in found)
            one = message()
            assert side.link.publish(one)
            self.collect(side.link, lambda found, one=one: Confirmed(one.event_id) in found)  # type: ignore[misc]

    def test_wake_ends_a_wait(self, side: Side) -> None:
        side.link.wake()
        began = time.monotonic()
        assert side.link.events(10.0) == []
        assert time.monotonic() - began < 5

    def test_after_close_it_takes_nothing(self, side: Side) -> None:
        self.connect(side.link)
        side.link.close(b'{"state":"offline"}')
        side.link.close()
        assert side.link.state.phase is Phase.CLOSED
        assert not side.link.publish(message())
        assert not any(isinstance(e, Receipt | Confirmed) for e in side.link.events(0))

    def test_close_without_start(self, side: Side) -> None:
        side.link.close()
        assert side.link.state.phase is Phase.CLOSED


class TestMemoryLink(LinkContract):
    @pytest.fixture
    def side(self) -> MemorySide:
        return MemorySide()


@pytest.mark.mosquitto
class TestMqttLink(LinkContract):
    @pytest.fixture
    def side(self, mosquitto: Any) -> Iterator[MqttSide]:
        one = MqttSide(mosquitto)
        yield one
        one.link.close()
