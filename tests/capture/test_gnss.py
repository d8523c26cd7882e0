"""Receivers: NMEA 0183 and gpsd, by bytes, over a real pty and a real socket."""

from __future__ import annotations

import json
import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alpr_edge.capture.gnss import GnssSource, ScriptedGnss
from alpr_edge.capture.gnss_serial import serial_gnss
from alpr_edge.capture.gpsd import gpsd_gnss
from alpr_edge.capture.gpsd_json import GpsdFixes
from alpr_edge.capture.nmea import KNOT_MPS, UERE_M, NmeaFixes
from alpr_edge.types import GnssFix


def sentence(body: str) -> bytes:
    total = 0
    for char in body.encode():
        total ^= char
    return f"${body}*{total:02X}\r\n".encode()


def epoch(
    at: str = "123519.00",
    *,
    status: str = "A",
    quality: int = 1,
    gst: bool = True,
    hdop: str = "0.9",
) -> bytes:
    parts = [sentence(f"GNGST,{at},1.0,1.0,1.0,0.0,0.6,0.8,2.0")] if gst else []
    parts += [
        sentence(f"GNGGA,{at},4807.0380,S,01131.0000,W,{quality},09,{hdop},545.4,M,46.9,M,,"),
        sentence(f"GNRMC,{at},{status},4807.0380,S,01131.0000,W,022.4,084.4,241126,,,A"),
    ]
    return b"".join(parts)


def test_an_epoch_gives_one_fix() -> None:
    heading = sentence("GNHDT,274.07,T")
    fixes = NmeaFixes().feed(heading + epoch(), 7)
    assert len(fixes) == 1
    fix = fixes[0]
    assert fix.place == pytest.approx((-11.516667, -48.1173), abs=1e-5)
    assert fix.is_valid
    assert fix.taken_ns == 7
    assert fix.accuracy_m == pytest.approx(2.0)
    assert fix.satellites == 9
    assert fix.speed_mps == pytest.approx(22.4 * KNOT_MPS)
    assert (fix.course_deg, fix.heading_deg) == (84.4, 274.07)
    assert fix.gnss_time == datetime(2026, 11, 24, 12, 35, 19, tzinfo=UTC)


def test_without_gst_the_dilution_counts_and_without_that_nothing() -> None:
    assert NmeaFixes().feed(epoch(gst=False), 0)[0].accuracy_m == pytest.approx(1.8 * UERE_M)
    assert NmeaFixes().feed(epoch(gst=False, hdop=""), 0)[0].accuracy_m == inf


@pytest.mark.parametrize("change", [{"status": "V"}, {"quality": 0}, {"quality": 8}])
def test_what_the_receiver_does_not_believe_is_no_fix(change: dict[str, object]) -> None:
    fix = NmeaFixes().feed(epoch(**change), 0)[-1]  # type: ignore[arg-type]
    assert not fix.is_valid
    assert fix.accuracy_m == inf


def test_a_receiver_without_a_time_says_so_at_once() -> None:
    nothing = sentence("GPGGA,,,,,,0,,,,,,,,")
    assert [f.is_valid for f in NmeaFixes().feed(nothing, 0)] == [False]


def test_wrong_checksums_and_mixed_epochs_give_nothing() -> None:
    damaged = epoch().replace(b"4807", b"4907")
    assert NmeaFixes().feed(damaged, 0) == []
    gga, rmc = epoch("123519.00", gst=False).splitlines(keepends=True)[0], epoch("123520.00")
    assert NmeaFixes().feed(gga + rmc.splitlines(keepends=True)[2], 0) == []


@given(st.lists(st.integers(0, 400), max_size=12))
def test_bytes_may_come_in_any_pieces(cuts: list[int]) -> None:
    data = epoch() + epoch("123520.00")
    whole = NmeaFixes().feed(data, 0)
    reader, found, places = (
        NmeaFixes(),
        [],
        [0, *sorted(min(c, len(data)) for c in cuts), len(data)],
    )
    for start, end in pairwise(places):
        found += reader.feed(data[start:end], 0)
    assert found == whole
    assert len(whole) == 2


fields = st.text("0123456789.,-ANSEWVMT", max_size=60)
kinds = st.sampled_from(["GPGGA", "GNRMC", "GPGST", "GPHDT", "GPTHS", "PUBX", "GPGSV", "XX", ""])


