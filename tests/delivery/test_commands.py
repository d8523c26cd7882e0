"""Only what the city signed, for this device, now and once, is carried out; and nothing narrows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schemas import check

from alpr_edge.delivery.abilities import DeviceAbilities
from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.delivery.commands import (
    MAX_BYTES,
    Command,
    RefusedCommand,
    Unheard,
    command_payload,
    hear,
)
from alpr_edge.delivery.desk import Abilities, Desk, NoAbilities
from alpr_edge.delivery.health import Health, Waiting
from alpr_edge.delivery.port import LinkState, Phase, Request, Topics
from alpr_edge.delivery.stop_order import StopOrder
from alpr_edge.errors import AlprEdgeError, ExclusionError, PublishError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.keys import PrivateKey

CITY, OTHER = PrivateKey.generate(), PrivateKey.generate()
TOPICS = Topics("cam-1", "city/alpr")
RECORD = '{"a": "signed record"}'
TRIANGLE = [[0.1, 0.1], [0.5, 0.1], [0.1, 0.5]]


class Able:
    """Writes down what it was asked to do."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def status(self) -> dict[str, Any]:
        self.done.append("status")
        return {"state": "online"}

    def self_test(self) -> dict[str, Any]:
        raise AlprEdgeError("broken", code="selftest.failed")

    def checkpoint(self) -> dict[str, Any]:
        self.done.append("checkpoint")
        return {"size": 7}

    def add_mask(self, record: bytes) -> str:
        self.done.append(record)
        return "ee" * 32

    def add_polygon(self, command: bytes) -> str:
        self.done.append(command)
        return "dd" * 32

    def stop_reading(self, reason: str) -> None:
        self.done.append(reason)


class Bench:
    """A desk with a clock, and a city that asks."""

    def __init__(self, folder: Path, abilities: Abilities | None = None) -> None:
        self.clocks = SetClocks()
        self.able = Able()
        self.codes: list[str] = []
        self.folder = folder
        self.abilities: Abilities = abilities or self.able
        self.number = 0
        self.open()

    def open(self) -> None:
        self.desk = Desk(
            TOPICS,
            [CITY.public],
            self.abilities,
            number_file=self.folder / "number",
            clocks=self.clocks,
            trouble=self.codes.append,
        )

    def signed(self, command: Command, key: PrivateKey = CITY, **more: Any) -> bytes:
        self.number += 1
        begin = datetime.fromtimestamp(self.clocks.wall, UTC) - timedelta(seconds=1)
        given = {"number": self.number, "not_before": begin, **more}
        device = given.pop("device", "cam-1")
        return sign(DocumentType.COMMAND, command_payload(device, command, **given), key)

    def ask(self, data: bytes, answer_to: str = "", correlation: bytes = b"") -> Any:
        answer = self.desk.take(Request(data, answer_to, correlation))
        if answer is None:
            return None
        document = json.loads(answer.payload)
        check("response.v1", document)
        return document


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_each_command_is_carried_out_once(bench: Bench) -> None:
    mask = bench.signed(Command.ADD_MASK, arguments={"record": RECORD})
    stop = bench.signed(Command.STOP_READING, arguments={"reason": "order 7"})
    assert bench.ask(mask) == {
        "device": "cam-1",
        "number": 1,
        "command": "add-mask",
        "outcome": "done",
        "code": "",
        "result": {"mask": "ee" * 32},
    }
    assert bench.ask(stop)["outcome"] == "done"
    assert bench.ask(bench.signed(Command.STATUS))["result"] == {"state": "online"}
    assert bench.ask(bench.signed(Command.CHECKPOINT))["result"] == {"size": 7}
    failed = bench.ask(bench.signed(Command.SELF_TEST))
    assert (failed["outcome"], failed["code"]) == ("failed", "selftest.failed")
    assert bench.able.done == [
        RECORD.encode(),
        "order 7",
        "status",
        "checkpoint",
    ]


def test_a_bare_polygon_is_handed_on_with_the_signature_that_gives_it_its_right(
    bench: Bench,
) -> None:
    more = {"polygon": TRIANGLE, "name": "clinic", "reason": "order 7"}
    data = bench.signed(Command.ADD_MASK, arguments=more)
    told = bench.ask(data)
    assert (told["outcome"], told["result"]["masks"]) == ("done", "dd" * 32)
    assert len(told["result"]["added"]) == 64
    assert bench.able.done == [data]
    for wrong in ({"polygon": TRIANGLE, "record": RECORD}, {"polygon": TRIANGLE, "holes": []}):
        refused = bench.ask(bench.signed(Command.ADD_MASK, arguments=wrong))
        assert refused["code"] == "delivery.command.malformed"
    assert bench.able.done == [data]


