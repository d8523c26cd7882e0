"""Signs that someone is at the unit, on real files, a real pipe and real sockets."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.ledger.case_switch import FileSwitch
from alpr_edge.ledger.kinds import Body, StorageFault, Trigger
from alpr_edge.ledger.listeners import listening, outside
from alpr_edge.ledger.sentry import HASH_AGAIN_S, Sentry, Watched
from alpr_edge.ledger.settings import changed_settings


class Post:
    """A sentry, what it told, and its clock."""

    def __init__(self) -> None:
        self.told: list[Body] = []
        self.now_s = 0.0
        self.sentry: Sentry | None = None

    def stand(self, watched: Watched) -> Post:
        self.sentry = Sentry(watched, self.told.append, lambda: self.now_s)
        return self

    def look(self) -> list[Body]:
        assert self.sentry is not None
        before = len(self.told)
        self.sentry.look()
        return self.told[before:]


@pytest.fixture
def post() -> Iterator[Post]:
    one = Post()
    yield one
    if one.sentry is not None:
        one.sentry.close()


def test_a_gpio_value_that_changes_opens_the_case(post: Post, tmp_path: Path) -> None:
    switch = tmp_path / "value"
    switch.write_text("0\n")
    post.stand(Watched({}, FileSwitch(switch)))
    assert post.look() == []
    switch.write_text("1\n")
    assert post.look() == [Trigger(what="case_opened")]
    assert post.look() == []
    switch.write_text("0\n")
    assert post.look() == []
    switch.write_text("1\n")
    assert post.look() == [Trigger(what="case_opened")]


def test_a_switch_that_is_open_at_the_start_and_one_that_means_0(
    post: Post, tmp_path: Path
) -> None:
    switch = tmp_path / "value"
    switch.write_text("0\n")
    assert post.stand(Watched({}, FileSwitch(switch), "0")).look() == [Trigger(what="case_opened")]


def test_a_pipe_of_edges_shows_a_case_that_was_open_for_a_moment(
    post: Post, tmp_path: Path
) -> None:
    pipe = tmp_path / "case"
    os.mkfifo(pipe)
    post.stand(Watched({}, FileSwitch(pipe)))
    assert post.look() == []
    for text, found in (("0\n", 0), ("1\n0\n", 1), ("", 0), ("1\n", 1), ("1\n", 0)):
        with pipe.open("a") as writer:
            writer.write(text)
        assert len(post.look()) == found


def test_a_switch_that_is_gone_is_a_fault_once(post: Post, tmp_path: Path) -> None:
    post.stand(Watched({}, FileSwitch(tmp_path / "nothing")))
    assert post.look() == [StorageFault(what="config", code="ledger.sentry.case_switch")]
    assert post.look() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.write_bytes(b"other"),
        lambda p: p.unlink(),
        lambda p: p.with_name("new.py").write_text("more"),
        lambda p: p.write_bytes(p.read_bytes()[:-1] + b"X"),
    ],
    ids=["written", "removed", "added", "one_byte"],
)
def test_a_changed_file_is_told_once(
    post: Post, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "package"
    (folder / "__pycache__").mkdir(parents=True)
    one = folder / "one.py"
    one.write_text("print(1)")
    about = one.stat()
    post.stand(Watched({"software": [folder]}))
    assert post.look() == []
    (folder / "__pycache__" / "one.pyc").write_text("cache")
    assert post.look() == []
    change(one)
    if one.exists():
        os.utime(one, ns=(about.st_atime_ns, about.st_mtime_ns))  # it hides nothing
    found = post.look()
    assert [(f.what, f.file) for f in found if isinstance(f, Trigger)] == [
        ("file_changed", "software")
    ]
    assert post.look() == []


def test_files_are_read_again_after_an_hour(post: Post, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a")
    post.stand(Watched({"keys": [key]}))
    assert post.sentry is not None
    # As if the disk rotted, or the file system lied: what it says is the same, the bytes are not.
    facts, _ = post.sentry._known[key]
    post.sentry._known[key] = (facts, "1" * 64)
    assert post.look() == []
    post.now_s = HASH_AGAIN_S
    assert [f.file for f in post.look() if isinstance(f, Trigger)] == ["keys"]


def test_a_port_that_begins_to_listen_is_told_and_loopback_is_not(post: Post) -> None:
    post.stand(Watched({}))
    assert post.look() == []
    with socket.create_server(("127.0.0.1", 0)):
        assert post.look() == []
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert post.look() == [Trigger(what="listener_unexpected", port=port)]
        assert post.look() == []
    assert post.look() == []


def test_ports_that_are_named_are_the_only_ones(post: Post) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        known = {t.port for t in post.stand(Watched({}, ports=frozenset())).look()}  # type: ignore[attr-defined]
        assert port in known
        other = Post().stand(Watched({}, ports=frozenset(known)))
        assert other.look() == []


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
TABLE = HEAD + (
    "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 1 1\n"
    "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 0 2 1\n"
    "   2: 0A00000A:0017 0B00000A:D431 01 00000000:00000000 00:00000000 00000000     0 0 3 1\n"
)
TABLE6 = HEAD + (
    "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A x\n"
    "   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A x\n"
    "   2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A x\n"
)


def test_the_kernel_s_tables() -> None:
    assert listening(TABLE, "little") == {("127.0.0.1", 3306), ("0.0.0.0", 22)}
    assert outside(listening(TABLE, "little")) == {22}
    assert listening(TABLE6, "little") >= {("::1", 8080), ("::", 80)}
    assert outside(listening(TABLE6, "little")) == {80}
    assert outside(listening(TABLE.replace("0100007F", "7F000001"), "big")) == {22}
    assert sys.byteorder in ("little", "big")


@given(st.text(max_size=200), st.sampled_from(["little", "big"]))
def test_a_strange_table_never_stops_it(text: str, order: str) -> None:
    assert listening(text + "\n" + TABLE, order)


def test_settings_that_changed_are_named(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    first = {"mqtt": {"host": "a", "tls": None}, "run": {"threads": 2}}
    assert changed_settings(first, ledger) == ()
    assert changed_settings(first, ledger) == ()
    second = {"mqtt": {"host": "b", "tls": {"ca": "x"}}, "run": {"threads": 2}}
    assert changed_settings(second, ledger) == ("mqtt.host", "mqtt.tls", "mqtt.tls.ca")
    (tmp_path / "ledger.settings").write_text("[1]")
    assert changed_settings(second, ledger) == ()
    assert '"b"' not in (tmp_path / "ledger.settings").read_text()
