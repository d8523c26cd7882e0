"""N3 through the real service: every cause, alone and beside any other, and nothing is looked at.

Real: service, guard, interlock, pipeline, gate, mask store on disk, signatures, courier, outbox,
status file. Fakes: the camera (`StillSource`), the broker in memory, clocks that can be set, and an
engine that reads a plate wherever it is asked, and says that it was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpr_edge.authority.record import MaskRecord, record_payload
from alpr_edge.authority.rules import Unit
from alpr_edge.authority.store import MaskStore
from alpr_edge.capture.still import StillSource
from alpr_edge.cli import main
from alpr_edge.delivery.clocks import SetClocks, SystemClocks
from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import cloudevents
from alpr_edge.delivery.event import Provenance, UsageTerms
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.memory_link import MemoryLink
from alpr_edge.delivery.port import Topics
from alpr_edge.errors import ExclusionError, TrustError
from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.interlock import (
    PASSING,
    Interlock,
    SceneState,
    SelfTest,
    SoftwareFacts,
    Stop,
    StopReason,
)
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.pipeline import Pipeline
from alpr_edge.service import Service, refusal
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign, sign_file
from alpr_edge.trust.keyring import Keyring
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.types import Detection, PlateCrop, Read
from alpr_edge.vision.tracker import Tracker, TrackerLimits
from alpr_edge.watch import Guard, PlainMasks, StoredMasks, check_config_signature, clock_trouble
from alpr_edge.zone_set import ZonePolygon, ZoneSet

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
WIDTH, HEIGHT = 96, 64
CITY, ANNA, DEVICE = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
RING = Keyring((CITY.public,))
UNIT = Unit("unit-1", "cam0")
CORNER = ((0.0, 0.0), (0.25, 0.0), (0.25, 0.25), (0.0, 0.25))
RECORD = MaskRecord(
    number=1,
    device="unit-1",
    camera="cam0",
    frame_px=(WIDTH, HEIGHT),
    zones=ZoneSet((ZonePolygon("corner", CORNER),)),
    valid_from=NOW - HOUR,
    valid_to=NOW + 24 * HOUR,
    reference="a" * 64,
    authors=("the city",),
)
CONFIG = b'[device]\nid = "unit-1"\n'


IN_ORDER = SoftwareFacts(self_test=SelfTest.PASSED)


class AskedEngine:
    """Finds and reads a plate in the middle of every frame, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]:
        self.asked += 1
        quad = np.array([[40, 30], [60, 30], [60, 36], [40, 36]], np.float32)
        return (Detection(quad, 0.9),)

    def read(self, crops: list[PlateCrop]) -> list[Read | None]:
        return [Read("7ABC123", 0.99, (0.99,) * 7, None) for _ in crops]


