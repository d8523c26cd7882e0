"""From configuration to live objects. Only this module knows all rooms."""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import alpr_edge
from alpr_edge.config.mask_file import mask_digest
from alpr_edge.config.rules import PRECISIONS
from alpr_edge.errors import (
    AlprEdgeError,
    ConfigError,
    ExclusionError,
    InferenceError,
    KeyUnusable,
    TrustError,
)
from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.interlock import (
    HINTS,
    PASSING,
    Interlock,
    MaskState,
    SceneState,
    SelfTest,
    SoftwareFacts,
    StopReason,
)
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.self_test import Schedule
from alpr_edge.exclusion.view_reference import MAX_REFERENCE_BYTES, Reference, parse_reference
from alpr_edge.exclusion.view_watch import ViewWatch, WatchLimits
from alpr_edge.exclusion.zones import Zones, rasterise
from alpr_edge.pipeline import FindsPlates, Pipeline, ReadsPlates, read_still
from alpr_edge.process_guard import lock_memory
from alpr_edge.types import Drop, Frame, Sighting
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import Model, load_model
from alpr_edge.vision.precision import min_confidence_for
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.vision.second_look import SecondLook
from alpr_edge.vision.tracker import Tracker, TrackerLimits
from alpr_edge.zone_set import ZoneSet

if TYPE_CHECKING:
    from alpr_edge.authority.store import MaskStore
    from alpr_edge.capture.port import FrameSource
    from alpr_edge.config.models import DeviceConfig, FilePath
    from alpr_edge.delivery.clocks import Clocks
    from alpr_edge.delivery.event import LedgerPosition
    from alpr_edge.ledger.setup import LedgerKit
    from alpr_edge.service import Observer, Service
    from alpr_edge.trust.keys import PublicKey
    from alpr_edge.watch import Guard, Masks, MaskSource

_log = logging.getLogger(__name__)

SOFTWARE = f"alpr-edge {alpr_edge.__version__}"
STILL_MIN_CONFIDENCE = 0.3
"""Weakest read that `alpr-edge read` shows by default."""

CITY_KEYS = "/etc/alpr-edge/city-keys"
"""The city's keys as they come with a unit; stronger than what its configuration says."""

_ZONES_KEPT = 2


# --- photos ----------------------------------------------------------------------------------


class StillReader:
    """Reads photos of any size under one set of masks. One photo at a time."""

    def __init__(
        self,
        detector: FindsPlates,
        recogniser: ReadsPlates,
        masks: ZoneSet,
        min_confidence: float,
    ) -> None:
        self._detector = detector
        self._recogniser = recogniser
        self._masks = masks
        self._min_confidence = min_confidence
        self._zones: OrderedDict[tuple[int, int], Zones] = OrderedDict()

    def read(self, frame: Frame) -> tuple[tuple[Sighting, ...], tuple[Drop, ...]]:
        """Mask, detect, read, judge. Blanks the frame in place."""
        height, width = frame.image.shape[:2]
        return read_still(
            frame,
            self._zones_for((width, height)),
            self._detector,
            self._recogniser,
            min_confidence=self._min_confidence,
        )

    def _zones_for(self, size_px: tuple[int, int]) -> Zones:
        zones = self._zones.pop(size_px, None) or _zones(self._masks, size_px, 0.0)
        self._zones[size_px] = zones
        while len(self._zones) > _ZONES_KEPT:
            self._zones.popitem(last=False)
        return zones


def make_still_reader(
    *,
    masks: str | None = None,
    threads: int = 1,
    min_confidence: float | None = None,
    tier: Literal["accurate", "fast"] = "accurate",
) -> StillReader:
    """The reader of `alpr-edge read`.

    Raises:
        ConfigError: the mask file is missing or wrong.
        InferenceError, TrustError: a model is missing, broken or not the one listed.
    """
    record = ZoneSet(nothing_protected=True)
    if masks is not None:
        from alpr_edge.config.mask_store import load_masks

        record = load_masks(masks)
    return StillReader(
        Detector(load_model("detector.onnx", threads=threads), close_look=tier == "accurate"),
        Recogniser(load_model("recogniser.onnx", threads=threads), look_again=tier == "accurate"),
        record,
        STILL_MIN_CONFIDENCE if min_confidence is None else min_confidence,
    )


