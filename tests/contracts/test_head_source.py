"""Pan-tilt heads: one contract, for the fake and for ONVIF over real HTTP; and any bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.capture.onvif_ptz import OnvifHead, PtzLimits
from alpr_edge.capture.ptz import DEGREES, HeadSource, SetHead, answer
from alpr_edge.errors import CaptureError
from alpr_edge.simulator.ptz_head import HeadState, PtzHead
from alpr_edge.types import HeadPosition

LIMITS = PtzLimits(every_s=0.02, timeout_s=20.0, max_age_s=30.0, turns_deg_per_s=1.0)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@contextmanager
def fake() -> Iterator[tuple[HeadSource, Callable[[float, float], None], Callable[[], None]]]:
    head = SetHead()

    def turn(pan: float, tilt: float) -> None:
        head.pointing = HeadPosition(pan, tilt, 1.0)

    def lose() -> None:
        head.pointing = None

    yield head, turn, lose


@contextmanager
def onvif() -> Iterator[tuple[HeadSource, Callable[[float, float], None], Callable[[], None]]]:
    state = HeadState(space=DEGREES, username="anna", password="made-up <&> words")
    with ExitStack() as stack:
        server = stack.enter_context(PtzHead(state))
        credentials = ("anna", "made-up <&> words")
        head = OnvifHead(server.url, "main", credentials=credentials, limits=LIMITS)
        stack.enter_context(closing(head))

        def turn(pan: float, tilt: float) -> None:
            state.x, state.y = pan, tilt

        def lose() -> None:
            state.raw = b"<nonsense"

        yield head, turn, lose


@pytest.mark.parametrize("make", [fake, onvif])
def test_the_contract(make) -> None:
    with make() as (head, turn, lose):

        def points(pan: float, tilt: float) -> bool:
            found = head.position(time.monotonic_ns())
            return found is not None and (found.pan_deg, found.tilt_deg) == (pan, tilt)

        turn(30.0, -5.0)
        until(lambda: points(30.0, -5.0))
        found = head.position(time.monotonic_ns())
        assert found is not None
        assert found.error_deg >= 1.0
        turn(-90.0, 10.0)
        until(lambda: points(-90.0, 10.0))
        lose()
        until(lambda: head.position(time.monotonic_ns()) is None)
        head.close()
        head.close()


def head_on(server: PtzHead, **changes) -> OnvifHead:
    return OnvifHead(server.url, changes.pop("profile", "main"), limits=LIMITS, **changes)


@pytest.mark.parametrize(
    "state",
    [
        HeadState(move="MOVING"),
        HeadState(move="UNKNOWN"),
        HeadState(error="motor stuck"),
        HeadState(x=1.5),
        HeadState(space="http://made.up/space"),
        HeadState(raw=b""),
        HeadState(raw=b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
        HeadState(raw=b"x" * 70_000),
        HeadState(username="anna", password="another"),
    ],
)
def test_doubt_has_no_position(state: HeadState) -> None:
    with PtzHead(state) as server, closing(head_on(server)) as head:
        until(lambda: state.asked >= 3)
        assert head.position(time.monotonic_ns()) is None


def test_a_head_that_is_away_has_no_position(free_port: int) -> None:
    with closing(OnvifHead(f"http://127.0.0.1:{free_port}/ptz", "main", limits=LIMITS)) as head:
        until(lambda: head._failures >= 2)
        assert head.position(time.monotonic_ns()) is None


def test_an_answer_grows_old_and_its_error_with_it() -> None:
    state = HeadState(x=0.5)
    with PtzHead(state) as server, closing(head_on(server)) as head:
        until(lambda: head.position(time.monotonic_ns()) is not None)
        state.silent = True
        until(lambda: head._newest is not None and state.asked > 0)
        asked = state.asked
        until(lambda: state.asked > asked)
        now = time.monotonic_ns()
        first, later = head.position(now), head.position(now + 5_000_000_000)
        assert first is not None
        assert later is not None
        assert first.pan_deg == 90.0
        assert later.error_deg == pytest.approx(first.error_deg + 5.0)
        assert head.position(now + 60_000_000_000) is None
        assert head.position(now - 3_600_000_000_000) is None
        state.ended.set()


def test_ranges_that_are_not_degrees_and_a_zero_of_its_own() -> None:
    limits = PtzLimits(every_s=0.02, max_age_s=30.0, pan_range_deg=(0.0, 340.0), zero_deg=-20.0)
    with (
        PtzHead(HeadState(x=-1.0, y=-0.5, move=None)) as server,
        closing(OnvifHead(server.url, "main", limits=limits)) as head,
    ):
        until(lambda: head.position(time.monotonic_ns()) is not None)
        found = head.position(time.monotonic_ns())
        assert found is not None
        assert (found.pan_deg, found.tilt_deg) == (-20.0, -45.0)


@given(st.one_of(st.binary(max_size=400), st.text(max_size=200).map(str.encode)))
def test_any_bytes_give_no_position_and_no_other_error(data: bytes) -> None:
    with pytest.raises(CaptureError) as caught:
        answer(data, (-180.0, 180.0))
    assert caught.value.code == "capture.ptz.answer"
