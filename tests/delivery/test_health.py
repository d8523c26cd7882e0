"""Health tells codes and numbers, never a plate, and suppressions so that no visit shows."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.health import (
    FLOOR,
    Facts,
    Health,
    Running,
    Waiting,
    coarse,
    offline,
    warnings,
)
from alpr_edge.delivery.host_facts import disk_free_bytes, temperature_c
from alpr_edge.delivery.metrics import MetricsServer, exposition
from alpr_edge.delivery.port import LinkState, Phase
from alpr_edge.errors import PublishError
from alpr_edge.types import DropReason

LINK = LinkState(Phase.CONNECTED, LinkCode.NONE, "MQTT 5")
HOUR = 3600.0


def suppressed(health: Health, now_s: float) -> object:
    return health.document(Waiting(), LINK, now_s)["suppressed_last_hour_at_most"]


@given(st.integers(0, 10**6))
def test_coarse_is_an_upper_bound_in_few_steps(count: int) -> None:
    told = coarse(count)
    assert told >= max(count, FLOOR)
    assert told & (told - 1) == 0
    assert told <= max(FLOOR, 2 * count)


@given(st.integers(0, FLOOR), st.integers(0, FLOOR))
def test_few_visits_and_none_look_alike(one: int, other: int) -> None:
    assert coarse(one) == coarse(other)


def test_only_the_last_complete_hour_is_told() -> None:
    health = Health("test", 0.0)
    health.suppressed(DropReason.TOUCHES_MASK, 10.0, 20)
    assert suppressed(health, HOUR - 1) is None
    told = suppressed(health, HOUR + 1)
    assert told == {str(r): 32 if r is DropReason.TOUCHES_MASK else FLOOR for r in DropReason}
    health.suppressed(DropReason.TOUCHES_MASK, HOUR + 5, 1000)
    assert suppressed(health, 2 * HOUR - 1) == told
    assert suppressed(health, 4 * HOUR) == dict.fromkeys(map(str, DropReason), FLOOR)


def test_counters_and_errors_are_told() -> None:
    health = Health("test", 5.0)
    health.count(published=3, settled=2, refused=1, lost=4)
    health.error(LinkCode.CREDENTIALS)
    health.error("delivery.outbox.full_disk")
    told = health.document(
        Waiting(7, 1, 2, 3, 4, 5, 12.5), LinkState(Phase.WAITING, LinkCode.LOST), 65.0
    )
    del told["suppressed_last_hour_at_most"]
    assert json.loads(json.dumps(told)) == {
        "state": "online",
        "software": "test",
        "uptime_s": 60,
        "frames_per_s": 0.0,
        "published": 3,
        "settled": 2,
        "pending": 7,
        "pending_in_memory": 1,
        "queue_age_s": 12,
        "refused": 1,
        "lost": {
            "overflow": 2,
            "expired": 3,
            "damaged_outboxes": 4,
            "unreadable": 5,
            "not_stored": 4,
        },
        "reading": {"phase": "starting", "stops": [], "waived": []},
        "last_error": "delivery.outbox.full_disk",
        "errors": {"delivery.link.credentials": 1, "delivery.outbox.full_disk": 1},
        "warnings": [],
        "link": {"phase": "waiting", "code": "delivery.link.lost", "protocol": "", "broker": ""},
        "host": {
            "temperature_c": None,
            "disk_free_bytes": None,
            "flash_written_bytes": 0,
            "clock_believed": True,
            "certificate_days_left": None,
        },
        "versions": {"software": "test", "config": "", "models": "", "mask": ""},
        "view": {"state": "no_reference", "shift": None},
        "self_test": {"state": "pending", "finding": "", "at": None},
    }
    health.guarded(
        {"state": "moved", "shift": 0.04},
        {"state": "failed", "finding": "not_read_beside_the_mask", "at": "2026-01-01T00:00:00"},
    )
    again = health.document(Waiting(), LinkState(Phase.WAITING, LinkCode.LOST), 66.0)
    assert again["view"]["state"] == "moved"
    assert again["self_test"]["finding"] == "not_read_beside_the_mask"


def test_every_code_but_none_has_a_hint() -> None:
    assert all(code.hint for code in LinkCode if code)


def test_last_word_is_json() -> None:
    assert json.loads(offline("shutdown")) == {"state": "offline", "reason": "shutdown"}


def test_the_frame_rate_is_that_of_the_last_complete_minute() -> None:
    health = Health("test", 0.0)
    for n in range(600):
        health.frame(n / 10)
    assert health.document(Waiting(), LINK, 59.95)["frames_per_s"] is None
    assert health.document(Waiting(), LINK, 61.0)["frames_per_s"] == 10.0
    health.frame(61.5)
    assert health.document(Waiting(), LINK, 200.0)["frames_per_s"] == 0.0


def test_what_needs_somebody_soon_is_told_as_codes() -> None:
    assert warnings(Facts()) == []
    assert warnings(Facts(85.0, 1000, 0, False, 29.9, True)) == [
        "delivery.certificate.expiring",
        "delivery.clock.not_believed",
        "delivery.flash.budget_used_up",
        "delivery.disk.nearly_full",
        "delivery.temperature.high",
    ]
    assert warnings(Facts(certificate_days_left=-1.0)) == ["delivery.certificate.expired"]


def test_the_machine_tells_what_it_has(tmp_path: Path) -> None:
    assert disk_free_bytes(tmp_path)
    assert disk_free_bytes(tmp_path / "none") is None
    assert temperature_c(tmp_path) is None
    for name, text in (("0", "41500"), ("1", "63000"), ("2", "garbage"), ("3", "-274000")):
        (tmp_path / f"thermal_zone{name}").mkdir()
        (tmp_path / f"thermal_zone{name}" / "temp").write_text(text)
    (tmp_path / "thermal_zone4").mkdir()
    assert temperature_c(tmp_path) == 63.0


# --- Prometheus ------------------------------------------------------------------------------


def full_health() -> Health:
    health = Health(Running("alpr-edge test", "aa", "bb", 'c"d'), 0.0)
    health.count(published=3, settled=2, refused=1, lost=4)
    health.error("delivery.link.lost")
    health.suppressed(DropReason.TOUCHES_MASK, 10.0, 20)
    return health


def test_metrics_are_valid_prometheus_text_and_say_what_health_says() -> None:
    state = full_health().document(Waiting(7, oldest_s=3), LINK, HOUR + 5, Facts(50.0, 10**9))
    text = exposition(state).decode()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["alpr_edge_outbox_pending",] == 7
    assert samples["alpr_edge_published_total",] == 3
    assert samples["alpr_edge_lost_total", "not_stored"] == 4
    assert samples["alpr_edge_errors_total", "delivery.link.lost"] == 1
    assert samples["alpr_edge_link_phase", "connected"] == 1
    assert samples["alpr_edge_link_phase", "waiting"] == 0
    assert samples["alpr_edge_suppressed_last_hour_at_most", "touches_mask"] == 32
    assert samples["alpr_edge_temperature_celsius",] == 50.0
    assert 'mask="c\\"d"' in text
    assert 'software="alpr-edge test"' in text
    assert all(name[0].startswith("alpr_edge_") for name in samples)


def test_metrics_are_served_on_this_machine_only() -> None:
    health = full_health()
    server = MetricsServer(0, lambda: health.document(Waiting(), LINK, 5.0))
    try:
        address = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert b"alpr_edge_published_total 3.0" in answer.read()
        for path in ("/", "/metrics/../etc", "/reads"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(address + path, timeout=10)
            assert caught.value.code == 404
            caught.value.close()
        # A slow client holds up nobody.
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.send(b"GET /met")
            with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
                assert answer.status == 200
        with pytest.raises(PublishError) as taken:
            MetricsServer(server.port, lambda: health.document(Waiting(), LINK, 5.0))
        assert taken.value.code == "delivery.metrics.port"
    finally:
        server.close()