def test_a_request_that_comes_twice_gets_the_same_answer_and_runs_once(bench: Bench) -> None:
    data = bench.signed(Command.STATUS)
    assert bench.ask(data) == bench.ask(data)
    assert bench.able.done == ["status"]


def test_a_replay_is_refused_after_a_restart_too(bench: Bench) -> None:
    first, second = bench.signed(Command.STATUS), bench.signed(Command.CHECKPOINT)
    assert bench.ask(second)["outcome"] == "done"
    refused = bench.ask(first)
    assert (refused["outcome"], refused["code"]) == ("refused", "delivery.command.replayed")
    bench.open()
    assert bench.ask(second)["code"] == "delivery.command.replayed"
    assert bench.able.done == ["checkpoint"]


@pytest.mark.parametrize("damage", [b"", b"x", b"\xff" * 100])
def test_a_damaged_record_of_numbers_refuses_what_is_old(bench: Bench, damage: bytes) -> None:
    (bench.folder / "number").write_bytes(damage)
    bench.open()
    assert bench.ask(bench.signed(Command.STATUS))["code"] == "delivery.command.replayed"
    new = bench.signed(Command.STATUS, number=int(bench.clocks.wall * 1000) + 1)
    assert bench.ask(new)["outcome"] == "done"
    assert "delivery.command.record_damaged" in bench.codes


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(-3600, "too_early"), (601, "too_late"), (10**9, "too_late"), (-1.7e9, "too_early")],
)
def test_time_bounds_hold(bench: Bench, seconds: float, code: str) -> None:
    data = bench.signed(Command.STATUS)
    bench.clocks.wall += seconds
    assert bench.ask(data)["code"] == f"delivery.command.{code}"
    assert bench.able.done == []


def test_without_a_believed_clock_only_stopping_is_obeyed(bench: Bench) -> None:
    bench.clocks.trusted = False
    assert bench.ask(bench.signed(Command.STATUS))["code"] == "delivery.command.clock"
    stop = bench.signed(Command.STOP_READING, arguments={"reason": "now"})
    assert bench.ask(stop)["outcome"] == "done"
    assert bench.able.done == ["now"]


def test_what_the_city_did_not_sign_gets_no_answer(bench: Bench) -> None:
    assert bench.ask(bench.signed(Command.STATUS, OTHER)) is None
    assert bench.ask(bench.signed(Command.STATUS, device="cam-2")) is None
    payload = command_payload(
        "cam-1", Command.STATUS, number=99, not_before=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert bench.ask(sign(DocumentType.ORDER, payload, CITY)) is None
    assert bench.ask(json.dumps(payload).encode()) is None
    assert bench.ask(b"x" * 1_000_000) is None
    assert bench.codes == [
        "delivery.command.unsigned",
        "delivery.command.other_device",
        "delivery.command.unsigned",
        "delivery.command.unsigned",
        "delivery.command.too_large",
    ]
    assert bench.able.done == []


@given(st.binary(max_size=MAX_BYTES))
def test_no_bytes_at_all_do_anything(data: bytes) -> None:
    with pytest.raises(Unheard):
        hear(data, "cam-1", [CITY.public])


GOOD = command_payload(
    "cam-1",
    Command.ADD_MASK,
    number=5,
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    arguments={"record": RECORD},
)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0},
        {"number": True},
        {"number": 2**60},
        {"number": "5"},
        {"command": "remove-mask"},
        {"command": "shell"},
        {"command": None},
        {"command": ["status"]},
        {"extra": 1},
        {"not_after": "2026-01-03T00:00:00+00:00"},
        {"not_after": "2025-12-31T00:00:00+00:00"},
        {"not_before": "2026-01-01T00:00:00"},
        {"not_before": 7},
        {"not_before": "x" * 1000},
        {"arguments": []},
        {"arguments": {}},
        {"arguments": {"record": ""}},
        {"arguments": {"record": [1]}},
        {"arguments": {"polygon": [[0.1, 0.1], [0.5, 0.1], [0.3, 0.4]], "remove": "left"}},
        {"arguments": {"record": RECORD, "replace": True}},
        {"arguments": {"record": "\u00e9"}},
        {"command": "status", "arguments": {"path": "/etc"}},
        {"command": "stop-reading", "arguments": {"reason": 7}},
    ],
    ids=str,
)
def test_a_signed_request_that_is_malformed_is_refused(change: dict[str, Any]) -> None:
    assert hear(sign(DocumentType.COMMAND, GOOD, CITY), "cam-1", [CITY.public]).number == 5
    with pytest.raises(RefusedCommand) as caught:
        hear(sign(DocumentType.COMMAND, GOOD | change, CITY), "cam-1", [CITY.public])
    assert caught.value.code == "delivery.command.malformed"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON))