# --- the device ------------------------------------------------------------------------------


class Engine:
    """Everything of a device that reads: models and limits, before the first frame.

    Raises:
        ExclusionError: no reference view, where one is asked for (N3).
        InferenceError, TrustError: a model is missing, broken or not the one listed.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self.reference = load_reference(config)
        run, detector, recogniser = config.run, config.detector, config.recogniser
        find = _load(detector.model, "detector", detector.threads or run.threads, config)
        read = _load(recogniser.model, "recogniser", recogniser.threads or run.threads, config)
        self.model_digest = f"{find.digest},{read.digest}"
        size_px = detector.width, detector.height
        careful = run.tier == "accurate"
        self._detector: FindsPlates = Detector(
            find, size_px=size_px, min_score=detector.min_score, close_look=careful
        )
        if detector.second_looks:
            self._detector = SecondLook(
                self._detector, looks=detector.second_looks, window_px=size_px
            )
        self._recogniser = Recogniser(read, look_again=careful)
        self.min_confidence = _min_confidence(config, read)

    def pipeline(self, size_px: tuple[int, int], masks: Masks) -> Pipeline:
        """A pipeline for frames of this width and height under these masks.

        Raises:
            ExclusionError: there are none that can be used; the reference view is of another size,
                or too plain (N7).
        """
        if masks.zones is None:
            raise ExclusionError(masks.facts.detail, code="exclusion.mask.missing")
        zones, tracker = device_zones(self._config, masks.zones, size_px), self._config.tracker
        gate = Gate(zones, gate_limits(self._config))
        lock_memory(gate.memory)
        return Pipeline(
            masker=Masker(zones),
            detector=self._detector,
            recogniser=self._recogniser,
            tracker=Tracker(
                TrackerLimits(
                    max_unseen_ns=_ns(tracker.max_gap_s),
                    min_sightings=tracker.min_sightings,
                    max_tracks=tracker.max_tracks,
                    max_track_ns=_ns(self._config.exclusion.max_hold_s),
                )
            ),
            gate=gate,
            watch=ViewWatch(self.reference, zones, watch_limits(self._config)),
            zones=zones,
            schedule=Schedule(every_ns=_ns(self._config.exclusion.self_test_every_s)),
        )


def make_service(
    config: DeviceConfig,
    check: SignatureCheck | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    observer: Observer | None = None,
    source: FrameSource | None = None,
    clocks: Clocks | None = None,
) -> Service:
    """The whole device, ready to run.

    Args:
        check: of the configuration's signature, from `load_config`; without it, it has none.
        environment: holds the secrets that the configuration names.
        observer: sees every step.
        source: instead of the configured one.
        clocks: of delivery and commands, instead of the kernel's.

    Raises:
        AlprEdgeError: whatever is missing or wrong; nothing has been read then.
    """
    from alpr_edge.delivery.setup import mqtt_settings
    from alpr_edge.ledger.setup import open_kit

    kit = open_kit(config, lambda: mqtt_settings(config, environment))
    try:
        return _make_service(
            config, check or SignatureCheck(), environment, observer, source, kit, clocks
        )
    except AlprEdgeError as err:
        # What kept the device from starting is on record too.
        if kit is not None:
            kit.end("error", err.code)
        raise


def _make_service(
    config: DeviceConfig,
    check: SignatureCheck,
    environment: Mapping[str, str],
    observer: Observer | None,
    source: FrameSource | None,
    kit: LedgerKit | None,
    clocks: Clocks | None,
) -> Service:
    from alpr_edge.config.parse import config_digest
    from alpr_edge.delivery.abilities import DeviceAbilities
    from alpr_edge.delivery.event import Provenance, UsageTerms
    from alpr_edge.delivery.health import Health, Running
    from alpr_edge.delivery.setup import make_courier
    from alpr_edge.delivery.stop_order import StopOrder
    from alpr_edge.ledger.setup import Started
    from alpr_edge.service import Service, refusal

    digest = config_digest(config)
    engine, trouble = _engine(config)
    models = "" if engine is None else engine.model_digest
    about: dict[str, object] = {"software": SOFTWARE, "config": digest, "models": models}
    guard = make_guard(config, check, model_trouble=trouble, about=about)
    # View watch and self-test need frames: the pipeline holds them, and closes the way by itself.
    reference = None if engine is None or engine.reference is None else engine.reference.digest
    guard.view = replace(guard.view, reference=reference, scene=SceneState.SAME)
    guard.self_test = SelfTest.PASSED
    verdict = guard.judge(None)
    must_end = config.run.on_stop == "exit"
    if must_end and verdict.reasons - PASSING:
        raise refusal(verdict)
    source = source or make_source(config, environment)
    health = Health(Running(SOFTWARE, digest, models), time.monotonic())
    provenance = Provenance(
        device_id=config.device.id,
        site=config.device.site,
        camera=config.device.camera,
        model_digest=models,
        config_digest=digest,
        software=SOFTWARE,
    )
    health.interlock(verdict)
    stop_order = StopOrder(Path(config.outbox.path).with_name("stopped.json"))
    stop_order.check()
    abilities = DeviceAbilities(
        stop_order,
        checkpoint=None if kit is None else lambda: _checkpoint(kit),
        add_mask=_mask_adder(config, check),
    )
    recorder = None if kit is None else kit.recorder
    courier = make_courier(
        config,
        health,
        environment,
        software=SOFTWARE,
        abilities=abilities,
        observer=recorder,
        clocks=clocks,
    )
    if kit is not None:
        begun = Started(SOFTWARE, digest, guard.mask_digest, tuple(filter(None, models.split(","))))
        kit.begin(begun)

    def make_pipeline(size_px: tuple[int, int]) -> Pipeline:
        if engine is None:
            raise ExclusionError(trouble, code=str(StopReason.MODEL_UNEXPECTED))
        return engine.pipeline(size_px, guard.masks)

    service = Service(
        source=source,
        guard=guard,
        exit_on_stop=must_end,
        make_pipeline=make_pipeline,
        courier=courier,
        health=health,
        provenance=provenance,
        usage=UsageTerms(timedelta(days=config.outbox.retention_days), config.usage.purposes),
        min_confidence=1.0 if engine is None else engine.min_confidence,
        observer=observer,
        metrics_port=config.health.metrics_port,
        ledger_position=(lambda: None) if kit is None else lambda: _ledger_position(kit),
        record=recorder,
        on_end=(lambda *_: None) if kit is None else kit.ended,
    )
    abilities.use(courier.health_document, service.stop, service.test_now)
    return service


def _mask_adder(config: DeviceConfig, check: SignatureCheck) -> Callable[[bytes], str] | None:
    """Puts a signed mask record in force that protects more; None where masks are not signed.

    The guard sees the store change before the next frame and before the next release.
    """
    from alpr_edge.authority.rules import Unit
    from alpr_edge.trust.key_files import load_keyring

    where = CITY_KEYS if check.anchored else config.trust.city_keys
    if config.exclusion.mask_store is None or where is None:
        return None
    store = make_mask_store(config)
    unit = Unit(config.device.id, config.device.camera, config.exclusion.band)

    def add(data: bytes) -> str:
        now = datetime.now(UTC)
        ring = load_keyring(where, config.trust.persons)
        try:
            plan = store.commit(data, ring, unit, confirm_before=now, now=now, only_wider=True)
        except OSError as err:
            raise ExclusionError(
                f"the mask record cannot be kept: {err.strerror}",
                code="authority.store.disk",
                hint="look at the disk; the old masks or the new ones are in force",
            ) from err
        return plan.state.records[-1].digest

    return add


def _checkpoint(kit: LedgerKit) -> dict[str, str]:
    from alpr_edge.delivery.desk import NotAvailable

    note = kit.ledger.latest
    if note is None:
        raise NotAvailable
    return {"checkpoint": str(note)}


def _ledger_position(kit: LedgerKit) -> LedgerPosition | None:
    from alpr_edge.delivery.event import LedgerPosition
    from alpr_edge.ledger.note import parse_checkpoint

    note = kit.ledger.latest
    if note is None:
        return None
    head = parse_checkpoint(note.text)
    return LedgerPosition(head.size, head.root.hex())


def _engine(config: DeviceConfig) -> tuple[Engine | None, str]:
    """The engine, or why there is none: a unit that stays and says so needs no models."""
    try:
        return Engine(config), ""
    except (InferenceError, TrustError) as err:
        if config.run.on_stop == "exit":
            raise
        return None, str(err)


def make_source(config: DeviceConfig, environment: Mapping[str, str]) -> FrameSource:
    """The configured camera. Opens nothing yet.

    Raises:
        ConfigError: an environment variable that should hold a secret is not set.
    """
    from alpr_edge.capture.live import LiveOptions
    from alpr_edge.capture.playback import PlaybackOptions
    from alpr_edge.delivery.setup import secret

    source = config.source
    if source.kind == "street":
        from alpr_edge.simulator.light import Light
        from alpr_edge.simulator.street import Street, StreetConfig
        from alpr_edge.simulator.virtual_camera import StreetCamera

        street = Street(
            StreetConfig(
                seed=source.seed,
                width_px=source.width,
                height_px=source.height,
                fps=source.fps,
                duration_s=source.duration_s,
                light=Light(source.light),
                vehicles=source.vehicles,
            )
        )
        return StreetCamera(street, realtime=source.realtime, start=datetime.now(UTC))
    size = (source.width, source.height) if source.width and source.height else None
    if source.kind == "v4l2":
        from alpr_edge.capture.v4l2 import v4l2_source

        live = LiveOptions(backoff_min_s=source.backoff_min_s, backoff_max_s=source.backoff_max_s)
        return v4l2_source(
            source.device,
            size=(source.width, source.height),
            fourcc=source.fourcc,
            fps=source.fps,
            options=live,
        )
    if source.kind == "rtsp":
        from alpr_edge.capture.rtsp import rtsp_source, with_credentials

        username = secret(source.username_env, "source.username_env", environment)
        password = secret(source.password_env, "source.password_env", environment)
        return rtsp_source(
            with_credentials(source.url, username, password),
            transport=source.transport,
            open_timeout_s=source.open_timeout_s,
            read_timeout_s=source.read_timeout_s,
            options=LiveOptions(
                size=size,
                max_fps=source.fps,
                backoff_min_s=source.backoff_min_s,
                backoff_max_s=source.backoff_max_s,
            ),
        )
    from alpr_edge.capture.video import folder_source, video_file_source

    options = PlaybackOptions(realtime=source.realtime, loop=source.loop, size=size)
    if source.kind == "folder":
        return folder_source(source.path, fps=source.fps, options=options)
    return video_file_source(source.path, fps=source.fps, options=options)


def gate_limits(config: DeviceConfig) -> GateLimits:
    """The gate's limits from the section [exclusion]."""
    exclusion = config.exclusion
    return GateLimits(
        hold_ns=_ns(exclusion.hold_s),
        max_hold_ns=_ns(exclusion.max_hold_s),
        max_gap_ns=_ns(exclusion.max_gap_s),
        border=exclusion.border,
    )


