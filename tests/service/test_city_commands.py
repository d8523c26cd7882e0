"""The city's commands, over a real broker, to a running device as `wiring` makes it.

Real: mosquitto, link, desk, courier, outbox, mask store, guard, models, pipeline. Fakes: the
camera, which shows a grey street, and a clock that says it is disciplined.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from alpr_edge.authority.record import MaskRecord, record_payload
from alpr_edge.authority.rules import Unit
from alpr_edge.capture.still import StillSource
from alpr_edge.cli import main
from alpr_edge.config.parse import parse
from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.delivery.commands import Command, command_payload
from alpr_edge.errors import ExclusionError
from alpr_edge.pipeline import StepResult
from alpr_edge.service import Service
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.key_files import save_private_key
from alpr_edge.trust.keyring import Keyring
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.types import Frame
from alpr_edge.wiring.device import make_service
from alpr_edge.wiring.guard import make_mask_store
from alpr_edge.zone_set import ZonePolygon, ZoneSet

CITY = PrivateKey.generate()
WIDTH, HEIGHT = 320, 192
LEFT = ZonePolygon("left", ((0.0, 0.0), (0.2, 0.0), (0.2, 1.0), (0.0, 1.0)))
RIGHT = ZonePolygon("right", ((0.8, 0.0), (1.0, 0.0), (1.0, 1.0), (0.8, 1.0)))
WITHIN_S = 30.0

pytestmark = [pytest.mark.mosquitto, pytest.mark.timeout(180)]


class Disciplined(SystemClocks):
    """The kernel's clocks, on a machine where time is kept."""

    def believed(self) -> bool:
        return True


class GreyStreet:
    """A camera that shows the same grey frame until it is stopped."""

    def __init__(self) -> None:
        self._frames = StillSource([np.full((HEIGHT, WIDTH, 3), 120, np.uint8)], repeat=100_000)
        self._over = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            if self._over.wait(0.05):
                return
            yield frame

    def stop(self) -> None:
        self._over.set()

    def close(self) -> None:
        self._frames.close()


