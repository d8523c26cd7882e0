"""Our bytes for the properties of a PUBLISH are those that paho writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from alpr_edge.delivery.mqtt_properties import publish_properties

TEXT = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xD7FF, exclude_characters="\x7f"), max_size=200
)


@given(
    TEXT,
    st.none() | st.integers(1, 2**32 - 1),
    st.lists(st.tuples(TEXT, TEXT), max_size=8),
    st.integers(0, 65_535),
)
def test_the_bytes_are_those_of_paho(
    content_type: str, expires_in_s: int | None, user: list[tuple[str, str]], alias: int
) -> None:
    theirs = Properties(PacketTypes.PUBLISH)
    if content_type:
        theirs.ContentType = content_type
    if expires_in_s is not None:
        theirs.MessageExpiryInterval = expires_in_s
    if alias:
        theirs.TopicAlias = alias
    if user:
        theirs.UserProperty = user
    ours = publish_properties(content_type, expires_in_s, user, alias).pack()
    read = Properties(PacketTypes.PUBLISH)
    _, length = read.unpack(ours)
    assert length == len(ours)
    assert read.json() == theirs.json()
    assert len(ours) == len(theirs.pack())


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="65,535"):
        publish_properties("x" * 65_536, None)
