"""The interlock: one judge of whether anything may be read at all, at the start and at every frame.

Guarantee N3: what must be known and is not, stops all inference, with stated reasons. Pure: facts
come in, a verdict goes out; edges gather the facts (`wiring`), `service` obeys, `delivery.health`
and the status file tell.

Rules:

1. Everything is checked every time; all reasons are stated, not the first.
2. What is not known counts as wrong.
3. A camera that moved stays stopped until another mask record is in force (N7): the scene that
   seems right again proves nothing.
4. A clock that stepped is not believed until it has run evenly for `Limits.settle_ns`.
5. A bench may waive some reasons by its configuration (`WAIVABLE`). A waived reason is still found
   and told with every verdict; nothing about masks that are missing, damaged or made for another
   view can be waived, and no reason where protected ground may be in view (`Stop.is_final`).

States: starting → reading ⇄ stopped. `Interlock.judge` is the only transition; entering `stopped`
destroys what is open or held (the service's part).

It does not look at pictures (`drift`), verify signatures (`trust`), or know where the camera
stands: those give their findings as facts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final


class StopReason(StrEnum):
    """Why nothing is read. The values are stable codes, as of errors (docs/errors.md)."""

    MASK_MISSING = "exclusion.mask.missing"
    MASK_DAMAGED = "exclusion.mask.invalid"
    MASK_UNSIGNED = "exclusion.mask.unsigned"
    MASK_NOT_YET_VALID = "exclusion.mask.not_yet_valid"
    MASK_EXPIRED = "exclusion.mask.expired"
    MASK_DEVICE = "exclusion.mask.device"
    MASK_CAMERA = "exclusion.mask.camera"
    MASK_FRAME_SIZE = "exclusion.frame_size"
    MASK_REFERENCE = "exclusion.mask.reference"
    CONFIG_UNSIGNED = "exclusion.config.unsigned"
    CONFIG_CHANGED = "exclusion.config.changed"
    MODEL_UNEXPECTED = "exclusion.model.unexpected"
    CLOCK_UNTRUSTED = "exclusion.clock.untrusted"
    CLOCK_STEPPED = "exclusion.clock.stepped"
    SCENE_NO_REFERENCE = "exclusion.scene.no_reference"
    SCENE_UNKNOWN = "exclusion.scene.unknown"
    SCENE_MOVED = "exclusion.scene.moved"
    SCENE_TURNED = "exclusion.scene.turned"
    SCENE_COVERED = "exclusion.scene.covered"
    SCENE_DEFOCUSED = "exclusion.scene.defocused"
    SCENE_FROZEN = "exclusion.scene.frozen"
    SELF_TEST_PENDING = "exclusion.self_test.pending"
    SELF_TEST_FAILED = "exclusion.self_test.failed"
    SITE_NOT_COMMISSIONED = "exclusion.site.not_commissioned"
    SITE_REGISTER = "exclusion.site.register"
    SITE_POSITION = "exclusion.site.position"
    SITE_UNCOVERED = "exclusion.site.uncovered"
    SITE_IN_VIEW = "exclusion.site.in_view"
    STORAGE = "exclusion.storage"


HINTS: Final[dict[StopReason, str]] = {
    StopReason.MASK_MISSING: "commission a mask record, be it one that states nothing is protected",
    StopReason.MASK_DAMAGED: "commission the masks again; see `alpr-edge masks check`",
    StopReason.MASK_UNSIGNED: "sign the record with `alpr-edge masks sign` and commit it",
    StopReason.MASK_NOT_YET_VALID: "check the clock, or wait",
    StopReason.MASK_EXPIRED: "look at the masks again and commit a record with a later end",
    StopReason.MASK_DEVICE: "commit a record that was made for this unit",
    StopReason.MASK_CAMERA: "commit a record that was made for this camera",
    StopReason.MASK_FRAME_SIZE: "set the camera's resolution back or commission the mask again",
    StopReason.MASK_REFERENCE: "commission masks and reference view together",
    StopReason.CONFIG_UNSIGNED: "let the city sign it with `alpr-edge config sign`",
    StopReason.CONFIG_CHANGED: "put the signed file back, or let the city sign the new one",
    StopReason.MODEL_UNEXPECTED: "check with `alpr-edge models verify`; install alpr-edge again",
    StopReason.CLOCK_UNTRUSTED: "let NTP or GNSS set the clock; see the section [clock]",
    StopReason.CLOCK_STEPPED: "wait; if it goes on, find out what sets the clock",
    StopReason.SCENE_NO_REFERENCE: "commission a reference view",
    StopReason.SCENE_UNKNOWN: "wait for the comparison with the reference view",
    StopReason.SCENE_MOVED: "the camera was moved: commission masks and reference view again",
    StopReason.SCENE_TURNED: "turn the camera back, or remove what stands before it",
    StopReason.SCENE_COVERED: "clean or uncover the camera",
    StopReason.SCENE_DEFOCUSED: "clean or focus the lens",
    StopReason.SCENE_FROZEN: "restart the camera",
    StopReason.SELF_TEST_PENDING: "wait for the self-test",
    StopReason.SELF_TEST_FAILED: "check models and masks; the self-test must pass",
    StopReason.SITE_NOT_COMMISSIONED: "commission position and direction of the camera",
    StopReason.SITE_REGISTER: "install a valid register of premises",
    StopReason.SITE_POSITION: "wait for a position fix",
    StopReason.SITE_UNCOVERED: "commission masks over the premises in view",
    StopReason.SITE_IN_VIEW: "wait until the moving camera looks elsewhere",
    StopReason.STORAGE: "check the disk",
}

WAIVABLE: Final = frozenset(
    {
        StopReason.MASK_UNSIGNED,
        StopReason.CONFIG_UNSIGNED,
        StopReason.CLOCK_UNTRUSTED,
        StopReason.SCENE_NO_REFERENCE,
        StopReason.SELF_TEST_PENDING,
        StopReason.SITE_NOT_COMMISSIONED,
    }
)
"""What a bench may do without: each stands for something that a bench has not got."""


PASSING: Final = frozenset(
    {
        StopReason.CLOCK_STEPPED,
        StopReason.SCENE_UNKNOWN,
        StopReason.SELF_TEST_PENDING,
        StopReason.SITE_POSITION,
        StopReason.SITE_IN_VIEW,
    }
)
"""What passes by itself while frames come: a unit that ends when stopped waits for these."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One reason, with what was found, for people: never a plate, a name or a secret.

    Attributes:
        is_final: not to be waived, whatever the configuration says: something protected is, or may
            be, in view.
    """

    reason: StopReason
    detail: str
    is_final: bool = False

    def may_be(self, waived: frozenset[StopReason]) -> bool:
        """Whether it is waived."""
        return self.reason in waived and not self.is_final

    @property
    def hint(self) -> str:
        """What to do about it."""
        return HINTS[self.reason]


class MaskState(StrEnum):
    """What became of the mask record on disk."""

    USABLE = "usable"
    MISSING = "missing"
    DAMAGED = "damaged"


class SceneState(StrEnum):
    """What the comparison with the reference view says (N7)."""

    SAME = "same"
    UNKNOWN = "unknown"
    """Not compared yet, or not for too long."""
    MOVED = "moved"
    TURNED = "turned"
    """Another view; not remembered as a move, because a lorry before the lens looks alike."""
    COVERED = "covered"
    DEFOCUSED = "defocused"
    FROZEN = "frozen"


class SelfTest(StrEnum):
    """The last self-test under the masks in force."""

    PASSED = "passed"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """The mask record in force.

    Attributes:
        detail: why it is not usable.
        digest: names the record; changes with every commit.
        device, camera: what it was made for; `None`: it does not say (unsigned bench records only).
        frame_px: width and height it was made for; `None` as above.
        reference: digest of the reference view it was made with; `None`: without one.
    """

    state: MaskState = MaskState.MISSING
    detail: str = "there is no mask record"
    digest: str = ""
    is_signed: bool = False
    device: str | None = None
    camera: str | None = None
    frame_px: tuple[int, int] | None = None
    reference: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class ViewFacts:
    """The camera as it is now.

    Attributes:
        frame_px: width and height of its frames; `None` before the first.
        reference: digest of the reference view that the comparison uses; `None`: none is loaded.
        scene: what the comparison says; counts where the record has a reference.
    """

    device: str
    camera: str
    frame_px: tuple[int, int] | None = None
    reference: str | None = None
    scene: SceneState = SceneState.UNKNOWN


@dataclass(frozen=True, slots=True)
class SoftwareFacts:
    """What runs.

    Attributes:
        config_signed: the configuration's signature was verified.
        config_trouble: why the configuration is not the one that was signed; empty: it is, or there
            is no signature.
        model_trouble: why a model is not the one expected; empty: all are.
        storage_trouble: why the disk cannot be relied on; empty: it can.
    """

    config_signed: bool = False
    config_trouble: str = ""
    model_trouble: str = "no model is loaded"
    storage_trouble: str = ""
    self_test: SelfTest = SelfTest.PENDING


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The clocks.

    Attributes:
        now: aware UTC wall time.
        monotonic_ns: never steps.
        trouble: why the wall time is not trusted; empty: it is.
    """

    now: datetime
    monotonic_ns: int
    trouble: str = "nothing has set the clock since the start"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the interlock judges.

    Attributes:
        site: what register, commissioning and position forbid; empty: nothing.
    """

    mask: MaskFacts
    view: ViewFacts
    software: SoftwareFacts
    clock: ClockFacts
    site: tuple[Stop, ...] = ()


class Phase(StrEnum):
    """Where the device is."""

    STARTING = "starting"
    READING = "reading"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether anything may be read now.

    Attributes:
        stops: why not; empty exactly where reading is allowed.
        waived: what would stop a unit on a street, and does not stop this one.
    """

    stops: tuple[Stop, ...]
    waived: tuple[Stop, ...] = ()

    @property
    def may_read(self) -> bool:
        """No reason against it."""
        return not self.stops

    @property
    def reasons(self) -> frozenset[StopReason]:
        """The codes of the stops."""
        return frozenset(stop.reason for stop in self.stops)


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of the interlock.

    Attributes:
        max_step_ns: how far wall and monotonic time may drift apart between two judgements.
        settle_ns: how long a clock must run evenly after a step before it is believed again.
    """

    max_step_ns: int = 2_000_000_000
    settle_ns: int = 10_000_000_000


@dataclass(slots=True)
class Interlock:
    """Judges facts, one after the other; remembers moved cameras and clock steps.

    Raises:
        ValueError: a reason that cannot be waived.
    """

    waived: frozenset[StopReason] = frozenset()
    limits: Limits = field(default_factory=Limits)
    phase: Phase = Phase.STARTING
    _moved_under: str | None = None
    _last: ClockFacts | None = None
    _stepped_ns: int | None = None

    def __post_init__(self) -> None:
        wrong = self.waived - WAIVABLE
        if wrong:
            raise ValueError(f"cannot be waived: {', '.join(sorted(wrong))}")

    def judge(self, facts: Facts) -> Verdict:
        """The verdict on these facts; moves `phase`."""
        found = [
            *_mask(facts.mask, facts.view),
            *_validity(facts.mask, facts.clock.now),
            *_software(facts.software),
            *self._clock(facts.clock),
            *self._scene(facts.mask, facts.view),
            *_self_test(facts.software.self_test),
            *facts.site,
        ]
        stops = tuple(stop for stop in found if not stop.may_be(self.waived))
        waived = tuple(stop for stop in found if stop.may_be(self.waived))
        self.phase = Phase.STOPPED if stops else Phase.READING
        return Verdict(stops, waived)

    def _clock(self, clock: ClockFacts) -> Iterable[Stop]:
        last, self._last = self._last, clock
        if last is not None:
            ran_ns = clock.monotonic_ns - last.monotonic_ns
            told_ns = (clock.now - last.now).total_seconds() * 1e9
            if ran_ns < 0 or abs(told_ns - ran_ns) > self.limits.max_step_ns:
                self._stepped_ns = clock.monotonic_ns
        if self._stepped_ns is not None:
            even_ns = clock.monotonic_ns - self._stepped_ns
            if even_ns < self.limits.settle_ns:
                yield Stop(StopReason.CLOCK_STEPPED, "the clock was set while the unit ran")
            else:
                self._stepped_ns = None
        if clock.trouble:
            yield Stop(StopReason.CLOCK_UNTRUSTED, clock.trouble)

    def _scene(self, mask: MaskFacts, view: ViewFacts) -> Iterable[Stop]:
        if mask.state is not MaskState.USABLE:
            return
        if mask.reference is None:
            yield Stop(StopReason.SCENE_NO_REFERENCE, "the masks have no reference view")
            # What sees the camera moved all the same is believed.
            if view.scene is SceneState.UNKNOWN:
                return
        elif mask.reference != view.reference:
            yield Stop(
                StopReason.MASK_REFERENCE, "the reference view is not the one the masks have"
            )
        if view.scene is SceneState.MOVED:
            self._moved_under = mask.digest
        elif self._moved_under is not None and self._moved_under != mask.digest:
            self._moved_under = None
        if self._moved_under is not None:
            yield Stop(StopReason.SCENE_MOVED, "the camera was moved since it was commissioned")
        if view.scene not in (SceneState.SAME, SceneState.MOVED):
            reason = _SCENE[view.scene]
            yield Stop(reason, f"the picture is {view.scene.value} against the reference view")


_SCENE: Final = {
    SceneState.UNKNOWN: StopReason.SCENE_UNKNOWN,
    SceneState.TURNED: StopReason.SCENE_TURNED,
    SceneState.COVERED: StopReason.SCENE_COVERED,
    SceneState.DEFOCUSED: StopReason.SCENE_DEFOCUSED,
    SceneState.FROZEN: StopReason.SCENE_FROZEN,
}


def _mask(mask: MaskFacts, view: ViewFacts) -> Iterable[Stop]:
    if mask.state is MaskState.MISSING:
        yield Stop(StopReason.MASK_MISSING, mask.detail)
    if mask.state is MaskState.DAMAGED:
        yield Stop(StopReason.MASK_DAMAGED, mask.detail)
    if mask.state is not MaskState.USABLE:
        return
    if not mask.is_signed:
        yield Stop(StopReason.MASK_UNSIGNED, "nobody signed the mask record")
    # A signed record names what it is for; an unsigned one may leave it open.
    if mask.device != view.device and (mask.is_signed or mask.device is not None):
        yield Stop(StopReason.MASK_DEVICE, f"the masks are for another unit: {mask.device}")
    if mask.camera != view.camera and (mask.is_signed or mask.camera is not None):
        yield Stop(StopReason.MASK_CAMERA, f"the masks are for another camera: {mask.camera}")
    if mask.frame_px is None and mask.is_signed:
        yield Stop(StopReason.MASK_FRAME_SIZE, "the masks do not say for which frame size")
    elif mask.frame_px is not None and view.frame_px is not None:
        made, given = (f"{width}x{height}" for width, height in (mask.frame_px, view.frame_px))
        if made != given:
            detail = f"the masks were made for {made}, the camera gives {given}"
            yield Stop(StopReason.MASK_FRAME_SIZE, detail)


def _validity(mask: MaskFacts, now: datetime) -> Iterable[Stop]:
    if mask.state is not MaskState.USABLE:
        return
    if mask.valid_from is not None and now < mask.valid_from:
        yield Stop(
            StopReason.MASK_NOT_YET_VALID, f"valid from {mask.valid_from:%Y-%m-%d %H:%M} UTC"
        )
    if mask.valid_to is not None and now >= mask.valid_to:
        yield Stop(StopReason.MASK_EXPIRED, f"valid until {mask.valid_to:%Y-%m-%d %H:%M} UTC")


def _software(software: SoftwareFacts) -> Iterable[Stop]:
    if software.config_trouble:
        yield Stop(StopReason.CONFIG_CHANGED, software.config_trouble)
    elif not software.config_signed:
        yield Stop(StopReason.CONFIG_UNSIGNED, "nobody signed the configuration")
    if software.model_trouble:
        yield Stop(StopReason.MODEL_UNEXPECTED, software.model_trouble)
    if software.storage_trouble:
        yield Stop(StopReason.STORAGE, software.storage_trouble)


def _self_test(state: SelfTest) -> Iterable[Stop]:
    if state is SelfTest.FAILED:
        yield Stop(StopReason.SELF_TEST_FAILED, "a plate was read behind the masks, or none beside")
    if state is SelfTest.PENDING:
        yield Stop(StopReason.SELF_TEST_PENDING, "the self-test has not run under these masks")