class City:
    """Signs requests, sends them and waits for the answers."""

    def __init__(self, port: int) -> None:
        self.answers: list[dict[str, Any]] = []
        self.number = int(time.time() * 1000)
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="city")
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _d, m: self.answers.append(json.loads(m.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("alpr-edge/unit-1/responses", 1)
        assert self._subscribed.wait(10)

    def signed(self, command: Command, **arguments: object) -> bytes:
        self.number += 1
        begin = datetime.now(UTC) - timedelta(seconds=5)
        payload = command_payload(
            "unit-1", command, number=self.number, not_before=begin, arguments=arguments
        )
        return sign(DocumentType.COMMAND, payload, CITY)

    def send(self, data: bytes) -> dict[str, Any]:
        before = len(self.answers)
        self._client.publish("alpr-edge/unit-1/requests", data, qos=1)
        eventually(lambda: len(self.answers) > before)
        return self.answers[-1]

    def ask(self, command: Command, **arguments: object) -> dict[str, Any]:
        return self.send(self.signed(command, **arguments))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def eventually(holds: Any) -> None:
    end = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def record(number: int, previous: str | None, *masks: ZonePolygon) -> bytes:
    now = datetime.now(UTC).replace(microsecond=0)
    made = MaskRecord(
        number=number,
        device="unit-1",
        camera="cam0",
        frame_px=(WIDTH, HEIGHT),
        zones=ZoneSet(masks, nothing_protected=not masks),
        valid_from=now - timedelta(hours=1),
        valid_to=now + timedelta(days=1),
        previous=previous,
        authors=("the city",),
    )
    return sign(DocumentType.MASK_RECORD, record_payload(made), CITY)


MAKE = ("ask", "add-mask", "--device", "unit-1")


def told_by_tool(
    folder: Path, port: int, words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    """Exit status and answer of `alpr-edge command`."""
    capsys.readouterr()
    code = main(["command", *words, "--key", str(folder / "city.key"), "--port", str(port)])
    return code, json.loads(capsys.readouterr().out)


def test_commands_reach_a_running_device(
    mosquitto: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "city-keys").write_text(f"{CITY.public}\n")
    text = (
        '[device]\nid = "unit-1"\nsite = "s"\ncamera = "cam0"\n[source]\nkind = "street"\n'
        '[exclusion]\nmask_store = "masks"\n[outbox]\npath = "outbox.sqlite3"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\n'
        '[commands]\ncity_keys = "city-keys"\nnumber_file = "number"\n[ledger]\npublish = false\n'
        '[trust]\nrequire_signatures = false\ncity_keys = "city-keys"\n'
        '[clock]\naccept = "assumed"\n'
    )
    config = parse(text, source="test", folder=str(tmp_path))
    store, unit, now = make_mask_store(config), Unit("unit-1", "cam0"), datetime.now(UTC)
    first = store.commit(
        record(1, None, LEFT), Keyring((CITY.public,)), unit, confirm_before=now, now=now
    ).state.records[-1]

    seen: list[tuple[bool, bool]] = []
    middle_shown: list[bool] = []

    def observe(result: StepResult, _events: object) -> None:
        image = result.masked.image
        middle_shown.append(bool(image[:, WIDTH // 2].any()))
        seen.append((bool(image[:, 2].any()), bool(image[:, -3].any())))

    def start() -> tuple[Service, threading.Thread]:
        service = make_service(config, observer=observe, source=GreyStreet(), clocks=Disciplined())
        running = threading.Thread(target=lambda: service.run(drain_s=1.0), daemon=True)
        running.start()
        return service, running

    service, running = start()
    city = City(mosquitto.port)
    try:
        eventually(lambda: seen)
        assert seen[-1] == (False, True)
        status = city.signed(Command.STATUS)
        told = city.send(status)
        assert (told["outcome"], told["result"]["state"]) == ("done", "online")
        tested = city.ask(Command.SELF_TEST)
        assert (tested["outcome"], tested["result"]["started"]) == ("done", True)

        # A mask more: at once, and with it alone.
        wider = record(2, first.digest, LEFT, RIGHT)
        added = city.ask(Command.ADD_MASK, record=wider.decode())
        assert added["outcome"] == "done"
        behind = len(seen)
        eventually(lambda: len(seen) > behind + 2)
        # One frame may have been on its way to the observer when the answer came.
        assert set(seen[behind + 1 :]) == {(False, False)}

        # One less, signed by the city itself: not over the network.
        narrower = record(3, added["result"]["mask"], RIGHT)
        refused = city.ask(Command.ADD_MASK, record=narrower.decode())
        assert (refused["outcome"], refused["code"]) == ("refused", "authority.narrows")
        stranger = PrivateKey.generate()
        forged = sign(DocumentType.MASK_RECORD, json.loads("{}"), stranger)
        assert city.ask(Command.ADD_MASK, record=forged.decode())["outcome"] == "refused"
        assert [one.digest for one in store.load().state.records] == [added["result"]["mask"]]

        # One region more, by nothing but the city's signature, and with the city's own tool.
        save_private_key(tmp_path / "city.key", CITY)
        corners = ["0.4,0.0", "0.6,0.0", "0.6,1.0", "0.4,1.0"]
        middle = (*MAKE, "--polygon", *corners, "--name", "clinic", "--reason", "a new clinic")
        code, answer = told_by_tool(tmp_path, mosquitto.port, middle, capsys)
        assert (code, answer["outcome"]) == (0, "done")
        behind = len(seen)
        eventually(lambda: len(seen) > behind + 2)
        assert not any(middle_shown[behind + 1 :])
        (addition,) = store.load().state.additions
        assert answer["result"]["added"] == addition.digest
        # Its number counted before that of the next request, which is made from the clock as well.
        city.number = addition.number

        # The masks outlive the service; a number that counted does so no more, either.
        service.stop()
        running.join(WITHIN_S)
        seen.clear()
        middle_shown.clear()
        service, running = start()
        eventually(lambda: seen)
        assert set(seen) == {(False, False)}
        assert not any(middle_shown)
        again = city.send(status)
        assert (again["outcome"], again["code"]) == ("refused", "delivery.command.replayed")

        stopped = city.ask(Command.STOP_READING, reason="order 7")
        assert stopped["outcome"] == "done"
        running.join(WITHIN_S)
        assert not running.is_alive()
        with pytest.raises(ExclusionError, match="stop"):
            start()
        # What the commands did to the masks is on record, by whose word, and why.
        capsys.readouterr()
        assert main(["ledger", "show", str(tmp_path / "ledger"), "--kind", "mask_change"]) == 0
        lines = capsys.readouterr().out.splitlines()
        changes = [json.loads(line)["body"] for line in lines]
        assert [one["narrowed"] for one in changes] == [None, False, False]
        digests = [first.digest, added["result"]["mask"], addition.digest]
        assert [one["order"] for one in changes] == digests
        assert changes[-1]["reason"] == "a new clinic"
    finally:
        service.stop()
        running.join(WITHIN_S)
        city.close()