def test_any_signed_json_is_heard_or_refused_never_an_error(change: dict[str, Any]) -> None:
    data = sign(DocumentType.COMMAND, GOOD | change | {"device": "cam-1"}, CITY)
    try:
        asked = hear(data, "cam-1", [CITY.public])
    except (RefusedCommand, Unheard):
        return
    assert asked.command in Command


def test_a_number_that_cannot_be_stored_stops_all_but_stopping(bench: Bench) -> None:
    bench.folder = bench.folder / "gone"
    bench.open()
    assert bench.ask(bench.signed(Command.STATUS))["code"] == "delivery.command.not_recorded"
    stop = bench.signed(Command.STOP_READING, arguments={"reason": "now"})
    assert bench.ask(stop)["outcome"] == "done"


@pytest.mark.parametrize(
    ("wanted", "topic"),
    [
        ("", TOPICS.responses),
        ("city/alpr/desk/7", "city/alpr/desk/7"),
        ("elsewhere/x", TOPICS.responses),
        ("city/alpr/#", TOPICS.responses),
        ("city/alpr/\0", TOPICS.responses),
    ],
)
def test_answers_go_below_the_own_prefix_only(bench: Bench, wanted: str, topic: str) -> None:
    answer = bench.desk.take(Request(bench.signed(Command.STATUS), wanted, b"\x01\x02"))
    assert answer is not None
    assert (answer.topic, answer.correlation) == (topic, b"\x01\x02")


def test_what_a_device_cannot_do_is_said_with_a_stable_code(tmp_path: Path) -> None:
    bench = Bench(tmp_path, NoAbilities())
    for command, arguments in (
        (Command.STATUS, {}),
        (Command.SELF_TEST, {}),
        (Command.CHECKPOINT, {}),
        (Command.ADD_MASK, {"record": RECORD}),
        (Command.ADD_MASK, {"polygon": TRIANGLE}),
        (Command.STOP_READING, {"reason": "r"}),
    ):
        told = bench.ask(bench.signed(command, arguments=arguments))
        assert (told["outcome"], told["code"]) == (
            "not-available",
            "delivery.command.not_available",
        )


def test_nothing_that_narrows_has_a_name() -> None:
    assert {str(one) for one in Command} == {
        "status",
        "self-test",
        "checkpoint",
        "add-mask",
        "stop-reading",
    }
    abilities = {name for name in vars(Abilities) if not name.startswith("_")}
    assert abilities == {
        "status",
        "self_test",
        "checkpoint",
        "add_mask",
        "add_polygon",
        "stop_reading",
    }


def test_stopping_is_kept_over_a_restart(tmp_path: Path) -> None:
    order = StopOrder(tmp_path / "stopped.json")
    order.check()
    stopped: list[bool] = []
    abilities = DeviceAbilities(order)
    bench = Bench(tmp_path, abilities)
    stop = bench.signed(Command.STOP_READING, arguments={"reason": "order 7"})
    assert bench.ask(stop)["outcome"] == "not-available"
    health = Health("test", 0.0)
    link = LinkState(Phase.CONNECTED)
    abilities.use(lambda: health.document(Waiting(), link, 1.0), lambda: stopped.append(True))
    stop = bench.signed(Command.STOP_READING, arguments={"reason": "order 7"})
    assert bench.ask(stop)["outcome"] == "done"
    assert stopped == [True]
    assert bench.ask(bench.signed(Command.STATUS))["result"]["state"] == "online"
    with pytest.raises(ExclusionError) as caught:
        order.check()
    assert caught.value.code == "exclusion.stopped_by_the_city"
    with pytest.raises(PublishError):
        StopOrder(tmp_path / "none" / "x").give("r")
