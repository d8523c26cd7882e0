"""The interlock: every cause stops, alone and beside any other, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.exclusion.interlock import (
    HINTS,
    WAIVABLE,
    ClockFacts,
    Facts,
    Interlock,
    MaskFacts,
    MaskState,
    Phase,
    SceneState,
    SelfTest,
    SoftwareFacts,
    Stop,
    StopReason,
    ViewFacts,
)

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
S = 1_000_000_000

GOOD = Facts(
    MaskFacts(
        MaskState.USABLE,
        digest="d1",
        is_signed=True,
        device="unit-1",
        camera="cam0",
        frame_px=(1280, 720),
        reference="r1",
        valid_from=NOW - HOUR,
        valid_to=NOW + HOUR,
    ),
    ViewFacts("unit-1", "cam0", (1280, 720), "r1", SceneState.SAME),
    SoftwareFacts(config_signed=True, model_trouble="", self_test=SelfTest.PASSED),
    ClockFacts(NOW, 0, trouble=""),
)


def mask(**changes: object) -> dict[str, dict[str, object]]:
    return {"mask": changes}


def view(**changes: object) -> dict[str, dict[str, object]]:
    return {"view": changes}


def software(**changes: object) -> dict[str, dict[str, object]]:
    return {"software": changes}


# What each reason needs to appear; the pairs change different facts.
CAUSES: dict[StopReason, dict[str, dict[str, object]]] = {
    StopReason.MASK_MISSING: mask(state=MaskState.MISSING),
    StopReason.MASK_DAMAGED: mask(state=MaskState.DAMAGED),
    StopReason.MASK_UNSIGNED: mask(is_signed=False),
    StopReason.MASK_NOT_YET_VALID: mask(valid_from=NOW + HOUR),
    StopReason.MASK_EXPIRED: mask(valid_to=NOW),
    StopReason.MASK_DEVICE: mask(device="unit-2"),
    StopReason.MASK_CAMERA: mask(camera="cam1"),
    StopReason.MASK_FRAME_SIZE: view(frame_px=(1920, 1080)),
    StopReason.MASK_REFERENCE: view(reference="r2"),
    StopReason.CONFIG_UNSIGNED: software(config_signed=False),
    StopReason.CONFIG_CHANGED: software(config_trouble="changed"),
    StopReason.MODEL_UNEXPECTED: software(model_trouble="changed"),
    StopReason.CLOCK_UNTRUSTED: {"clock": {"trouble": "never set"}},
    StopReason.SCENE_NO_REFERENCE: mask(reference=None),
    StopReason.SCENE_UNKNOWN: view(scene=SceneState.UNKNOWN),
    StopReason.SCENE_MOVED: view(scene=SceneState.MOVED),
    StopReason.SCENE_TURNED: view(scene=SceneState.TURNED),
    StopReason.SCENE_COVERED: view(scene=SceneState.COVERED),
    StopReason.SCENE_DEFOCUSED: view(scene=SceneState.DEFOCUSED),
    StopReason.SCENE_FROZEN: view(scene=SceneState.FROZEN),
    StopReason.SELF_TEST_PENDING: software(self_test=SelfTest.PENDING),
    StopReason.SELF_TEST_FAILED: software(self_test=SelfTest.FAILED),
    StopReason.STORAGE: software(storage_trouble="full"),
}
SITE = [
    StopReason.SITE_NOT_COMMISSIONED,
    StopReason.SITE_REGISTER,
    StopReason.SITE_POSITION,
    StopReason.SITE_UNCOVERED,
    StopReason.SITE_IN_VIEW,
]
STATEFUL = {StopReason.CLOCK_STEPPED}


def with_causes(*reasons: StopReason) -> Facts:
    facts = GOOD
    for reason in reasons:
        if reason in SITE:
            facts = replace(facts, site=(*facts.site, Stop(reason, "x")))
            continue
        for part, changes in CAUSES[reason].items():
            facts = replace(facts, **{part: replace(getattr(facts, part), **changes)})
    return facts


def test_every_reason_has_a_cause_here_and_a_hint() -> None:
    assert {*CAUSES, *SITE, *STATEFUL} == set(StopReason) == set(HINTS)


def test_good_facts_let_it_read() -> None:
    interlock = Interlock()
    assert interlock.phase is Phase.STARTING
    assert interlock.judge(GOOD).may_read
    assert interlock.phase is Phase.READING


@pytest.mark.parametrize("reason", [*CAUSES, *SITE])
def test_every_cause_alone_stops_with_its_reason(reason: StopReason) -> None:
    interlock = Interlock()
    verdict = interlock.judge(with_causes(reason))
    assert verdict.reasons == {reason}
    assert not verdict.may_read
    assert interlock.phase is Phase.STOPPED
    assert all(stop.detail and stop.hint for stop in verdict.stops)


def changed(reason: StopReason) -> tuple[str, str]:
    """Which fact the cause of a reason changes."""
    part, changes = (
        next(iter(CAUSES[reason].items())) if reason in CAUSES else ("site", {reason: 1})
    )
    return part, next(iter(changes))


HIDES = {
    StopReason.MASK_MISSING: {r for r in StopReason if r.startswith("exclusion.mask")}
    | {r for r in StopReason if r.startswith("exclusion.scene")}
    | {StopReason.MASK_FRAME_SIZE},
    StopReason.CONFIG_CHANGED: {StopReason.CONFIG_UNSIGNED},
    StopReason.SCENE_NO_REFERENCE: {StopReason.MASK_REFERENCE, StopReason.SCENE_UNKNOWN},
}
"""A record that cannot be read has no contents to object to, and so on."""
HIDES[StopReason.MASK_DAMAGED] = HIDES[StopReason.MASK_MISSING]


def test_every_pair_of_causes_stops_with_both_reasons() -> None:
    for one, other in combinations([*CAUSES, *SITE], 2):
        verdict = Interlock().judge(with_causes(one, other))
        if changed(one) == changed(other):
            expected = {other}  # two values of one fact: the later one was set
        else:
            expected = {one, other}
            expected -= HIDES.get(one, set()) - {one}
            expected -= HIDES.get(other, set()) - {other}
        assert verdict.reasons == expected, (one, other)


@pytest.mark.parametrize("reason", sorted(WAIVABLE))
def test_what_is_waived_is_told_and_does_not_stop(reason: StopReason) -> None:
    verdict = Interlock(frozenset({reason})).judge(with_causes(reason))
    assert verdict.may_read
    assert {stop.reason for stop in verdict.waived} == {reason}


@pytest.mark.parametrize("reason", sorted(set(StopReason) - WAIVABLE))
def test_the_rest_cannot_be_waived(reason: StopReason) -> None:
    with pytest.raises(ValueError, match="cannot be waived"):
        Interlock(frozenset({reason}))


def test_waiving_everything_possible_still_needs_masks() -> None:
    interlock = Interlock(WAIVABLE)
    facts = replace(GOOD, mask=MaskFacts(), software=replace(GOOD.software, config_signed=False))
    assert interlock.judge(facts).reasons == {StopReason.MASK_MISSING}


@pytest.mark.parametrize("field", ["device", "camera", "frame_px"])
def test_a_signed_record_says_what_it_is_for(field: str) -> None:
    facts = replace(GOOD, mask=replace(GOOD.mask, **{field: None}))
    assert not Interlock().judge(facts).may_read
    unsigned = replace(facts, mask=replace(facts.mask, is_signed=False))
    assert Interlock(frozenset({StopReason.MASK_UNSIGNED})).judge(unsigned).may_read


def test_before_the_first_frame_its_size_is_no_reason() -> None:
    facts = replace(GOOD, view=replace(GOOD.view, frame_px=None))
    assert Interlock().judge(facts).may_read


def test_a_moved_camera_stays_stopped_until_other_masks_are_in_force() -> None:
    interlock = Interlock()
    assert interlock.judge(GOOD).may_read
    assert not interlock.judge(with_causes(StopReason.SCENE_MOVED)).may_read
    for _ in range(3):
        assert interlock.judge(GOOD).reasons == {StopReason.SCENE_MOVED}
    again = replace(GOOD, mask=replace(GOOD.mask, digest="d2"))
    assert interlock.judge(again).may_read
    assert interlock.judge(GOOD).may_read


def test_other_troubles_of_the_picture_pass() -> None:
    interlock = Interlock()
    assert not interlock.judge(with_causes(StopReason.SCENE_COVERED)).may_read
    assert interlock.judge(GOOD).may_read


def test_masks_without_a_reference_still_heed_a_moved_camera() -> None:
    interlock = Interlock(frozenset({StopReason.SCENE_NO_REFERENCE}))
    facts = with_causes(StopReason.SCENE_NO_REFERENCE, StopReason.SCENE_MOVED)
    assert interlock.judge(facts).reasons == {StopReason.SCENE_MOVED}


def at(facts: Facts, wall_s: float, ran_s: float) -> Facts:
    clock = replace(facts.clock, now=NOW + timedelta(seconds=wall_s), monotonic_ns=int(ran_s * S))
    return replace(facts, clock=clock)


@pytest.mark.parametrize("step_s", [-600.0, -3.0, 3.0, 600.0])
def test_a_clock_step_stops_until_the_clock_has_run_evenly(step_s: float) -> None:
    interlock = Interlock()
    assert interlock.judge(at(GOOD, 0, 0)).may_read
    assert interlock.judge(at(GOOD, 1, 1)).may_read
    assert interlock.judge(at(GOOD, 2 + step_s, 2)).reasons == {StopReason.CLOCK_STEPPED}
    assert interlock.judge(at(GOOD, 11 + step_s, 11)).reasons == {StopReason.CLOCK_STEPPED}
    assert interlock.judge(at(GOOD, 13 + step_s, 13)).may_read


def test_a_second_step_begins_the_wait_anew() -> None:
    interlock = Interlock()
    interlock.judge(at(GOOD, 0, 0))
    interlock.judge(at(GOOD, 10, 1))
    interlock.judge(at(GOOD, 30, 10))
    assert interlock.judge(at(GOOD, 32, 12)).reasons == {StopReason.CLOCK_STEPPED}
    assert interlock.judge(at(GOOD, 41, 21)).may_read


def test_a_monotonic_clock_that_goes_back_is_a_step() -> None:
    interlock = Interlock()
    interlock.judge(at(GOOD, 0, 5))
    assert interlock.judge(at(GOOD, 0, 4)).reasons == {StopReason.CLOCK_STEPPED}


def test_a_clock_set_back_does_not_revive_an_expired_record_unseen() -> None:
    interlock = Interlock()
    late = at(GOOD, 3601, 3601)
    assert interlock.judge(late).reasons == {StopReason.MASK_EXPIRED}
    assert interlock.judge(at(GOOD, 0, 3602)).reasons == {StopReason.CLOCK_STEPPED}


@given(
    st.sets(st.sampled_from([*CAUSES, *SITE]), max_size=6), st.sets(st.sampled_from(list(CAUSES)))
)
def test_more_trouble_never_lets_it_read(few: set[StopReason], more: set[StopReason]) -> None:
    before = Interlock().judge(with_causes(*few))
    after = Interlock().judge(with_causes(*few, *sorted(more - few)))
    assert before.may_read or not after.may_read
