"""The grammar is a soft prior: it decides what pixels leave open, and forbids nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.vision.grammar import Choice, Grammar, ambiguous_places, free_text

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SLOTS = 10
REGIONS = ("br", "us-ca")


def slots_for(*texts: str, shares: tuple[float, ...] = (1.0,)) -> np.ndarray:
    """Log-probabilities in which each slot is split between the texts' characters."""
    p = np.full((SLOTS, 37), 1e-6, np.float32)
    for text, share in zip(texts, shares, strict=True):
        for i in range(SLOTS):
            code = ALPHABET.index(text[i]) if i < len(text) else 36
            p[i, code] += share
    return np.log(p / p.sum(1, keepdims=True)).astype(np.float32)


def grammar(**patterns: list[str]) -> Grammar:
    named = {k.replace("_", "-"): v for k, v in patterns.items()}
    return Grammar(named, regions=REGIONS, alphabet=ALPHABET, slots=SLOTS)


def text_of(choice: Choice) -> str:
    return "".join(ALPHABET[c] for c in choice.codes)


SURE_BR = np.array([0.99, 0.01], np.float32)


def test_a_pattern_decides_between_twins():
    slots = slots_for("AB01234", "ABO1234", shares=(0.55, 0.45))
    assert text_of(grammar().choose(slots, SURE_BR)) == "AB01234"
    assert text_of(grammar(br=["AAA9999"]).choose(slots, SURE_BR)) == "ABO1234"


def test_pixels_that_are_sure_win_against_a_pattern():
    slots = slots_for("AB01234", "ABO1234", shares=(0.999, 0.001))
    choice = grammar(br=["AAA9999"]).choose(slots, SURE_BR)
    assert text_of(choice) == "AB01234"
    assert choice.pattern is None


def test_a_pattern_of_a_region_that_it_is_not_counts_little():
    slots = slots_for("AB01234", "ABO1234", shares=(0.55, 0.45))
    sure_ca = np.array([0.001, 0.999], np.float32)
    assert text_of(grammar(br=["AAA9999"]).choose(slots, sure_ca)) == "AB01234"


def test_vanity_plates_stay():
    slots = slots_for("I0U")
    assert text_of(grammar(us_ca=["9AAA999"]).choose(slots, SURE_BR)) == "I0U"


def test_ambiguous_places_are_those_that_nothing_decided():
    free = Choice(tuple(ALPHABET.index(c) for c in "B0I8"), None)
    assert ambiguous_places(free, ALPHABET) == (1, 2)
    assert ambiguous_places(Choice(free.codes, "A9A9"), ALPHABET) == ()


@pytest.mark.parametrize("pattern", ["", "A" * 11, "A-9", "a9"])
def test_a_wrong_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="a pattern has"):
        grammar(br=[pattern])


def test_what_looks_empty_is_not_made_a_plate_by_a_pattern():
    slots = np.full((SLOTS, 37), -5.0, np.float32)
    slots[:, -1] = 0.0
    assert grammar(br=["AAA9999", "9"]).choose(slots, SURE_BR) == Choice((), None)


def test_regions_that_the_model_does_not_know_are_left_out():
    only = grammar(xx=["AAA9999"])
    slots = slots_for("AB01234", "ABO1234", shares=(0.55, 0.45))
    assert text_of(only.choose(slots, SURE_BR)) == "AB01234"


@given(
    st.lists(st.floats(-30, 0, width=32), min_size=370, max_size=370),
    st.lists(st.text("A9", min_size=1, max_size=10), max_size=6),
    st.floats(0, 1),
)
def test_the_choice_is_never_less_likely_than_the_prior_allows(numbers, patterns, share):
    """What is chosen scores at least as the free text does, the bonus counted in."""
    slots = np.array(numbers, np.float32).reshape(SLOTS, 37)
    regions = np.array([share, 1 - share], np.float32)
    choice = grammar(br=patterns).choose(slots, regions)
    free = free_text(slots)

    def score(codes):
        total = float(slots[np.arange(len(codes)), list(codes)].sum()) if codes else 0.0
        return total + (float(slots[len(codes), -1]) if len(codes) < SLOTS else 0.0)

    if choice.pattern is None:
        assert choice.codes == free
    else:
        assert choice.pattern in patterns
        assert score(choice.codes) + 1.2 >= score(free) - 1e-3
        for code, sign in zip(choice.codes, choice.pattern, strict=True):
            assert ALPHABET[code].isalpha() == (sign == "A")
