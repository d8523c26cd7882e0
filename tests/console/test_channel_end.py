"""The unit's end of the channel: who gets in, what is done once, when the text has the wire."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from console_samples import CITY, PASSWORD, Login, ring_of, users_of_all_roles
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr_edge.config.mask_file import format_masks
from alpr_edge.console.access import NEEDS, Level
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.channel.end import QUIET_S, ChannelEnd
from alpr_edge.console.channel.frames import Decoder, encode
from alpr_edge.console.channel.packets import Command, Op, Packet, pack, unpack
from alpr_edge.console.channel.requests import PLAIN
from alpr_edge.console.device import Parcel, Still
from alpr_edge.console.memory_unit import MemoryUnit
from alpr_edge.console.seat import Seat
from alpr_edge.console.secrets_of import totp_code
from alpr_edge.console.session import Session
from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.zone_set import ZonePolygon, ZoneSet

SMALL = ((0.3, 0.3), (0.5, 0.3), (0.5, 0.5), (0.3, 0.5))
LARGE = ((0.2, 0.2), (0.7, 0.2), (0.7, 0.7), (0.2, 0.7))
STILL = Still(b"jpeg" * 500, 64, 36, "2026-11-24T08:00:00Z", "d" * 64, True)


def zones(ring: tuple[tuple[float, float], ...]) -> Any:
    return json.loads(format_masks(ZoneSet((ZonePolygon("m", ring),))))


@dataclass
class Bench:
    """A channel end with a unit in memory and real accounts; asks without a line between."""

    clocks: SetClocks
    unit: MemoryUnit
    seat: Seat
    end: ChannelEnd
    logins: dict[str, Login]
    session: Session
    number: int = 0
    text: bytes = b""
    sent: list[bytes] = field(default_factory=list)

    def ask(self, command: Command, body: dict[str, Any], blob: bytes = b"") -> dict[str, Any]:
        self.number = (self.number + 1) & 0xFF
        wire = encode(pack(Packet(Op.READ, self.number, command, body, blob)))
        answer = self.exchange(wire)
        self.blob = answer.blob
        return answer.body

    def exchange(self, wire: bytes) -> Packet:
        self.sent.append(wire)
        out, rest = self.end.feed(wire)
        assert rest == b""
        (data,) = Decoder().feed(out)
        packet = unpack(data)
        assert packet is not None
        return packet

    def login(self, name: str, password: str = PASSWORD) -> dict[str, Any]:
        self.clocks.pass_s(31)
        code = totp_code(self.logins[name].totp, self.clocks.wall_s())
        return self.ask(Command.LOGIN, {"name": name, "password": password, "code": code})

    def call(self, what: str, **args: Any) -> Any:
        body = self.ask(Command.CALL, {"what": what, "args": args})
        return body.get("value", body)

    def code(self, body: dict[str, Any]) -> str:
        return str(body["error"]["code"])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    clocks = SetClocks()
    logins = users_of_all_roles(tmp_path / "users", clocks)
    unit = MemoryUnit(clocks, ring_of(logins))
    unit.picture = STILL
    accounts = Accounts(tmp_path / "users", clocks)
    seat = Seat(accounts, clocks)
    end = ChannelEnd(unit, seat, words=lambda line: [line + "w"])
    return Bench(clocks, unit, seat, end, logins, Session(unit, accounts, seat, channel=end))


def commit_first(bench: Bench) -> None:
    draft = bench.unit.draft(ZoneSet((ZonePolygon("m", SMALL),)), ["city"], "first")
    bench.unit.commit_record(sign(DocumentType.MASK_RECORD, draft, CITY), 10)


CALLS: dict[str, dict[str, Any]] = {
    **{name: {} for name in PLAIN},
    "masks": {},
    "record_zones": {"number": 1},
    "preview": {"zones": zones(LARGE)},
    "commit": {"zones": zones(LARGE), "reason": "r", "password": PASSWORD},
    "commit_order": {"order": "{}"},
    "confirm": {},
    "still": {"width": 640},
    "save_calibration": {"answers": [["camera", "c"]]},
    "complete": {"line": "sho"},
}
METHOD = {"commit": "commit_record", "commit_order": "commit_record", "confirm": "confirm_masks"}


def needed(call: str) -> Level:
    return NEEDS[METHOD.get(call, "status" if call == "complete" else call)]


@pytest.mark.parametrize("name", [None, "vera", "anna", "sam"])
def test_every_call_asks_for_its_role(bench: Bench, name: str | None) -> None:
    commit_first(bench)
    if name:
        assert bench.login(name)["level"] == {"vera": "viewer", "anna": "technician"}.get(
            name, "supervisor"
        )
    level = {"vera": 1, "anna": 2, "sam": 3, None: 0}[name]
    for call, args in CALLS.items():
        answer = bench.ask(Command.CALL, {"what": call, "args": args})
        refused = "error" in answer and bench.code(answer) in (
            "console.login.needed",
            "console.not_allowed",
        )
        assert refused == (level < needed(call)), (call, answer)
        if call == "complete" and not refused:
            assert answer["value"] == {"words": ["show"]}
    for command, body in (
        (Command.OPEN, {"what": "log"}),
        (Command.FINISH, {"what": "config", "sha256": "0" * 64}),
    ):
        answer = bench.ask(command, body)
        refused = bench.code(answer) in ("console.login.needed", "console.not_allowed")
        assert refused == (level < NEEDS["pull"])
    for command in (Command.READ, Command.CREATE, Command.WRITE):
        answer = bench.ask(command, {"id": 1, "at": 0, "length": 1, "size": 1, "sha256": "0" * 64})
        if level == 0:
            assert bench.code(answer) == "console.login.needed"


def test_no_way_in_without_password_and_code(bench: Bench) -> None:
    assert bench.code(bench.login("anna", "wrong password here")) == "console.login.refused"
    bench.clocks.pass_s(3600)
    body = {"name": "anna", "password": PASSWORD, "code": ""}
    assert bench.code(bench.ask(Command.LOGIN, body)) == "console.login.refused"
    assert bench.ask(Command.HELLO, {"nonce": "1"})["name"] is None
    bench.clocks.pass_s(3600)
    assert bench.login("anna")["name"] == "anna"
    assert bench.ask(Command.HELLO, {"nonce": "2"})["level"] == "technician"
    bench.ask(Command.LOGOUT, {})
    assert bench.code(bench.ask(Command.CALL, {"what": "status"})) == "console.login.needed"
    assert [outcome for _, outcome, _, _ in bench.unit.noted] == [
        *("refused", "refused", "granted", "ended"),
    ]


def test_what_comes_twice_is_done_once(bench: Bench) -> None:
    bench.login("anna")
    commit_first(bench)
    bench.call("commit", zones=zones(LARGE), reason="wider", password=PASSWORD)
    again = bench.exchange(bench.sent[-1])
    assert again.body["value"]["number"] == 2
    assert bench.unit.masks().number == 2
    assert len(bench.unit.records) == 2


def test_an_answer_is_repeated_only_to_the_one_who_got_it(bench: Bench) -> None:
    commit_first(bench)
    bench.login("anna")
    assert bench.call("masks")["number"] == 1
    asked = bench.sent[-1]
    assert bench.exchange(asked).body["value"]["number"] == 1
    bench.ask(Command.LOGOUT, {})
    assert bench.code(bench.exchange(asked).body) == "console.login.needed"
    bench.login("sam")
    bench.clocks.pass_s(3600)
    assert bench.code(bench.exchange(asked).body) == "console.login.needed"


def test_a_viewer_is_no_second_person_and_guessing_is_noted(bench: Bench) -> None:
    commit_first(bench)
    bench.login("anna")
    bench.clocks.pass_s(31)
    narrow = {"zones": zones(SMALL), "reason": "r", "password": PASSWORD}
    code = totp_code(bench.logins["vera"].totp, bench.clocks.wall_s())
    viewer = {"name": "vera", "password": PASSWORD, "code": code}
    assert bench.code(bench.call("commit", **narrow, second=viewer)) == "console.not_allowed"
    wrong = {"name": "sam", "password": "no such password", "code": "000000"}
    assert bench.code(bench.call("commit", **narrow, second=wrong)) == "console.login.refused"
    assert [(who, outcome) for who, outcome, _, _ in bench.unit.noted[-2:]] == [
        ("vera", "refused"),
        ("sam", "refused"),
    ]


def test_a_defect_costs_one_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.login("anna")
    with monkeypatch.context() as patch:
        patch.setattr(bench.unit, "status", lambda: 1 / 0)
        assert bench.code(bench.call("status")) == "console.defect"
    assert "error" not in bench.call("status")


def test_what_is_no_text_is_no_request() -> None:
    whole = pack(Packet(Op.READ, 1, Command.LOGIN, {"name": "anna"}))
    broken = pack(Packet(Op.READ, 1, Command.LOGIN, {"name": "\ud800"}))
    assert unpack(whole) is not None
    assert unpack(broken) is None


def test_masks_narrow_with_a_second_person_or_the_citys_order(bench: Bench) -> None:
    commit_first(bench)
    bench.login("anna")
    assert bench.call("preview", zones=zones(LARGE))["narrowings"] == []
    wide = bench.call("commit", zones=zones(LARGE), reason="wider", password=PASSWORD)
    assert (wide["authority"], wide["confirm_before"]) == ("one_person", None)
    narrow = {"zones": zones(SMALL), "reason": "narrower", "password": PASSWORD, "minutes": 5}
    alone = bench.call("commit", **narrow)
    assert bench.code(alone) == "authority.too_few"
    same = {"name": "anna", "password": PASSWORD}
    bench.clocks.pass_s(31)
    same["code"] = totp_code(bench.logins["anna"].totp, bench.clocks.wall_s())
    assert bench.code(bench.call("commit", **narrow, second=same)) == "console.second_person"
    second = {"name": "sam", "password": PASSWORD, "code": "000000"}
    assert bench.code(bench.call("commit", **narrow, second=second)) == "console.login.refused"
    bench.clocks.pass_s(3600)
    bench.login("anna")
    second["code"] = totp_code(bench.logins["sam"].totp, bench.clocks.wall_s())
    done = bench.call("commit", **narrow, second=second)
    assert done["authority"] == "two_people"
    assert done["confirm_before"] is not None
    assert bench.call("masks")["records"] == 2
    assert bench.call("confirm")["records"] == 1
    draft = bench.unit.draft(ZoneSet(nothing_protected=True), ["city"], "gone")
    order = sign(DocumentType.MASK_RECORD, draft, CITY).decode()
    assert bench.call("commit_order", order=order)["authority"] == "city"


def test_a_picture_comes_in_pieces_and_plates_take_a_supervisor_with_a_reason(
    bench: Bench,
) -> None:
    bench.login("anna")
    about = bench.call("still", width=640)
    parcel = about["parcel"]
    data = b""
    while len(data) < parcel["size"]:
        bench.ask(Command.READ, {"id": parcel["id"], "at": len(data), "length": 700})
        data += bench.blob
    assert data == STILL.jpeg
    assert hashlib.sha256(data).hexdigest() == parcel["sha256"]
    clear = {"width": 640, "clear": True, "reason": "court"}
    assert bench.code(bench.call("still", **clear)) == "console.not_allowed"
    bench.login("sam")
    gone = bench.ask(Command.READ, {"id": parcel["id"], "at": 0, "length": 10})
    assert bench.code(gone) == "console.channel.parcel"
    assert bench.code(bench.call("still", width=640, clear=True)) == "console.channel.request"
    assert "parcel" in bench.call("still", **clear)
    assert bench.unit.accesses == [("sam", "court")]


def test_a_file_goes_in_and_comes_out(bench: Bench) -> None:
    bench.login("anna")
    data = bytes(range(200)) * 20
    digest = hashlib.sha256(data).hexdigest()
    have = bench.ask(Command.CREATE, {"size": len(data), "sha256": digest})["have"]
    while have < len(data):
        have = bench.ask(Command.WRITE, {"at": have}, data[have : have + 900])["have"]
    done = bench.ask(Command.FINISH, {"what": "config", "sha256": digest, "signature": ""})
    assert done["value"] == {"bytes": len(data)}
    assert bench.unit.parcels[Parcel.CONFIG] == data
    assert bench.ask(Command.OPEN, {"what": "config"})["sha256"] == digest
    assert bench.ask(Command.LIST, {})["push"] == ["masks", "register", "config", "update"]


def test_a_ledger_that_grew_meanwhile_is_gone_on_with(bench: Bench) -> None:
    bench.login("anna")
    bench.unit.parcels[Parcel.LOG] = b"as it was" * 100
    asked = {"what": "log", "reason": "yearly audit"}
    offer = bench.ask(Command.OPEN, asked)
    assert bench.unit.moved == [(Parcel.LOG, "anna", "yearly audit")]
    bench.end.reset()
    bench.unit.parcels[Parcel.LOG] = b"with one entry more" * 100
    # Somebody else gets what is there now, and so does anna with the digest of something else.
    bench.login("sam")
    other = bench.ask(Command.OPEN, asked | {"sha256": offer["sha256"]})
    assert other["sha256"] != offer["sha256"]
    bench.end.reset()
    bench.unit.parcels[Parcel.LOG] = b"as it was" * 100
    bench.login("anna")
    offer = bench.ask(Command.OPEN, asked)
    bench.end.reset()
    bench.unit.parcels[Parcel.LOG] = b"with two entries more" * 100
    bench.login("anna")
    again = bench.ask(Command.OPEN, asked | {"sha256": offer["sha256"]})
    assert again["sha256"] == offer["sha256"]
    assert bench.ask(Command.READ, {"id": again["id"], "at": 0, "length": 9}) == {}
    assert bench.blob == b"as it was"
    # Whoever leaves in order leaves nothing behind.
    bench.ask(Command.BYE, {})
    bench.login("anna")
    new = bench.ask(Command.OPEN, asked | {"sha256": offer["sha256"]})
    assert new["sha256"] != offer["sha256"]


def test_large_arguments_and_answers_go_in_pieces(bench: Bench) -> None:
    commit_first(bench)
    bench.login("anna")
    many = {
        "masks": [
            {"name": f"mask {i}", "polygon": [[i / 99, 0], [(i + 1) / 99, 0], [i / 99, 0.9]]}
            for i in range(90)
        ]
    }
    text = json.dumps({"zones": many, "reason": "", "password": PASSWORD}).encode()
    assert len(text) > 4096
    digest = hashlib.sha256(text).hexdigest()
    have = bench.ask(Command.CREATE, {"size": len(text), "sha256": digest})["have"]
    while have < len(text):
        have = bench.ask(Command.WRITE, {"at": have}, text[have : have + 2000])["have"]
    body = bench.ask(Command.CALL, {"what": "preview", "parcel": digest})
    assert body["value"]["core_added_px"] > 0
    draft = bench.unit.draft(bench_zones(many), ["city"], "many")
    bench.unit.commit_record(sign(DocumentType.MASK_RECORD, draft, CITY), 10)
    offer = bench.ask(Command.CALL, {"what": "masks"})["answer"]
    data = b""
    while len(data) < offer["size"]:
        bench.ask(Command.READ, {"id": offer["id"], "at": len(data), "length": 2000})
        data += bench.blob
    assert len(json.loads(data)["zones"]["masks"]) >= 90


def bench_zones(values: Any) -> ZoneSet:
    from alpr_edge.config.mask_file import parse_masks

    return parse_masks(json.dumps(values), source="test")


def test_the_text_has_the_wire_before_and_after(bench: Bench) -> None:
    end = bench.end
    assert not end.busy
    # Ctrl-F begins nothing; what follows is the person's.
    assert end.starts(0x06)
    assert end.feed(b"\x06") == (b"", b"")
    assert end.busy
    assert end.feed(b"show status\r") == (b"", b"show status\r")
    assert not end.busy
    # Half a frame that stays half a frame gives the wire back.
    end.feed(b"\x06\x09QUJD")
    assert end.busy
    for _ in range(25):
        end.tick()
    assert not end.busy
    # With a sound packet the wire is the channel's, noise and all, until BYE.
    bench.ask(Command.HELLO, {"nonce": "n"})
    assert end.feed(b"login: anna\r\n") == (b"", b"")
    bye = encode(pack(Packet(Op.WRITE, 9, Command.BYE)))
    out, rest = end.feed(bye + b"show")
    assert out
    assert rest == b"show"
    assert not end.busy
    # Or until nothing comes, or a person presses Enter three times.
    bench.ask(Command.HELLO, {"nonce": "m"})
    for _ in range(int(QUIET_S * 10) + 2):
        end.tick()
    assert not end.busy
    bench.ask(Command.HELLO, {"nonce": "o"})
    assert end.feed(b"\r\r\rshow") == (b"", b"show")
    assert not end.busy


def test_whoever_came_in_here_is_out_when_the_channel_ends(bench: Bench) -> None:
    bench.login("anna")
    bench.ask(Command.BYE, {})
    assert bench.seat.user is None
    bench.login("anna")
    for _ in range(int(QUIET_S * 10) + 2):
        bench.end.tick()
    assert bench.seat.user is None
    bench.login("anna")
    bench.end.reset()
    assert bench.seat.user is None
    # Who is logged in on the text can use the channel, and stays when it ends.
    bench.clocks.pass_s(31)
    bench.seat.enter("anna", PASSWORD, totp_code(bench.logins["anna"].totp, bench.clocks.wall_s()))
    assert bench.call("masks")["records"] == 0
    bench.ask(Command.BYE, {})
    assert bench.seat.user is not None


def test_a_program_on_its_own_does_not_keep_the_door_open(bench: Bench) -> None:
    bench.login("anna")
    for _ in range(6):
        bench.clocks.pass_s(60)
        bench.ask(Command.CALL, {"what": "status", "auto": True})
        bench.ask(Command.HELLO, {"nonce": "again"})
    assert bench.seat.user is None
    bench.login("anna")
    for _ in range(6):
        bench.clocks.pass_s(60)
        bench.ask(Command.CALL, {"what": "status"})
    assert bench.seat.user is not None


@settings(max_examples=100)
@given(
    command=st.sampled_from(Command),
    body=st.dictionaries(
        st.sampled_from(
            [
                *("nonce", "name", "password", "code", "what", "args", "parcel", "id", "at"),
                *("length", "size", "sha256", "signature", "auto"),
            ]
        ),
        st.none() | st.integers() | st.text(max_size=20) | st.booleans() | st.lists(st.integers())
        | st.sampled_from([*CALLS, "masks", "config"])
        | st.dictionaries(st.sampled_from(["zones", "width", "line", "second", "minutes"]),
                          st.none() | st.text(max_size=5) | st.integers()),
    ),
    blob=st.binary(max_size=50),
    level=st.sampled_from([None, "anna"]),
)  # fmt: skip
def test_any_request_gets_an_answer(
    command: Command, body: dict[str, Any], blob: bytes, level: str | None
) -> None:
    clocks = SetClocks()
    unit = MemoryUnit(clocks)

    class Nobody:
        def login(self, name: str, password: str, code: str) -> Any:
            raise AssertionError("let in by chance")

        sign = login

    seat = Seat(Refuses(), clocks)  # type: ignore[arg-type]
    if level:
        from alpr_edge.console.access import User

        seat.admit(User("anna", Level.SUPERVISOR))
    end = ChannelEnd(unit, seat)
    out, _ = end.feed(encode(pack(Packet(Op.READ, 1, command, body, blob))))
    (data,) = Decoder().feed(out)
    answer = unpack(data)
    assert answer is not None
    assert answer.command is command
    if level is None and command not in (Command.HELLO, Command.BYE, Command.LIST, Command.LOGOUT):
        assert "error" in answer.body


class Refuses:
    """A gatekeeper that lets nobody in."""

    def login(self, name: str, password: str, code: str) -> Any:
        from alpr_edge.errors import ConsoleError

        raise ConsoleError("no", code="console.login.refused")

    sign = login


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_any_bytes_are_survived_and_nobody_gets_in(pieces: list[bytes]) -> None:
    clocks = SetClocks()
    seat = Seat(Refuses(), clocks)  # type: ignore[arg-type]
    end = ChannelEnd(MemoryUnit(clocks), seat)
    for piece in pieces:
        end.feed(piece)
        end.tick()
    end.reset()
    assert not end.busy
    assert seat.user is None


def test_frames_through_the_whole_session(bench: Bench) -> None:
    """The session gives frames to the channel, and text to the editor, from one stream."""
    b"".join(bench.session.open())
    hello = encode(pack(Packet(Op.READ, 5, Command.HELLO, {"nonce": "x"})))
    out = b"".join(bench.session.feed(b"an" + hello))
    assert out.startswith(b"an")
    (data,) = Decoder().feed(out)
    answer = unpack(data)
    assert answer is not None
    assert answer.body["protocol"] == 1
