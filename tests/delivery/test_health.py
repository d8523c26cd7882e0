"""Health tells codes and numbers, never a plate, and suppressions so that no visit shows."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.delivery.codes import LinkCode
from alpr_edge.delivery.health import FLOOR, Health, Waiting, coarse, offline
from alpr_edge.delivery.port import LinkState, Phase
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
    told = health.document(Waiting(7, 1, 2, 3, 4), LinkState(Phase.WAITING, LinkCode.LOST), 65.0)
    del told["suppressed_last_hour_at_most"]
    assert json.loads(json.dumps(told)) == {
        "state": "online",
        "software": "test",
        "uptime_s": 60,
        "published": 3,
        "settled": 2,
        "pending": 7,
        "pending_in_memory": 1,
        "refused": 1,
        "lost": {"overflow": 2, "expired": 3, "damaged_outboxes": 4, "not_stored": 4},
        "last_error": "delivery.outbox.full_disk",
        "errors": {"delivery.link.credentials": 1, "delivery.outbox.full_disk": 1},
        "link": {"phase": "waiting", "code": "delivery.link.lost", "protocol": ""},
    }


def test_every_code_but_none_has_a_hint() -> None:
    assert all(code.hint for code in LinkCode if code)


def test_last_word_is_json() -> None:
    assert json.loads(offline("shutdown")) == {"state": "offline", "reason": "shutdown"}
