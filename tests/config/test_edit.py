from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.config.edit import set_key
from alpr_edge.errors import ConfigError

TEXT = """\
# a camera
[device]
id = "unit-1"   # host = "no"
[mqtt]  # where reads go
  host = "old"
session_s = 10
[mqtt.tls]
ca = "host = 1"
"""


def test_one_line_changes_and_comments_stay() -> None:
    assert set_key(TEXT, "mqtt", "host", "new.example") == TEXT.replace('"old"', '"new.example"')
    added = set_key(TEXT, "mqtt", "port", 8883)
    assert tomllib.loads(added)["mqtt"]["port"] == 8883
    assert "# a camera" in added
    assert tomllib.loads(set_key("[mqtt]", "mqtt", "host", "x")) == {"mqtt": {"host": "x"}}


@pytest.mark.parametrize(
    ("line", "now"),
    [
        ('host = "a" # the city\'s own\r\n', 'host = "b" # the city\'s own\r\n'),
        ("\thost='a'\t#x", '\thost="b"\t#x'),
        ('host = "a#\\"b" # "c" # d\n', 'host = "b" # "c" # d\n'),
        ("host = 1883 # port\n", 'host = "b" # port\n'),
        ('host = "a"\r\n', 'host = "b"\r\n'),
    ],
)
def test_indentation_comment_and_line_ending_stay(line: str, now: str) -> None:
    assert set_key(f"[mqtt]\r\n{line}", "mqtt", "host", "b") == f"[mqtt]\r\n{now}"
    assert set_key("[mqtt]\r\n", "mqtt", "host", "b") == '[mqtt]\r\nhost = "b"\r\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        'mqtt.host = "a"',
        'mqtt = { host = "a" }',
        "[mqtt]\n[mqtt]\n",
        '[mqtt]\nx = """\nhost = 1\n"""\n',
        "[mqtt\n",
        'x = """\n[mqtt]\n"""\n',
        '[mqtt]\nhost = """\nlong"""\n',
    ],
)
def test_what_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        set_key(text, "mqtt", "host", "b")
    assert caught.value.code == "config.edit"


@given(st.text(max_size=200), st.text(max_size=20), st.text(max_size=30))
def test_any_text_changes_in_that_key_alone_or_not_at_all(
    before: str, extra: str, value: str
) -> None:
    text = f"{before}\n[mqtt]\nhost = 'x'\n{extra}"
    try:
        changed = set_key(text, "mqtt", "host", value)
    except ConfigError:
        return
    wanted = tomllib.loads(text)
    wanted["mqtt"]["host"] = value
    assert tomllib.loads(changed) == wanted