def watch_limits(config: DeviceConfig) -> WatchLimits:
    """When the view is believed, from the section [exclusion]."""
    return WatchLimits(margin=config.exclusion.drift_margin, doubt_ns=_ns(config.exclusion.doubt_s))


def load_reference(config: DeviceConfig) -> Reference | None:
    """The device's reference view; None where the configuration asks for none.

    Raises:
        ExclusionError: it cannot be used; nothing may be read (N3).
    """
    path = config.exclusion.reference_file
    return None if path is None else read_reference(path)


def read_reference(path: str | os.PathLike[str]) -> Reference:
    """A reference view from a file.

    Raises:
        ExclusionError: `exclusion.reference.missing`, `.unreadable`, `.not_a_file`, `.too_large`
            or `.invalid`.
    """
    from alpr_edge.config.files import FileTrouble, display_name, read_regular_file

    source = display_name(path)
    data = read_regular_file(path, limit_bytes=MAX_REFERENCE_BYTES)
    if isinstance(data, FileTrouble):
        raise ExclusionError(
            f"the reference view {source} {data.detail}",
            code=f"exclusion.reference.{data.kind.value}",
            hint=f"{data.hint}, or take it again: alpr-edge reference take",
        )
    return parse_reference(data, source=f"the reference view {source}")


