"""The bench's satellite receiver as the unit's own reader hears it, and how a still is judged."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hil_tests.bench.fetch_still import brightest_inside
from hil_tests.bench.receiver import Receiver, along, checked, sentences
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.capture.nmea import NmeaFixes
from alpr_edge.exclusion.local_plane import distance_m

ROUTE = {"points": [[-118.2441, 34.0486], [-118.2441, 34.0558]], "speed_mps": 25, "accuracy_m": 2.0}
NOW = datetime(2026, 11, 24, 12, 0, 0, 500_000, UTC)


def test_the_checksum_is_the_published_one() -> None:
    # Source of the value: the example of GGA in the NMEA 0183 chapter of the gpsd project's pages.
    line = checked("GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,")
    assert line.endswith(b"*47\r\n")


def test_the_units_reader_finds_the_route() -> None:
    reader, places = NmeaFixes(), []
    for step in range(4):
        now = NOW.replace(second=step)
        fixes = reader.feed(sentences(ROUTE, 25.0 * step, now), step * 10**9)
        assert len(fixes) == 1
        fix = fixes[0]
        assert fix.is_valid
        assert fix.accuracy_m == pytest.approx(2.0, abs=0.1)
        assert fix.speed_mps == pytest.approx(25, abs=0.1)
        assert fix.course_deg == pytest.approx(0, abs=0.1)
        assert fix.gnss_time == now
        places.append(fix.place)
    assert distance_m(places[0], places[1]) == pytest.approx(25, abs=0.5)
    assert distance_m(places[0], places[3]) == pytest.approx(75, abs=0.5)


def test_at_the_end_of_the_route_it_stands() -> None:
    (fix,) = NmeaFixes().feed(sentences(ROUTE, 10_000, NOW), 0)
    assert fix.speed_mps == 0
    assert fix.place == pytest.approx(ROUTE["points"][-1], abs=1e-5)


@given(st.floats(0, 2_000))
def test_it_is_always_on_the_route(metres: float) -> None:
    lon, lat, _, _ = along(ROUTE["points"], metres)
    (lon_a, lat_a), (_, lat_b) = ROUTE["points"]
    assert lon == pytest.approx(lon_a)
    assert lat_a <= lat <= lat_b


def test_a_closed_receiver_is_silent() -> None:
    said: list[bytes] = []
    receiver = Receiver(ROUTE, said.append, every_s=0.001)
    receiver.close()
    count = len(said)
    assert not receiver._thread.is_alive()
    assert len(said) == count


def test_a_bright_pixel_inside_a_mask_is_seen_and_one_at_its_edge_is_not() -> None:
    image = np.full((200, 400), 200, np.uint8)
    image[50:150, 100:300] = 3
    mask = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
    assert brightest_inside(image, [mask]) == 3
    image[100, 200] = 90
    assert brightest_inside(image, [mask]) == 90
    image[52, 200] = 255
    assert brightest_inside(image, [mask]) == 90
