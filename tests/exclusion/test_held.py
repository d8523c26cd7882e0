"""Texts in one block: kept, given back, overwritten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alpr_edge.exclusion.held import LONGEST, HeldTexts


def test_what_is_wiped_is_gone_from_the_block() -> None:
    texts = HeldTexts(2)
    place = texts.put("CANARY7")
    assert place is not None
    assert texts.get(place) == "CANARY7"
    assert b"CANARY7" in bytes(texts.memory)
    texts.wipe(place)
    assert not any(texts.memory)


def test_a_full_block_and_a_long_text_are_refused() -> None:
    texts = HeldTexts(1)
    assert texts.put("X" * (LONGEST + 1)) is None
    assert texts.put("X" * LONGEST) is not None
    assert texts.put("A") is None
    texts.wipe(None)
    assert texts.places_left == 0


@given(st.text(max_size=LONGEST))
def test_any_text_can_be_put(text: str) -> None:
    texts = HeldTexts(1)
    place = texts.put(text)
    assert place is not None
    assert texts.get(place) == text.encode("ascii", "replace").decode()


class Block(RuleBasedStateMachine):
    """Against a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.texts = HeldTexts(4)
        self.model: dict[int, str] = {}

    @rule(text=st.text("ABC0", max_size=8))
    def put(self, text: str) -> None:
        place = self.texts.put(text)
        assert (place is None) == (len(self.model) == 4)
        if place is not None:
            assert place not in self.model
            self.model[place] = text

    @rule(data=st.data())
    def wipe(self, data: st.DataObject) -> None:
        if self.model:
            place = data.draw(st.sampled_from(sorted(self.model)))
            self.texts.wipe(place)
            del self.model[place]

    @invariant()
    def agrees(self) -> None:
        assert self.texts.places_left == 4 - len(self.model)
        assert all(self.texts.get(place) == text for place, text in self.model.items())
        if not self.model:
            assert not any(self.texts.memory)


TestBlock = Block.TestCase