def load_mask_record(config: DeviceConfig) -> ZoneSet:
    """The masks in force.

    Raises:
        ExclusionError: there are none that can be used; nothing may be read (N3).
        KeyUnusable: the unit's own key cannot be made or read.
    """
    masks = make_mask_source(config).load()
    if masks.zones is None:
        missing = masks.facts.state is MaskState.MISSING
        raise ExclusionError(
            masks.facts.detail,
            code="exclusion.mask.missing" if missing else "exclusion.mask.invalid",
            hint=HINTS[StopReason.MASK_MISSING if missing else StopReason.MASK_DAMAGED],
        )
    return masks.zones


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """What became of the configuration's signature.

    Attributes:
        keys: the city's, by which it was checked.
        anchored: they came with the unit, not from the configuration.
    """

    is_signed: bool = False
    trouble: str = ""
    keys: tuple[PublicKey, ...] = ()
    anchored: bool = False


def city_keys_file(
    config: DeviceConfig, anchor: str | os.PathLike[str] = CITY_KEYS
) -> str | os.PathLike[str] | None:
    """Where the city's keys lie: as they came with the unit, or else as the configuration says."""
    return anchor if os.path.lexists(anchor) else config.trust.city_keys


def load_config(
    path: str | os.PathLike[str], *, anchor: str | os.PathLike[str] = CITY_KEYS
) -> tuple[DeviceConfig, SignatureCheck]:
    """A configuration and what its signature is worth.

    Args:
        anchor: the city's keys that came with the unit; where there is such a file, the keys that
            the configuration names do not count.

    Raises:
        ConfigError: as `config.store.load`.
    """
    from alpr_edge.config.files import display_name
    from alpr_edge.config.parse import parse
    from alpr_edge.config.store import read
    from alpr_edge.trust.key_files import load_public_keys
    from alpr_edge.watch import check_config_signature

    content = read(path)
    config = parse(content, source=display_name(path), folder=os.path.dirname(os.fspath(path)))
    anchored = os.path.lexists(anchor)
    where = city_keys_file(config, anchor)
    try:
        keys = () if where is None else load_public_keys(where)
    except KeyUnusable as err:
        return config, SignatureCheck(False, err.message, (), anchored)
    number_file = Path(config.trust.identity) / "config.number"
    signed, trouble = check_config_signature(path, content, keys, number_file)
    return config, SignatureCheck(signed, trouble, keys, anchored)


