"""The service: frames in, released reads to the courier, until the source ends or it is stopped.

It holds no decision of its own: `pipeline` reads, `exclusion.gate` releases, `delivery` sends. Here
they meet, errors are counted, and the end is orderly.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from alpr_edge.capture.port import FrameSource
from alpr_edge.delivery import wire
from alpr_edge.delivery.courier import Courier
from alpr_edge.delivery.event import Event, LedgerPosition, Provenance, UsageTerms, make_event
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.ids import new_event_id
from alpr_edge.delivery.metrics import MetricsServer
from alpr_edge.errors import AlprEdgeError, ExclusionError, InferenceError
from alpr_edge.exclusion.gate import GateStep
from alpr_edge.exclusion.interlock import PASSING, Verdict
from alpr_edge.exclusion.view_watch import VIEW_SENTENCES
from alpr_edge.pipeline import Guards, Pipeline, StepResult
from alpr_edge.types import Drop, DropReason, Frame

_log = logging.getLogger(__name__)
MAX_FAILURES_IN_A_ROW = 50
"""Frames that fail in a row before the service gives up: three seconds at 15 a second."""


@dataclass(slots=True)
class Tally:
    """What one run did: frames, reads handed to delivery, drops by reason, failed frames."""

    frames: int = 0
    published: int = 0
    failed_frames: int = 0
    drops: Counter[DropReason] = field(default_factory=Counter)


Observer = Callable[[StepResult, tuple[Event, ...]], None]


class ServiceRecord(Protocol):
    """What wants to know what the service does: the ledger's recorder, or `NoRecord`."""

    def frame(self, *, failed: bool = False) -> None:
        """A frame was looked at, or could not be."""
        ...

    def published(self, count: int) -> None:
        """Reads were handed to delivery."""
        ...

    def suppressed(self, reason: DropReason, count: int = 1) -> None:
        """Tracks were held back."""
        ...

    def guarded(self, *, view: str, self_test: str, finding: str = "") -> None:
        """What view watch and self-test say now; `self_test` has the test's time behind it."""
        ...


class NoRecord:
    """Records nothing."""

    def frame(self, *, failed: bool = False) -> None:
        """Nothing."""

    def published(self, count: int) -> None:
        """Nothing."""

    def suppressed(self, reason: DropReason, count: int = 1) -> None:
        """Nothing."""

    def guarded(self, *, view: str, self_test: str, finding: str = "") -> None:
        """Nothing."""


class Beside(Protocol):
    """Port: a room that runs beside the reading (the console) and never stops it."""

    def start(self) -> None: ...

    def close(self) -> None: ...


class Judge(Protocol):
    """Port: says before every frame whether it may be read (`watch.Guard`)."""

    @property
    def mask_digest(self) -> str:
        """Names the masks that the last verdict was about."""
        ...

    @property
    def basis(self) -> str:
        """Names register and commissioning that the last verdict was about."""
        ...

    @property
    def is_outdated(self) -> bool:
        """Whether other masks or another place have come into force since that verdict."""
        ...

    def judge(self, frame_px: tuple[int, int] | None) -> Verdict: ...

    def noted(self, *, may_read: bool, view: str, self_test: str) -> None: ...


def refusal(verdict: Verdict) -> ExclusionError:
    """The error of a verdict against reading: the code of the first reason, and all of them."""
    first = verdict.stops[0]
    lines = [f"nothing is read: {first.detail}"]
    lines += [f"[{stop.reason}] {stop.detail} ({stop.hint})" for stop in verdict.stops[1:]]
    return ExclusionError("\n  - ".join(lines), code=str(first.reason), hint=first.hint)


