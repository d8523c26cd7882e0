"""The report says in plain words what came out, loads nothing, and its signature can be checked."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from evidence import report
from evidence.__main__ import PARTS
from evidence.report import Section
from evidence.words import WORDS


def sections() -> list[Section]:
    picture = np.zeros((4, 6, 3), np.uint8)
    return [
        Section("N2: a <title>", "leaks = 0 of 12", True, ["a note"], plain="Cars drove by."),
        Section("N7: a view", "one stop", False, [], [(("a", "b"), [(1, "x & y")])]),
        Section("N1: pixels", "none so far", True, pictures=[("a street", picture)], wanted=3),
    ]


def test_it_begins_with_every_result_and_says_what_they_mean() -> None:
    text = report.as_html("Evidence", [("machine", "x86")], sections())
    head, *rest = text.split("<h2")
    assert len(rest) == 3
    for part in ("leaks = 0 of 12", "one stop", "none so far", "holds", "fails", "incomplete"):
        assert part in head
    assert "must never read a vehicle at, entering or leaving" in head
    assert "N2: a &lt;title&gt;" in head
    assert "Cars drove by." in rest[0]
    assert "1 of 3 pieces were measured" in rest[2]
    assert "x &amp; y" in rest[1]


def test_it_loads_nothing_and_every_link_leads_somewhere() -> None:
    text = report.as_html("Evidence", [], sections())
    sources = re.findall(r"(?:src|href)=['\"]?([^'\" >]*)", text)
    assert len(sources) == 4
    assert all(one.startswith(("data:image/jpeg;base64,", "#part")) for one in sources)
    for anchor in (one[1:] for one in sources if one.startswith("#")):
        assert f"id={anchor}>" in text


def test_every_part_is_told_in_plain_words() -> None:
    assert set(WORDS) == set(PARTS)


@pytest.mark.parametrize("changed", [False, True])
def test_the_command_in_the_report_checks_its_signature(tmp_path: Path, changed: bool) -> None:
    path = tmp_path / "report.html"
    path.write_text(report.as_html("Evidence", [], sections()), "utf-8")
    report.sign(path, None)
    if changed:
        path.write_text(path.read_text("utf-8").replace("0 of 12", "0 of 99"), "utf-8")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    shown = re.search(r"<pre>(.*?)</pre>", path.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    command = shown[1].replace("&gt;", ">")
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode == 0) is not changed
    assert ("Verified Successfully" in done.stdout) is not changed