def make_guard(
    config: DeviceConfig,
    check: SignatureCheck,
    *,
    model_trouble: str = "",
    about: dict[str, object] | None = None,
) -> Guard:
    """What judges before every frame.

    Raises:
        KeyUnusable: the unit's own key cannot be made or read.
    """
    from alpr_edge.delivery.clocks import SystemClocks
    from alpr_edge.watch import Guard, clock_trouble

    clocks, accept = SystemClocks(), config.clock.accept
    status_file = config.run.status_file
    return Guard(
        masks=make_mask_source(config),
        interlock=Interlock(waived_reasons(config, check)),
        unit=(config.device.id, config.device.camera),
        software=SoftwareFacts(check.is_signed, check.trouble, model_trouble),
        clocks=clocks,
        trouble_of_clock=lambda: clock_trouble(clocks, accept),
        monotonic_ns=time.monotonic_ns,
        status_file=None if status_file is None else Path(status_file),
        about=about,
    )


def make_mask_source(config: DeviceConfig) -> MaskSource:
    """The signed records of the store, or a bench's file.

    Raises:
        KeyUnusable: the unit's own key cannot be made or read.
    """
    from alpr_edge.watch import PlainMasks, StoredMasks

    if config.exclusion.mask_file is not None:
        return PlainMasks(config.exclusion.mask_file)
    return StoredMasks(make_mask_store(config))