class Service:
    """Runs one camera.

    Args:
        source: where frames come from; closed at the end.
        guard: judges before every frame; while it forbids, frames are dropped unseen, and what was
            open or held when it began to is destroyed.
        make_pipeline: called with a frame's (width, height) when reading begins, and again when the
            masks or the size have changed.
        exit_on_stop: a verdict against reading ends the run (exit status 3), unless it will pass.
        courier: takes events; started and closed here.
        provenance: where reads come from; `located` adds what may change while it runs.
        min_confidence: weaker reads are dropped as `WEAK_READ`.
        observer: sees every step, for the demo's view.
        metrics_port: serves Prometheus text on 127.0.0.1; 0 for none.
        record: told of frames, reads and drops, for the ledger.
        beside: started and closed with the run.
        on_end: called last, with the error that ended the run and whether it was asked to end.
    """

    def __init__(
        self,
        *,
        source: FrameSource,
        guard: Judge,
        make_pipeline: Callable[[tuple[int, int]], Pipeline],
        courier: Courier,
        health: Health,
        provenance: Provenance,
        usage: UsageTerms,
        min_confidence: float,
        observer: Observer | None = None,
        metrics_port: int = 0,
        record: ServiceRecord | None = None,
        on_end: Callable[[AlprEdgeError | None, bool], None] = lambda _err, _asked: None,
        ledger_position: Callable[[], LedgerPosition | None] = lambda: None,
        exit_on_stop: bool = True,
        beside: tuple[Beside, ...] = (),
        located: Callable[[Provenance], Provenance] = lambda provenance: provenance,
    ) -> None:
        self._located = located
        self._basis = ""
        self._ledger_position = ledger_position
        self._source = source
        self._guard = guard
        self._exit_on_stop = exit_on_stop
        self._size_px: tuple[int, int] | None = None
        self._make_pipeline = make_pipeline
        self._pipeline: Pipeline | None = None
        self._courier = courier
        self._health = health
        self._provenance = provenance
        self._usage = usage
        self._min_confidence = min_confidence
        self._observer = observer
        self._metrics_port = metrics_port
        self._record: ServiceRecord = record or NoRecord()
        self._on_end = on_end
        self._beside = beside
        self._stopping = False
        self._failures = 0
        self._guards: tuple[str, str] | None = None
        self.tally = Tally()

    def stop(self) -> None:
        """End soon. Safe in a signal handler."""
        # A plain flag: an event's lock is not safe in a signal handler.
        self._stopping = True
        self._source.stop()

    def test_now(self) -> bool:
        """Have a self-test run with the next frames; False: nothing is set up that could be tested.

        Safe from another thread. Reading goes on or stays closed as the latest result has it.
        """
        pipeline = self._pipeline
        return pipeline is not None and pipeline.test_now()

    def run(self, *, drain_s: float = 5.0) -> int:
        """Run to the end of the source or until `stop`.

        Returns:
            Events that still wait in the outbox for the next start.

        Raises:
            ExclusionError: reading is not allowed, and `exit_on_stop`.
            AlprEdgeError: the source cannot begin, inference keeps failing.
        """
        metrics = None
        if self._metrics_port:
            metrics = MetricsServer(self._metrics_port, self._courier.health_document)
        self._courier.start()
        for room in self._beside:
            room.start()
        ended_by: AlprEdgeError | None = None
        try:
            for frame in self._source:
                if self._stopping:
                    break
                self._step(frame)
            if self._guard.is_outdated:
                self._abandon()
            elif self._pipeline is not None:
                self._hand_over(self._pipeline.finish())
        except AlprEdgeError as err:
            ended_by = err
            raise
        finally:
            self._source.close()
            for room in self._beside:
                room.close()
            if metrics is not None:
                metrics.close()
            waiting = self._courier.close(drain_s)
            self._on_end(ended_by, self._stopping)
        return waiting

    def _step(self, frame: Frame) -> None:
        self.tally.frames += 1
        height, width = frame.image.shape[:2]
        verdict = self._guard.judge((width, height))
        self._health.interlock(verdict)
        if not verdict.may_read:
            self._abandon()
            if self._exit_on_stop and verdict.reasons - PASSING:
                raise refusal(verdict)
            return
        if self._pipeline is None or self._size_px != (width, height) or self._is_outdated():
            self._abandon()
            self._pipeline, self._size_px = self._make_pipeline((width, height)), (width, height)
            self._basis = self._guard.basis
        try:
            result = self._pipeline.step(frame)
        except InferenceError as err:
            self._count_failure(err)
            return
        self._failures = 0
        self._health.frame(time.monotonic())
        self._record.frame()
        self._note(result.guards)
        if self._guard.is_outdated:
            # Other masks came while this frame was looked at: not even it is judged under the old.
            self._hand_over(_nothing_released(result.gate))
            self._abandon()
            return
        events = self._hand_over(result.gate)
        if self._observer is not None:
            self._observer(result, events)

    def _note(self, guards: Guards) -> None:
        """Tell health, and the log where something changed."""
        view, test = guards.view, guards.self_test
        shift = None if view.shift is None else round(view.shift, 4)
        told: wire.View = {"state": view.state.value, "shift": shift}
        tested: wire.SelfTestResult = {"state": "pending", "finding": "", "at": None}
        if test is not None:
            finding = "" if test.finding is None else test.finding.value
            at = None if test.at is None else test.at.isoformat()
            tested = {"state": test.state.value, "finding": finding, "at": at}
        self._health.guarded(told, tested)
        self._guard.noted(
            may_read=guards.may_read, view=view.state.value, self_test=tested["state"]
        )
        self._record.guarded(
            view=view.state.value,
            self_test=f"{tested['state']} {tested['at'] or ''}",
            finding=tested["finding"],
        )
        last, self._guards = self._guards, (view.state.value, tested["state"])
        if last != self._guards:
            level = logging.INFO if guards.may_read else logging.WARNING
            extra = {"view": view.state.value, "self_test": tested["state"]}
            _log.log(level, "%s", VIEW_SENTENCES[view.state], extra=extra)

    def _is_outdated(self) -> bool:
        judged = self._guard.mask_digest, self._guard.basis
        return self._pipeline is not None and (self._pipeline.mask_digest, self._basis) != judged

    def _abandon(self) -> None:
        """Destroy all that is open or held: it was judged under facts that no longer hold."""
        if self._pipeline is None:
            return
        last, self._pipeline = self._pipeline.finish(), None
        self._hand_over(_nothing_released(last))

    def _hand_over(self, step: GateStep) -> tuple[Event, ...]:
        events: list[Event] = []
        drops = list(step.drops)
        position = self._ledger_position() if step.released else None
        provenance = self._located(self._provenance)
        for released in step.released:
            # Written so that a confidence that is no number is weak.
            if not released.track.read.confidence >= self._min_confidence:
                drops.append(Drop(DropReason.WEAK_READ))
                continue
            event = make_event(released, provenance, self._usage, new_event_id(), ledger=position)
            events.append(event)
        if events:
            # One write to disk for all that one frame released.
            self._courier.hand_over(events)
            self._health.runs(mask=events[-1].released.mask_digest)
        self.tally.published += len(events)
        self._record.published(len(events))
        for drop in drops:
            self.tally.drops[drop.reason] += 1
            self._health.suppressed(drop.reason, time.monotonic())
            self._record.suppressed(drop.reason)
        return tuple(events)

    def _count_failure(self, err: AlprEdgeError) -> None:
        self.tally.failed_frames += 1
        self._record.frame(failed=True)
        self._failures += 1
        self._health.error(err.code)
        if self._failures == 1:
            _log.error("a frame could not be read", extra={"code": err.code})
        if self._failures >= MAX_FAILURES_IN_A_ROW:
            raise err


def _nothing_released(step: GateStep) -> GateStep:
    return GateStep((), step.drops + (Drop(DropReason.STOPPED),) * len(step.released))
