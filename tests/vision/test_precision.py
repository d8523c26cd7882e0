"""A wanted precision becomes a threshold by the model's own measurements, where it has any."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.errors import InferenceError
from alpr_edge.vision.precision import min_confidence_for

TABLE = {"thresholds": json.dumps({"0.95": 0.61, "0.97": 0.78, "0.99": 0.93})}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (0.5, 0.61),
        (0.95, 0.61),
        (0.96, 0.78),
        (0.97, 0.78),
        (0.99, 0.93),
        (0.995, 0.995),
        (0.999, 0.999),
    ],
)
def test_the_next_measured_precision_decides(wanted, expected):
    assert min_confidence_for(wanted, TABLE) == expected


def test_a_model_without_measurements_is_taken_at_its_word():
    assert min_confidence_for(0.97, {}) == 0.97
    assert min_confidence_for(0.97, {"thresholds": "{}"}) == 0.97


def test_beyond_the_table_nothing_gets_easier():
    assert min_confidence_for(0.99, {"thresholds": '{"0.95": 0.995}'}) == 0.995


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "7", '{"a": 1}', '{"0.9": null}', '{"0.9": 2}', '{"0.9": NaN}', '{"1.2": 0.5}'),
        *('{"0.9": 0.8, "0.95": 0.7}', "[" * 9_000),
        json.dumps({f"0.{n}": 0.5 for n in range(200)}),
    ],
)
def test_a_broken_table_is_said(text):
    with pytest.raises(InferenceError) as caught:
        min_confidence_for(0.9, {"thresholds": text})
    assert caught.value.code == "vision.model.thresholds"
    assert caught.value.hint


@given(st.text(max_size=60))
def test_any_table_gives_a_share_or_a_clear_error(text):
    about = {"thresholds": text}
    try:
        threshold = min_confidence_for(0.9, about)
    except InferenceError:
        with pytest.raises(InferenceError, match="thresholds"):
            min_confidence_for(0.99, about)
    else:
        assert 0 <= threshold <= 1


@given(
    st.dictionaries(st.integers(50, 99), st.integers(0, 99), max_size=8),
    st.floats(0.5, 0.999),
    st.floats(0.5, 0.999),
)
def test_wanting_more_never_lowers_the_threshold(rows, one, other):
    thresholds = sorted(rows.values())
    table = {f"0.{p}": t / 100 for p, t in zip(sorted(rows), thresholds, strict=True)}
    about = {"thresholds": json.dumps(table)}
    low, high = sorted((one, other))
    assert min_confidence_for(low, about) <= min_confidence_for(high, about)