def make_mask_store(config: DeviceConfig) -> MaskStore:
    """The store of signed mask records.

    Raises:
        ConfigError: the configuration names none.
        KeyUnusable: the unit's own key cannot be made or read.
    """
    from alpr_edge.authority.store import MaskStore
    from alpr_edge.trust.device_identity import device_key

    if config.exclusion.mask_store is None:
        raise ConfigError(
            "the configuration names no mask_store",
            code="config.no_mask_store",
            hint="set exclusion.mask_store to a folder; mask_file is for a bench only",
        )
    return MaskStore(config.exclusion.mask_store, device_key(config.trust.identity))


def waived_reasons(config: DeviceConfig, check: SignatureCheck) -> frozenset[StopReason]:
    """What does not stop this unit. What it waives is told with every verdict."""
    # A unit without a reference view reads, and says so: exclusion.reference_file is a choice.
    waived = {StopReason.SCENE_NO_REFERENCE}
    if check.anchored and not check.is_signed:
        return frozenset(waived)
    if not config.trust.require_signatures:
        waived |= {StopReason.CONFIG_UNSIGNED, StopReason.MASK_UNSIGNED}
    if config.clock.accept == "assumed":
        waived |= {StopReason.CLOCK_UNTRUSTED}
    return frozenset(waived)


def _load(chosen: FilePath | str, what: str, threads: int, config: DeviceConfig) -> Model:
    providers = config.run.execution_providers
    name, folder = f"{what}.onnx", None
    if not isinstance(chosen, str):
        path = Path(chosen)
        name, folder = path.name, path.parent
    return load_model(
        name, folder=folder, threads=threads, providers=providers, kind=f"plate-{what}"
    )


def _min_confidence(config: DeviceConfig, recogniser: Model) -> float:
    """The weakest confidence that is published, by `recogniser.precision` where it is given."""
    wanted = config.recogniser.precision
    if wanted is None:
        return config.recogniser.min_confidence
    if "thresholds" not in recogniser.about:
        _log.warning("the recogniser has no table of thresholds: its confidences are taken as such")
    share = PRECISIONS[wanted] if isinstance(wanted, str) else wanted
    return min_confidence_for(share, recogniser.about)


def device_zones(config: DeviceConfig, masks: ZoneSet, size_px: tuple[int, int]) -> Zones:
    """The zones of a device's masks at one frame size."""
    return _zones(masks, size_px, config.exclusion.band)


def still_zones(masks: ZoneSet, size_px: tuple[int, int]) -> Zones:
    """The zones of masks from a file, without a band of their own."""
    return _zones(masks, size_px, 0.0)


def _zones(masks: ZoneSet, size_px: tuple[int, int], least_band: float) -> Zones:
    digest = mask_digest(masks)
    return rasterise(masks, size_px=size_px, digest=digest, least_band=least_band)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
