"""Framing and packets: what is sent arrives, whatever the line does; noise is never a packet."""

from __future__ import annotations

import base64
import random

from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.console.channel.frames import MAX_LINE, MAX_PACKET, Decoder, encode, wire_size
from alpr_edge.console.channel.packets import GROUP, Command, Op, Packet, pack, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
PACKETS = st.builds(
    Packet,
    op=st.sampled_from(Op),
    number=st.integers(0, 255),
    command=st.sampled_from(Command),
    body=st.dictionaries(st.text(max_size=8), JSON, max_size=4),
    blob=st.binary(max_size=400),
)
RAW = st.binary(min_size=1, max_size=700)


@given(st.lists(RAW, max_size=4), st.integers(1, 50))
def test_packets_arrive_in_pieces_of_any_size(packets: list[bytes], step: int) -> None:
    wire = b"".join(map(encode, packets))
    decoder, found = Decoder(), []
    for at in range(0, len(wire), step):
        found += decoder.feed(wire[at : at + step])
    assert found == packets
    assert decoder.take_stray() == b""
    assert not decoder.mid_packet


@given(RAW)
def test_lines_are_short_plain_and_as_long_as_foretold(packet: bytes) -> None:
    wire = encode(packet)
    assert len(wire) == wire_size(len(packet))
    for line in wire.splitlines(keepends=True):
        assert len(line) <= MAX_LINE
        assert line[:2] in (b"\x06\x09", b"\x04\x14")
        base64.b64decode(line[2:-1], validate=True)


def test_the_largest_packet() -> None:
    packet = random.Random(1).randbytes(MAX_PACKET)
    assert list(Decoder().feed(encode(packet))) == [packet]


@given(st.lists(RAW, min_size=1, max_size=3), st.data())
def test_log_lines_between_lines_change_nothing(packets: list[bytes], data: st.DataObject) -> None:
    lines = b"".join(map(encode, packets)).splitlines(keepends=True)
    wire, stray = b"", b""
    for line in lines:
        log = data.draw(st.sampled_from([b"", b"[ 12.3] usb 1-1: reset\r\n", b"no end of line "]))
        stray += log
        wire += log + line
    decoder = Decoder()
    assert list(decoder.feed(wire)) == packets
    assert decoder.take_stray() == stray


@given(st.lists(RAW, min_size=2, max_size=4), st.data())
def test_one_hurt_byte_costs_at_most_its_own_packet(
    packets: list[bytes], data: st.DataObject
) -> None:
    encoded = [encode(p) for p in packets]
    which = data.draw(st.integers(0, len(encoded) - 2))
    at = data.draw(st.integers(0, len(encoded[which]) - 1))
    hurt = encoded[which]
    how = data.draw(st.sampled_from(["flip", "drop", "double"]))
    if how == "flip":
        bit = data.draw(st.integers(0, 7))
        hurt = hurt[:at] + bytes((hurt[at] ^ 1 << bit,)) + hurt[at + 1 :]
    elif how == "drop":
        hurt = hurt[:at] + hurt[at + 1 :]
    else:
        hurt = hurt[: at + 1] + hurt[at:]
    encoded[which] = hurt
    found = list(Decoder().feed(b"".join(encoded)))
    # Whatever is found was sent; one packet may be missing.
    assert [p for p in packets if p in found][-1] == packets[-1]
    assert all(p in packets for p in found)
    assert len(found) >= len(packets) - 1


@given(st.binary(max_size=2000))
def test_noise_is_no_packet_and_takes_no_memory(noise: bytes) -> None:
    decoder = Decoder()
    for packet in decoder.feed(noise):
        unpack(packet)
    assert len(decoder.take_stray()) <= len(noise)
    # Whatever came before, the next packet is found.
    assert list(decoder.feed(encode(b"after"))) == [b"after"]


@given(st.binary(max_size=300))
def test_noise_that_looks_like_frames(body: bytes) -> None:
    decoder = Decoder()
    text = base64.b64encode(body)
    for _ in decoder.feed(b"\x06\x09" + text + b"\n" + b"\x04\x14" + text + b"\n"):
        pass
    assert list(decoder.feed(encode(b"after"))) == [b"after"]


@given(PACKETS)
def test_packets_are_read_as_they_were_written(packet: Packet) -> None:
    assert unpack(pack(packet)) == packet


@given(st.binary(max_size=300))
def test_bytes_that_are_no_packet(data: bytes) -> None:
    found = unpack(data)
    assert found is None or unpack(pack(found)) == found


def test_json_that_two_readers_may_read_differently_is_refused() -> None:
    for text in (b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999}', b"[1]", b"[" * 900, b"\xff{}"):
        body = len(text).to_bytes(2, "big") + text
        head = bytes((8, 0)) + len(body).to_bytes(2, "big") + GROUP.to_bytes(2, "big")
        assert unpack(head + bytes((1, Command.CALL)) + body) is None
    good = b'{"a":1}'
    body = len(good).to_bytes(2, "big") + good
    head = bytes((8, 0)) + len(body).to_bytes(2, "big") + GROUP.to_bytes(2, "big")
    assert unpack(head + bytes((1, Command.CALL)) + body) is not None
