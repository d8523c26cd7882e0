"""The bench's record and replay, and its report, without a unit."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hil_tests.bench import report, scenario
from hil_tests.bench.verdict import BenchError
from hypothesis import given, settings
from hypothesis import strategies as st

TRUTH = {"open": ["PM52802"], "readable": ["PM52802"], "protected": ["929HUH", "ZF01MPP"]}
ITEM = {
    "station": "boot",
    "test": "test_x",
    "what": "It boots.",
    "outcome": "passed",
    "why": "",
    "seconds": 1.0,
    "measured": {},
}


def results(**changes: object) -> dict[str, object]:
    base = {"items": [ITEM], "facts": {"unit": "cam-1"}, "series": {"mb": [[0, 1.0], [5, 2.0]]}}
    return {**base, "folder": "/nowhere", **changes}


def test_a_leak_is_found_even_with_a_letter_wrong_and_a_read_is_not_one() -> None:
    assert scenario.leaks(["929HUH", "929HUB", "29HUH", "PM52802", "ABC123"], TRUTH) == [
        "929HUH",
        "929HUB",
        "29HUH",
    ]
    # As near to a vehicle that may be read as to a protected one is a leak; nearer is none.
    near = {"open": ["929HUB"], "readable": [], "protected": ["929HUH"]}
    assert scenario.leaks(["929HUB"], near) == []
    assert scenario.leaks(["929HUX"], near) == ["929HUX"]
    assert scenario.residue(b'{"plate": "zf01mpp"}', TRUTH) == ["ZF01MPP"]


def test_a_reference_is_compared_and_written_anew(tmp_path: Path) -> None:
    entries = [
        {"kind": "boot"},
        {"kind": "hour", "suppressed_at_most": {"zone": 8, "border": 0}},
    ]
    found = scenario.outcome(["PM528O2"], TRUTH, entries)
    assert found == {
        "read": ["PM52802"],
        "leaked": 0,
        "ledger": ["boot"],
        "kept_back": ["929HUH", "ZF01MPP"],
    }
    assert '+ "leaked": 0,' in scenario.compare(tmp_path, found)
    scenario.update(tmp_path, found)
    assert scenario.compare(tmp_path, found) == ""
    assert '-  "PM52802"' in scenario.compare(tmp_path, {**found, "read": []})
    # A part is compared by itself, and joins the rest.
    assert scenario.compare(tmp_path, {"leaked": 0}) == ""
    scenario.update(tmp_path, {"place": ["reads"]})
    assert scenario.compare(tmp_path, {**found, "place": ["reads"]}) == ""
    assert '-  "reads"' in scenario.compare(tmp_path, {"place": []})


def test_masks_seen_in_the_moment_of_a_commit_are_no_difference() -> None:
    found = scenario.outcome([], TRUTH, [{"kind": "storage_fault", "what": "masks"}])
    assert found["ledger"] == []
    found = scenario.outcome([], TRUTH, [{"kind": "storage_fault", "what": "outbox"}])
    assert found["ledger"] == ["storage_fault"]


@given(st.text(alphabet="AB01", max_size=6), st.text(alphabet="AB01", max_size=6))
def test_distance_is_a_metric(a: str, b: str) -> None:
    d = scenario.distance(a, b)
    assert d == scenario.distance(b, a)
    assert (d == 0) == (a == b)
    assert abs(len(a) - len(b)) <= d <= max(len(a), len(b))


def test_only_what_was_tested_and_passed_is_accepted() -> None:
    assert report.judge(results())["verdict"] == "accepted"
    assert report.judge(results(items=[]))["verdict"] == "refused"
    for outcome, verdict in (
        ("failed", "refused"),
        ("skipped", "refused"),
        ("not_applicable", "accepted"),
    ):
        items = [ITEM, {**ITEM, "outcome": outcome}]
        assert report.judge(results(items=items))["verdict"] == verdict
    assert report.judge(results(items=[{**ITEM, "outcome": "not_applicable"}]))["verdict"] == (
        "refused"
    )


def test_a_part_of_the_suite_accepts_nobody() -> None:
    assert report.judge(results(is_part=True))["verdict"] == "passed in part"
    failed = [{**ITEM, "outcome": "failed"}]
    assert report.judge(results(is_part=True, items=failed))["verdict"] == "refused"


def test_the_page_shows_speed_pictures_versions_and_plots() -> None:
    speed = {"stages_ms": {"detect": [24.1, 30.5]}, "frames_per_s": 17.5, "peak_mib": 150}
    facts = {"unit": "cam-1", "speed": speed, "versions": {"numpy": "2.4"}, "boot_s": 3.1}
    judged = report.judge(results(facts=facts, pictures={"a still": "/9j/4AAQ"}))
    page = report.page(judged)
    for text in (
        "<td>detect</td><td>24.1 ms</td><td>30.5 ms</td>", "<td>frames_per_s</td><td>17.5</td>",
        "versions: numpy", 'src="data:image/jpeg;base64,/9j/4AAQ"', "a still", "<polyline",
        "boot_s",
    ):  # fmt: skip
        assert text in page
    evil = report.judge(results(pictures={'"><script>': '"><script>'}))
    assert "<script>" not in report.page(evil)


def test_the_report_is_signed_whole_and_shows_what_a_unit_says_as_text(tmp_path: Path) -> None:
    key = report.load_key(tmp_path / "bench.key")
    assert (tmp_path / "bench.key").stat().st_mode & 0o077 == 0
    assert report.key_id(report.load_key(tmp_path / "bench.key").public_key()) == report.key_id(
        key.public_key()
    )
    facts = {"unit": "<script>alert(1)</script>"}
    judged = report.write(results(facts=facts), tmp_path / "r", key)
    document = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report.verify(document, [key.public_key()]) == judged
    page = (tmp_path / "r" / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<svg" in page
    assert "http" not in page
    with pytest.raises(BenchError, match=r"bench\.signature"):
        report.verify(document, [Ed25519PrivateKey.generate().public_key()])


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_breaks_the_signature(at: int, bit: int) -> None:
    key = _KEY
    document = copy.deepcopy(_SIGNED)
    payload = bytearray(base64.b64decode(document["payload"]))
    payload[at % len(payload)] ^= 1 << bit
    document["payload"] = base64.b64encode(payload).decode("ascii")
    with pytest.raises(BenchError, match=r"bench\.signature"):
        report.verify(document, [key.public_key()])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@settings(max_examples=40)
@given(_JSON)
def test_no_document_is_taken_unsigned(document: object) -> None:
    with pytest.raises(BenchError):
        report.verify(document, [_KEY.public_key()])
    with pytest.raises(BenchError):
        report.verify({**_SIGNED, "signatures": document}, [_KEY.public_key()])


_KEY = Ed25519PrivateKey.generate()
_SIGNED = report.sign(report.judge(results()), _KEY)


def test_the_bench_has_one_pyserial_only(repository: Path) -> None:
    names = {
        line.split("==")[0]
        for line in (repository / "requirements" / "hil.lock").read_text().splitlines()
        if "==" in line
    }
    assert "pyserial-labgrid" in names
    assert "pyserial" not in names