@dataclass
class Bench:
    """A unit on which everything is in order, until a cause is applied."""

    folder: Path
    engine: AskedEngine = field(default_factory=AskedEngine)
    clocks: SetClocks = field(default_factory=lambda: SetClocks(wall=NOW.timestamp()))
    link: MemoryLink = field(default_factory=MemoryLink)
    record: MaskRecord = RECORD
    committed: bool = True
    plain: bool = False
    size: tuple[int, int] = (WIDTH, HEIGHT)
    software: SoftwareFacts = IN_ORDER
    config_key: PrivateKey | None = CITY
    config_now: bytes = CONFIG
    models: str = ""
    scene: SceneState = SceneState.SAME
    reference: str | None = "a" * 64
    site: list[Stop] = field(default_factory=list)
    after_commit: list[Callable[[Path], object]] = field(default_factory=list)
    waived: frozenset[StopReason] = frozenset()
    on_disk: bool = True

    def build(self, *, exit_on_stop: bool, frames: int = 3) -> Service:
        """Make the unit as it is on disk, and start it as `wiring` does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "unit.toml"
        config.write_bytes(self.config_now)
        if self.config_key is not None:
            signature = sign_file(DocumentType.CONFIG, CONFIG, self.config_key, number=1)
            Path(f"{config}.sig").write_bytes(signature)
        signed, trouble = check_config_signature(
            config, self.config_now, RING.city, self.folder / "config.number"
        )
        self.guard = Guard(
            masks=self._masks(),
            interlock=Interlock(self.waived),
            unit=("unit-1", "cam0"),
            software=replace(
                self.software,
                config_signed=signed,
                config_trouble=trouble,
                model_trouble=self.models,
            ),
            clocks=self.clocks,
            trouble_of_clock=lambda: clock_trouble(self.clocks, "synchronised"),
            monotonic_ns=lambda: int(self.clocks.boot * 1e9),
            status_file=self.folder / "status.json" if self.on_disk else None,
        )
        self.guard.view = replace(self.guard.view, reference=self.reference, scene=self.scene)
        self.guard.self_test = self.software.self_test
        self.guard.site = tuple(self.site)
        self.health = Health("test", 0.0)
        self.courier = Courier(
            self._outbox(),
            self.link,
            cloudevents(Topics("unit-1", "t")),
            health=self.health,
            settings=CourierSettings(settle_on="puback"),
        )
        return Service(
            source=StillSource([np.full((self.size[1], self.size[0], 3), 90, np.uint8)] * frames),
            guard=self.guard,
            make_pipeline=self._pipeline,
            courier=self.courier,
            health=self.health,
            provenance=Provenance("unit-1", "site", "cam0", "m", "c", "test"),
            usage=UsageTerms(timedelta(days=30)),
            min_confidence=0.5,
            exit_on_stop=exit_on_stop,
            observer=self._observe,
        )

    def _observe(self, *_: object) -> None:
        self.clocks.pass_s(1.0)

    def _outbox(self) -> Any:
        from alpr_edge.delivery.outbox import Outbox

        return Outbox(self.folder / "outbox.db", clocks=self.clocks)

    def _masks(self) -> StoredMasks | PlainMasks:
        if self.plain:
            path = self.folder / "masks.json"
            path.write_text('{"masks": [], "nothing_protected": true}')
            return PlainMasks(path)
        store = MaskStore(self.folder / "masks", DEVICE)
        if not self.on_disk:  # three hundred units: without waiting for the disk each time
            store = MaskStore(self.folder / "masks", DEVICE, write=Path.write_bytes)
        if self.committed:
            self.commit(store, self.record)
        for change in self.after_commit:
            change(self.folder / "masks")
        return StoredMasks(store)

    def commit(self, store: MaskStore, record: MaskRecord) -> None:
        """As the city: without a look at validity, as a clock that is not trusted has it."""
        unit = Unit(record.device, record.camera)
        data = sign(DocumentType.MASK_RECORD, record_payload(record), CITY)
        store.commit(data, RING, unit, confirm_before=NOW + HOUR, now=None)

    def _pipeline(self, size_px: tuple[int, int]) -> Pipeline:
        masks = self.guard.masks
        assert masks.zones is not None
        zones = rasterise(masks.zones, size_px=size_px, digest=masks.facts.digest)
        return Pipeline(
            masker=Masker(zones),
            detector=self.engine,
            recogniser=self.engine,
            tracker=Tracker(TrackerLimits(min_sightings=1)),
            gate=Gate(zones, GateLimits(hold_ns=0)),
        )

    def reading(self) -> dict[str, Any]:
        """What the health topic says of reading."""
        return dict(self.courier.health_document()["reading"])


def no_masks(bench: Bench) -> None:
    bench.committed = False


def damaged(bench: Bench) -> None:
    def change(masks: Path) -> None:
        masks.mkdir(exist_ok=True)
        (masks / "state.json").write_bytes(b"{}")

    bench.after_commit.append(change)


def changed_config(bench: Bench) -> None:
    bench.config_now = CONFIG + b"# changed\n"


def unsigned_config(bench: Bench) -> None:
    bench.config_key = None


def record_with(**changes: Any) -> Callable[[Bench], None]:
    def apply(bench: Bench) -> None:
        bench.record = replace(bench.record, **changes)

    return apply


def unit_with(**changes: Any) -> Callable[[Bench], None]:
    def apply(bench: Bench) -> None:
        for name, value in changes.items():
            setattr(bench, name, value)

    return apply


def untrusted_clock(bench: Bench) -> None:
    bench.clocks.trusted = False


def self_test(state: SelfTest) -> Callable[[Bench], None]:
    def apply(bench: Bench) -> None:
        bench.software = replace(bench.software, self_test=state)

    return apply


def full_disk(bench: Bench) -> None:
    bench.software = replace(bench.software, storage_trouble="the disk is full")


def site(reason: StopReason) -> Callable[[Bench], None]:
    return lambda bench: bench.site.append(Stop(reason, "found by another room"))


CAUSES: dict[StopReason, Callable[[Bench], None]] = {
    StopReason.MASK_MISSING: no_masks,
    StopReason.MASK_DAMAGED: damaged,
    StopReason.MASK_UNSIGNED: unit_with(plain=True),
    StopReason.MASK_NOT_YET_VALID: record_with(valid_from=NOW + HOUR),
    StopReason.MASK_EXPIRED: record_with(valid_to=NOW - HOUR / 2),
    StopReason.MASK_DEVICE: record_with(device="unit-2"),
    StopReason.MASK_CAMERA: record_with(camera="cam1"),
    StopReason.MASK_FRAME_SIZE: unit_with(size=(128, 64)),
    StopReason.MASK_REFERENCE: unit_with(reference="b" * 64),
    StopReason.CONFIG_UNSIGNED: unsigned_config,
    StopReason.CONFIG_CHANGED: changed_config,
    StopReason.MODEL_UNEXPECTED: unit_with(models="the model x is not the one listed"),
    StopReason.CLOCK_UNTRUSTED: untrusted_clock,
    StopReason.SCENE_NO_REFERENCE: record_with(reference=None),
    StopReason.SCENE_UNKNOWN: unit_with(scene=SceneState.UNKNOWN),
    StopReason.SCENE_MOVED: unit_with(scene=SceneState.MOVED),
    StopReason.SCENE_TURNED: unit_with(scene=SceneState.TURNED),
    StopReason.SCENE_COVERED: unit_with(scene=SceneState.COVERED),
    StopReason.SCENE_DEFOCUSED: unit_with(scene=SceneState.DEFOCUSED),
    StopReason.SCENE_FROZEN: unit_with(scene=SceneState.FROZEN),
    StopReason.SELF_TEST_PENDING: self_test(SelfTest.PENDING),
    StopReason.SELF_TEST_FAILED: self_test(SelfTest.FAILED),
    StopReason.STORAGE: full_disk,
    StopReason.SITE_NOT_COMMISSIONED: site(StopReason.SITE_NOT_COMMISSIONED),
    StopReason.SITE_REGISTER: site(StopReason.SITE_REGISTER),
    StopReason.SITE_POSITION: site(StopReason.SITE_POSITION),
    StopReason.SITE_UNCOVERED: site(StopReason.SITE_UNCOVERED),
    StopReason.SITE_IN_VIEW: site(StopReason.SITE_IN_VIEW),
}
BY_TIME = {StopReason.CLOCK_STEPPED}


def test_there_is_a_cause_for_every_reason() -> None:
    assert set(CAUSES) | BY_TIME == set(StopReason)


def test_with_everything_in_order_it_reads(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    service = bench.build(exit_on_stop=True)
    service.run()
    assert bench.engine.asked == 3
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["phase"] == "reading"
    assert status["masks"] == {
        "digest": bench.guard.mask_digest,
        "number": 1,
        "signed": True,
    }


def test_the_status_tells_what_the_pipelines_own_guards_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(tmp_path)
    bench.build(exit_on_stop=True).run()
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["guards"]["may_read"]
    assert status["phase"] == "reading"
    bench.guard.noted(may_read=False, view="moved", self_test="passed")
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["guards"] == {"may_read": False, "view": "moved", "self_test": "passed"}
    # The bench's clocks are set by hand: let it look as if told just now.
    system = SystemClocks()
    status |= {"told_boot_s": system.boot_s(), "boot_id": system.boot_id()}
    (tmp_path / "status.json").write_text(json.dumps(status))
    config = tmp_path / "device.toml"
    config.write_text(
        '[device]\nid = "u"\nsite = "s"\n[source]\nkind = "street"\n[exclusion]\n'
        'mask_file = "m.json"\n[mqtt]\nhost = "127.0.0.1"\n[run]\nstatus_file = "status.json"\n'
    )
    assert main(["status", "--config", str(config)]) == 3
    assert "view: moved" in capsys.readouterr().out


@pytest.mark.parametrize("reason", CAUSES)
def test_every_cause_alone_ends_it_with_its_code(tmp_path: Path, reason: StopReason) -> None:
    bench = Bench(tmp_path)
    CAUSES[reason](bench)
    service = bench.build(exit_on_stop=True)
    if reason in PASSING:
        service.run()
    else:
        with pytest.raises(ExclusionError) as caught:
            service.run()
        assert caught.value.code == reason
        assert caught.value.exit_status == 3
        assert caught.value.hint
    assert bench.engine.asked == 0
    assert service.tally.published == 0
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["phase"] == "stopped"
    codes = {stop["code"] for stop in status["stops"]}
    # A bench's plain file of masks has no reference view either.
    extra = {StopReason.SCENE_NO_REFERENCE} if reason is StopReason.MASK_UNSIGNED else set()
    assert codes == {reason} | extra


def test_every_pair_of_causes_is_stated_and_nothing_is_looked_at(tmp_path: Path) -> None:
    never_together = {StopReason.MASK_NOT_YET_VALID, StopReason.MASK_EXPIRED}
    pairs = [pair for pair in combinations(CAUSES, 2) if set(pair) != never_together]
    for number, pair in enumerate(pairs):
        bench = Bench(tmp_path / str(number), on_disk=False)
        for reason in pair:
            CAUSES[reason](bench)
        service = bench.build(exit_on_stop=False, frames=2)
        service.run()
        assert bench.engine.asked == 0, pair
        told = bench.reading()
        assert told["phase"] == "stopped", pair
        # The second may hide the first (masks that are missing have no validity), never both.
        assert set(pair) & set(told["stops"]), pair
        assert not bench.link.sent


# --- while it runs ---------------------------------------------------------------------------


def during(bench: Bench, at: int, change: Callable[[], object]) -> Service:
    """A running unit; `change` happens after the frame of that number."""
    steps = []

    def observe(*_: object) -> None:
        bench.clocks.pass_s(1.5)
        steps.append(1)
        if len(steps) == at:
            change()

    bench._observe = observe  # type: ignore[method-assign]
    return bench.build(exit_on_stop=False, frames=8)


def test_a_record_that_expires_stops_a_running_unit(tmp_path: Path) -> None:
    bench = Bench(tmp_path, record=replace(RECORD, valid_to=NOW + timedelta(seconds=4)))
    during(bench, 99, lambda: None).run()
    assert bench.engine.asked == 3
    assert bench.reading()["stops"] == [StopReason.MASK_EXPIRED]


def test_a_clock_that_steps_stops_a_running_unit(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def step() -> None:
        bench.clocks.wall += 600

    during(bench, 2, step).run()
    assert bench.engine.asked == 2
    assert bench.reading()["stops"] == [StopReason.CLOCK_STEPPED]


def test_masks_that_are_damaged_stop_a_running_unit(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    during(bench, 3, lambda: (tmp_path / "masks/state.json").write_bytes(b"x")).run()
    assert bench.engine.asked == 3
    assert bench.reading()["stops"] == [StopReason.MASK_DAMAGED]


def test_wider_masks_take_effect_at_once_in_a_running_unit(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    masked: list[str] = []
    whole = ZoneSet(whole_frame=True)

    def widen() -> None:
        store = MaskStore(tmp_path / "masks", DEVICE)
        newest = store.load().state.newest
        assert newest is not None
        bench.commit(store, replace(RECORD, number=2, previous=newest.digest, zones=whole))

    service = during(bench, 3, widen)
    before = bench.guard.mask_digest
    looked = bench.engine.detect

    def detect(frame: MaskedFrame) -> tuple[Detection, ...]:
        masked.append(frame.mask_digest)
        assert not frame.image.any() or len(masked) <= 3
        return looked(frame)

    bench.engine.detect = detect  # type: ignore[method-assign]
    service.run()
    assert len(masked) == 8
    assert len(set(masked[:3])) == 1
    assert len(set(masked[3:])) == 1
    assert masked[0] != masked[3] == bench.guard.mask_digest != before


def test_what_was_open_when_it_stops_is_destroyed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def move() -> None:
        bench.guard.view = replace(bench.guard.view, scene=SceneState.MOVED)

    service = during(bench, 3, move)
    service.run()
    assert bench.engine.asked == 3
    assert service.tally.published == 0
    assert sum(service.tally.drops.values()) >= 1
    assert not bench.link.sent


def test_an_idle_unit_goes_on_when_the_cause_has_passed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, scene=SceneState.COVERED)
    service = bench.build(exit_on_stop=False, frames=4)
    judge, judged = bench.guard.judge, []

    def uncover(size: tuple[int, int] | None) -> Any:
        judged.append(1)
        bench.clocks.pass_s(1.5)
        if len(judged) == 3:
            bench.guard.view = replace(bench.guard.view, scene=SceneState.SAME)
        return judge(size)

    bench.guard.judge = uncover  # type: ignore[method-assign]
    service.run()
    assert bench.engine.asked == 2


def test_what_a_bench_waives_is_told_everywhere(tmp_path: Path) -> None:
    reasons = {
        StopReason.CONFIG_UNSIGNED,
        StopReason.MASK_UNSIGNED,
        StopReason.CLOCK_UNTRUSTED,
        StopReason.SCENE_NO_REFERENCE,
    }
    bench = Bench(tmp_path, plain=True, config_key=None, waived=frozenset(reasons))
    bench.clocks.trusted = False
    bench.build(exit_on_stop=True).run()
    assert bench.engine.asked == 3
    assert bench.reading()["phase"] == "reading"
    assert set(bench.reading()["waived"]) == reasons
    status = json.loads((tmp_path / "status.json").read_text())
    assert {one["code"] for one in status["waived"]} == reasons


def test_a_refusal_names_all_reasons(tmp_path: Path) -> None:
    bench = Bench(tmp_path, scene=SceneState.COVERED, models="the model x is not the one listed")
    bench.build(exit_on_stop=True)
    text = str(refusal(bench.guard.judge((WIDTH, HEIGHT))))
    assert StopReason.MODEL_UNEXPECTED in text
    assert StopReason.SCENE_COVERED in text


# --- the configuration's signature -----------------------------------------------------------


def test_a_configuration_never_goes_back_to_an_older_number(tmp_path: Path) -> None:
    config, kept = tmp_path / "u.toml", tmp_path / "id" / "config.number"

    def check(content: bytes, number: object, key: PrivateKey = CITY) -> tuple[bool, str]:
        signature = sign_file(DocumentType.CONFIG, content, key, number=number)
        Path(f"{config}.sig").write_bytes(signature)
        return check_config_signature(config, content, RING.city, kept)

    assert check(b"two", 2) == (True, "")
    assert check(b"two", 2) == (True, "")
    signed, why = check(b"one", 1)
    assert not signed
    assert "number 1" in why
    assert check(b"three", 3) == (True, "")
    assert check(b"two", 2)[0] is False
    assert check(b"x", 4, ANNA)[0] is False
    for number in (None, True, 0, "5"):
        assert check(b"x", number)[0] is False
    Path(f"{config}.sig").write_bytes(b"nonsense")
    assert check_config_signature(config, b"x", RING.city, kept)[1]
    Path(f"{config}.sig").unlink()
    assert check_config_signature(config, b"x", RING.city, kept) == (False, "")


# --- the clock -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "trusted", "hctosys", "ok"),
    [
        ("synchronised", True, None, True),
        ("synchronised", False, "1", False),
        ("rtc", False, "1", True),
        ("rtc", False, "0", False),
        ("rtc", False, None, False),
        ("assumed", False, "1", False),
    ],
)
def test_when_the_clock_is_trusted(
    tmp_path: Path, accept: str, trusted: bool, hctosys: str | None, ok: bool
) -> None:
    clocks = SetClocks(wall=NOW.timestamp())
    clocks.trusted = trusted
    if hctosys is not None:
        (tmp_path / "hctosys").write_text(hctosys + "\n")
    assert (clock_trouble(clocks, accept, tmp_path) == "") is ok


def test_a_time_before_the_software_was_written_is_never_trusted(tmp_path: Path) -> None:
    clocks = SetClocks(wall=datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    assert clock_trouble(clocks, "synchronised", tmp_path)


def run_until_wider_masks(folder: Path, at: int) -> tuple[Service, list[int]]:
    """A plate crosses the frame in eleven; at one frame, while it is looked at, masks grow."""
    size = (640, 360)
    bench = Bench(folder, size=size, record=replace(RECORD, frame_px=size))
    service = bench.build(exit_on_stop=True, frames=90)
    store = MaskStore(folder / "masks", DEVICE)
    first = store.load().state.newest
    assert first is not None
    more = ZonePolygon("more", ((0.75, 0.0), (1.0, 0.0), (1.0, 0.25), (0.75, 0.25)))
    zones = ZoneSet((*RECORD.zones.masks, more))
    wider = replace(bench.record, number=2, previous=first.digest, zones=zones)
    released_at: list[int] = []
    start = 30

    class Commits(AskedEngine):
        def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]:
            if service.tally.published and not released_at:
                released_at.append(self.asked)
            super().detect(frame)
            if self.asked == at:
                bench.commit(store, wider)
            x = 60.0 * (frame.sequence - start)
            quad = np.array([[x, 335], [x + 40, 335], [x + 40, 345], [x, 345]], np.float32)
            return (Detection(quad, 0.9),) if 0 <= x <= 600 else ()

    bench.engine = Commits()
    service.run()
    return service, released_at


def test_what_is_open_or_held_when_wider_masks_come_is_never_released(tmp_path: Path) -> None:
    untouched, released_at = run_until_wider_masks(tmp_path / "never", at=0)
    assert untouched.tally.published == 1
    # While it is open, while nothing is seen any more, and in the frame that would release it.
    for at in (39, 44, released_at[0]):
        service, _ = run_until_wider_masks(tmp_path / str(at), at)
        assert service.tally.frames == 90
        assert service.tally.published == 0
        assert service.tally.drops


def test_over_the_network_masks_only_grow(tmp_path: Path) -> None:
    store = MaskStore(tmp_path / "masks", DEVICE)

    def commit(record: MaskRecord) -> None:
        data = sign(DocumentType.MASK_RECORD, record_payload(record), CITY)
        store.commit(data, RING, UNIT, confirm_before=NOW, now=NOW, only_wider=True)

    with pytest.raises(TrustError) as caught:
        commit(RECORD)
    assert caught.value.code == "authority.narrows"
    Bench(tmp_path).commit(store, RECORD)
    before = store.load().state
    assert before.newest is not None
    less = ZoneSet(nothing_protected=True)
    with pytest.raises(TrustError) as caught:
        commit(replace(RECORD, number=2, previous=before.newest.digest, zones=less))
    assert caught.value.code == "authority.narrows"
    assert store.load().state == before