@example([("GPTHS", "")])
@given(st.lists(st.tuples(kinds, fields) | st.binary(max_size=60), max_size=8))
def test_any_bytes_are_survived(parts: list[tuple[str, str] | bytes]) -> None:
    reader = NmeaFixes()
    for part in parts:
        data = part if isinstance(part, bytes) else sentence(f"{part[0]},{part[1]}")
        for fix in reader.feed(data, 0):
            assert not fix.is_valid or abs(fix.place[1]) <= 90.0
    assert reader.feed(b"\r\n" + epoch(), 1)[-1].is_valid


def tpv(**changes: object) -> bytes:
    report = {"class": "TPV", "mode": 3, "lon": 11.5, "lat": 48.1, "eph": 3.5, "speed": 4.0,
              "track": 90.0, "time": "2026-11-24T12:35:19.000Z", **changes}  # fmt: skip
    return json.dumps(report).encode() + b"\n"


def test_gpsd_reports() -> None:
    reader = GpsdFixes()
    sky = {"class": "SKY", "satellites": [{"used": True}, {"used": True}, {"used": False}]}
    (fix,) = reader.feed(json.dumps(sky).encode() + b"\n" + tpv(), 5)
    assert fix.place == (11.5, 48.1)
    assert (fix.accuracy_m, fix.satellites, fix.speed_mps) == (3.5, 2, 4.0)
    assert fix.gnss_time == datetime(2026, 11, 24, 12, 35, 19, tzinfo=UTC)
    assert not reader.feed(tpv(mode=1), 0)[0].is_valid
    assert not reader.feed(tpv(status=8), 0)[0].is_valid
    assert reader.feed(tpv(eph=None), 0)[0].accuracy_m == inf
    assert reader.feed(tpv(eph=None, epx=3.0, epy=4.0), 0)[0].accuracy_m == 5.0


@given(st.dictionaries(
    st.sampled_from(["class", "mode", "lon", "lat", "eph", "time", "uSat", "satellites"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2),
), st.binary(max_size=40))  # fmt: skip
def test_any_report_is_survived(changes: dict[str, object], noise: bytes) -> None:
    reader = GpsdFixes()
    for data in (tpv(**changes), json.dumps({"class": "SKY", **changes}).encode() + b"\n", noise):
        reader.feed(data, 0)
    assert reader.feed(b"\n" + tpv(), 0)[-1].is_valid


# --- the port, on the shipped fake and on the real edges ---------------------------------------


@contextmanager
def over_a_pty() -> Iterator[tuple[GnssSource, Callable[[bytes], object]]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    source = serial_gnss(os.ttyname(slave), 115_200)
    try:
        yield source, lambda data: os.write(master, data)
    finally:
        source.close()
        os.close(master)
        os.close(slave)


@contextmanager
def over_gpsd() -> Iterator[tuple[GnssSource, Callable[[bytes], object]]]:
    """A server that speaks gpsd's protocol; drops every client after its first bytes once."""
    server = socket.create_server(("127.0.0.1", 0))
    clients: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            client.recv(100)
            client.sendall(b'{"class":"VERSION","proto_major":3}\n')
            clients.append(client)

    threading.Thread(target=serve, daemon=True).start()
    source = gpsd_gnss(*server.getsockname())

    def send(data: bytes) -> None:
        for client in list(clients):
            try:
                client.sendall(data)
            except OSError:
                clients.remove(client)

    try:
        yield source, send
    finally:
        server.close()
        for client in clients:
            client.close()
        source.close()


def wait_for(source: GnssSource, send: Callable[[bytes], object], data: bytes) -> GnssFix:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        send(data)
        fix = source.newest()
        if fix is not None:
            return fix
        time.sleep(0.05)
    raise AssertionError("no fix came")


def test_a_serial_receiver() -> None:
    with over_a_pty() as (source, send):
        assert source.newest() is None
        assert wait_for(source, send, epoch()).is_valid


def test_a_receiver_by_gpsd() -> None:
    with over_gpsd() as (source, send):
        assert wait_for(source, send, tpv()).is_valid


def test_a_receiver_that_is_not_there_gives_no_fix_and_closes() -> None:
    source = serial_gnss("/dev/no-such-receiver")
    time.sleep(0.1)
    assert source.newest() is None
    source.close()
    source.close()


def test_the_shipped_fake() -> None:
    fixes = NmeaFixes().feed(epoch() + epoch("123520.00"), 0)
    source: GnssSource = ScriptedGnss(fixes)
    assert source.newest() is None
    assert isinstance(source, ScriptedGnss)
    assert source.step()
    assert source.newest() is fixes[0]
    assert source.step()
    assert not source.step()
    assert source.newest() is fixes[1]
    source.close()
