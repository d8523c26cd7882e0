"""Masks of other systems: in and out without losing a pixel, and nothing odd gets in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from alpr_edge.config.mask_file import format_masks, parse_masks
from alpr_edge.config.polygon import shape_problems
from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.mask_formats import read_format, write_format
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.zone_set import Ring, ZonePolygon, ZoneSet

FRAME = (64, 36)
formats = st.sampled_from(["onvif", "frigate"])
rings = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=6, unique=True
).map(tuple)


def zones(*found: Ring, margin: float = 0.0) -> ZoneSet:
    return ZoneSet(tuple(ZonePolygon(str(i), r) for i, r in enumerate(found)), margin=margin)


def core(one: ZoneSet) -> np.ndarray:  # type: ignore[type-arg]
    return rasterise(one, size_px=FRAME, digest="").core > 0


@given(formats, st.lists(rings, min_size=1, max_size=3), st.sampled_from([0.0, 0.01, 0.05]))
def test_out_and_in_again_loses_no_pixel(name: str, found: list[Ring], margin: float) -> None:
    found = [ring for ring in found if not shape_problems(ring)]
    assume(found)
    before = zones(*found, margin=margin)
    try:
        data = write_format(name, before, FRAME)
    except ConfigError:
        event("refused")  # slivers that no rounding survives are refused, never shrunk
        return
    event("written")
    after = read_format(name, data, FRAME)
    assert not (core(before) & ~core(after)).any()
    assert parse_masks(format_masks(after), source="x") == after


def test_out_and_in_again_adds_little() -> None:
    square = zones(((0.2, 0.2), (0.6, 0.2), (0.6, 0.7), (0.2, 0.7)))
    for name in ("onvif", "frigate"):
        after = read_format(name, write_format(name, square, FRAME), FRAME)
        assert np.count_nonzero(core(after)) - np.count_nonzero(core(square)) <= 64


def test_onvif_is_upside_down_about_the_middle() -> None:
    text = b"""<tr2:Mask xmlns:tt="x"><tt:Polygon>
        <tt:Point x="-1" y="1"/><tt:Point y="1" x="0"/><tt:Point x='0' y='0'></tt:Point>
        </tt:Polygon></tr2:Mask>"""
    found = read_format("onvif", text, FRAME)
    assert found.masks[0].polygon == ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5))


def test_frigate_takes_parts_and_pixels() -> None:
    parts = read_format("frigate", b"mask:\n  - 0.5,0.5,1,0.5,1,1\n  - 0,0,0.2,0,0.2,0.2\n", FRAME)
    assert parts.masks[0].polygon == ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0))
    assert len(parts.masks) == 2
    pixels = read_format("frigate", b"32,18,64,18,64,36", FRAME)
    assert pixels.masks[0].polygon == parts.masks[0].polygon


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("onvif", b""),
        ("onvif", b"<Polygon></Polygon>"),
        ("onvif", b'<!DOCTYPE a><Polygon><Point x="0" y="0"/></Polygon>'),
        ("onvif", b'<Polygon><Point x="0"/></Polygon>'),
        ("onvif", b"<Polygon>" + b'<Point x="3" y="0"/>' * 3 + b"</Polygon>"),
        ("onvif", b"<Polygon>" + b'<Point x="0" y="0"/>' * 300 + b"</Polygon>"),
        ("frigate", b"0.1,0.2,0.3"),
        ("frigate", b"0.1,0.1,0.2,0.2,0.3,0.3"),
        ("frigate", b"0,0,1,1,1,0,0,1"),
        ("frigate", b"\xff"),
        ("frigate", b"none"),
    ],
)
def test_what_cannot_be_used_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        read_format(name, data, FRAME)
    assert caught.value.code == "config.masks.foreign"


@given(formats, st.text(alphabet='<>Polygnt:xy="0123456789.,-e /', max_size=200))
def test_random_text_is_refused_or_sound(name: str, text: str) -> None:
    try:
        found = read_format(name, text.encode(), FRAME)
    except ConfigError:
        return
    assert parse_masks(format_masks(found), source="x") == found


def test_nothing_is_not_written() -> None:
    with pytest.raises(ConfigError):
        write_format("onvif", ZoneSet(nothing_protected=True), FRAME)
    whole = read_format("onvif", write_format("onvif", ZoneSet(whole_frame=True), FRAME), FRAME)
    assert core(whole).all()
