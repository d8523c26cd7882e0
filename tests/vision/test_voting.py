"""Votes: what frames agree on wins, sharpness counts, and two plates never become a third."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alpr_edge.types import Read, Region
from alpr_edge.vision.voting import alike, is_torn, vote

TEXT = st.text("ABC123", min_size=1, max_size=8)
PLATE = st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=5, max_size=8)


def read(text: str, sure: float | list[float] = 0.9, region: str = "us-ca") -> Read:
    characters = tuple(sure) if isinstance(sure, list) else (sure,) * len(text)
    return Read(text, math.prod(characters), characters, Region(region, 0.8))


def test_one_read_is_what_it_was():
    one = read("7ABC123", [0.9, 0.8, 0.7, 0.99, 0.5, 0.6, 0.95])
    voted, agreeing = vote([(one, 3.0)])
    assert agreeing == 1
    assert voted.plate == one.plate
    assert voted.confidence == pytest.approx(one.confidence)
    assert voted.char_confidences == pytest.approx(one.char_confidences)


def test_a_place_stays_ambiguous_only_if_no_agreeing_frame_decided_it():
    open_ones = replace(read("7ABC120"), ambiguous=(6,))
    assert vote([(open_ones, 1.0)] * 3)[0].ambiguous == (6,)
    assert vote([(open_ones, 1.0)] * 3 + [(read("7ABC120", 0.8), 1.0)])[0].ambiguous == ()
    # A frame that read another character there decided nothing about this one.
    other = read("7ABC12O", 0.5)
    assert vote([(open_ones, 1.0)] * 3 + [(other, 1.0)])[0].ambiguous == (6,)


def test_agreement_makes_surer_and_contradiction_less_sure():
    alone, _ = vote([(read("7ABC123"), 1.0)])
    agreed, _ = vote([(read("7ABC123"), 1.0)] * 4)
    disputed, _ = vote([(read("7ABC123"), 1.0)] * 3 + [(read("7A8C123"), 1.0)])
    assert agreed.confidence > alone.confidence
    assert disputed.plate == "7ABC123"
    assert disputed.char_confidences[2] < agreed.char_confidences[2]
    assert disputed.confidence < agreed.confidence


def test_a_character_is_composed_where_no_frame_read_the_whole():
    frames = [read("1ABC123"), read("7A8C123"), read("7ABC128")]
    voted, agreeing = vote([(f, 1.0) for f in frames])
    assert voted.plate == "7ABC123"
    assert agreeing == 0


def test_the_sharper_frame_counts_more():
    blurred, sharp = read("7A8C123", 0.8), read("7ABC123", 0.8)
    assert vote([(blurred, 1.0), (sharp, 6.0)])[0].plate == "7ABC123"
    assert vote([(blurred, 6.0), (sharp, 1.0)])[0].plate == "7A8C123"


def test_the_surer_character_counts_more():
    unsure = read("7A8C123", [0.9, 0.9, 0.4, 0.9, 0.9, 0.9, 0.9])
    assert vote([(unsure, 1.0), (read("7ABC123"), 1.0)])[0].plate == "7ABC123"
    assert vote([(unsure, 1.0)] * 2 + [(read("7ABC123"), 1.0)])[0].plate == "7ABC123"


@given(
    PLATE,
    PLATE,
    st.lists(st.tuples(st.booleans(), st.floats(0.3, 0.999), st.floats(0, 8)), min_size=1),
)
def test_two_plates_in_one_track_never_give_a_third(one, other, frames):
    """Whatever the mix of frames, sharpness and confidence: the outcome is one of the two."""
    voted, _ = vote([(read(one if first else other, sure), w) for first, sure, w in frames])
    assert voted.plate in {one, other}


@given(
    PLATE,
    st.integers(0, 6),
    st.integers(0, 6),
    st.lists(st.tuples(st.booleans(), st.floats(0.3, 0.999), st.floats(0, 8)), min_size=1),
)
def test_nor_do_two_plates_of_one_fleet(base, i, j, frames):
    """Consecutive numbers: 7ABC129 and 7ABC130 differ in two places, and 7ABC139 is nobody's."""
    i, j = i % len(base), j % len(base)
    assume(i != j)
    other = "".join(("1" if c == "0" else "0") if n in (i, j) else c for n, c in enumerate(base))
    voted, _ = vote([(read(base if first else other, sure), w) for first, sure, w in frames])
    assert voted.plate in {base, other}


def test_a_track_of_two_vehicles_is_torn():
    reads = [(read("7ABC123", 0.97), 1.0)] * 5 + [(read("4XYZ987", 0.95), 1.0)] * 2
    assert is_torn(reads, "7ABC123")
    assert not is_torn(reads[:6], "7ABC123")
    assert not is_torn([(read("7ABC123", 0.97), 1.0), (read("QQQQQQ", 0.5), 1.0)] * 4, "7ABC123")


@given(st.lists(st.tuples(TEXT, st.floats(0, 1), st.floats(0, 1e6)), min_size=1))
def test_any_reads_give_bounded_confidences_and_what_was_read(frames):
    voted, agreeing = vote([(read(text, sure), weight) for text, sure, weight in frames])
    assert 0 <= agreeing <= len(frames)
    assert len(voted.char_confidences) == len(voted.plate)
    assert all(0 <= c <= 1 for c in (*voted.char_confidences, voted.confidence))
    same_length = [t for t, _, _ in frames if len(t) == len(voted.plate)]
    for slot, character in enumerate(voted.plate):
        assert character in {t[slot] for t in same_length}


@given(st.lists(st.tuples(TEXT, st.floats(0.3, 0.99), st.floats(0.1, 9)), min_size=1), st.randoms())
def test_the_order_of_the_frames_does_not_matter(frames, random):
    reads = [(read(text, sure), weight) for text, sure, weight in frames]
    shuffled = list(reads)
    random.shuffle(shuffled)
    (one, n), (other, m) = vote(reads), vote(shuffled)
    assert (one.plate, n) == (other.plate, m)
    assert one.confidence == pytest.approx(other.confidence, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("7ABC123", "7ABC123", True),
        ("7ABC123", "7A8C12B", True),
        ("7ABC123", "ABC123", True),
        ("7ABC123", "ABC1230", True),
        ("7ABC123", "4XYZ987", False),
        ("AB1", "AB2", True),
        ("AB1", "CD1", False),
        ("", "", True),
    ],
)
def test_alike(a, b, expected):
    assert alike(a, b) is expected
    assert alike(b, a) is expected
