"""From configuration to live objects. Only this module knows all rooms."""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import alpr_edge
from alpr_edge.config.mask_file import mask_digest
from alpr_edge.config.rules import PRECISIONS
from alpr_edge.errors import AlprEdgeError, ExclusionError
from alpr_edge.exclusion.gate import Gate, GateLimits
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
    from alpr_edge.capture.port import FrameSource
    from alpr_edge.config.models import DeviceConfig, FilePath
    from alpr_edge.delivery.event import LedgerPosition
    from alpr_edge.ledger.setup import LedgerKit
    from alpr_edge.service import Observer, Service

_log = logging.getLogger(__name__)

SOFTWARE = f"alpr-edge {alpr_edge.__version__}"
STILL_MIN_CONFIDENCE = 0.3
"""Weakest read that `alpr-edge read` shows by default."""

_ZONES_KEPT = 8


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
    *, masks: str | None = None, threads: int = 1, min_confidence: float | None = None
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
        Detector(load_model("detector.onnx", threads=threads)),
        Recogniser(load_model("recogniser.onnx", threads=threads)),
        record,
        STILL_MIN_CONFIDENCE if min_confidence is None else min_confidence,
    )


# --- the device ------------------------------------------------------------------------------


class Engine:
    """Everything of a device that reads: models, masks and limits, before the first frame.

    Raises:
        ExclusionError: no usable mask record, or none of the reference view that is asked for (N3).
        InferenceError, TrustError: a model is missing, broken or not the one listed.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self.masks = load_mask_record(config)
        self.reference = load_reference(config)
        run, detector, recogniser = config.run, config.detector, config.recogniser
        find = _load(detector.model, "detector", detector.threads or run.threads, config)
        read = _load(recogniser.model, "recogniser", recogniser.threads or run.threads, config)
        self.model_digest = f"{find.digest},{read.digest}"
        size_px = detector.width, detector.height
        self._detector: FindsPlates = Detector(find, size_px=size_px, min_score=detector.min_score)
        if detector.second_looks:
            self._detector = SecondLook(
                self._detector, looks=detector.second_looks, window_px=size_px
            )
        self._recogniser = Recogniser(read)
        self.min_confidence = _min_confidence(config, read)

    def zones(self, size_px: tuple[int, int]) -> Zones:
        """The masks and the band for frames of this width and height."""
        return device_zones(self._config, self.masks, size_px)

    def pipeline(self, size_px: tuple[int, int]) -> Pipeline:
        """A pipeline for frames of this width and height.

        Raises:
            ExclusionError: the reference view is of another size, or too plain (N7).
        """
        zones, tracker = self.zones(size_px), self._config.tracker
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
    *,
    environment: Mapping[str, str] = os.environ,
    observer: Observer | None = None,
    source: FrameSource | None = None,
) -> Service:
    """The whole device, ready to run.

    Args:
        environment: holds the secrets that the configuration names.
        observer: sees every step.
        source: instead of the configured one.

    Raises:
        AlprEdgeError: whatever is missing or wrong; nothing has been read then.
    """
    from alpr_edge.delivery.setup import mqtt_settings
    from alpr_edge.ledger.setup import open_kit

    kit = open_kit(config, lambda: mqtt_settings(config, environment))
    try:
        return _make_service(config, environment, observer, source, kit)
    except AlprEdgeError as err:
        # What kept the device from starting is on record too.
        if kit is not None:
            kit.end("error", err.code)
        raise


def _make_service(
    config: DeviceConfig,
    environment: Mapping[str, str],
    observer: Observer | None,
    source: FrameSource | None,
    kit: LedgerKit | None,
) -> Service:
    from alpr_edge.config.parse import config_digest
    from alpr_edge.delivery.abilities import DeviceAbilities
    from alpr_edge.delivery.event import Provenance, UsageTerms
    from alpr_edge.delivery.health import Health, Running
    from alpr_edge.delivery.setup import make_courier
    from alpr_edge.delivery.stop_order import StopOrder
    from alpr_edge.ledger.setup import Started
    from alpr_edge.service import Service

    engine = Engine(config)
    source = source or make_source(config, environment)
    digest = config_digest(config)
    health = Health(Running(SOFTWARE, digest, engine.model_digest), time.monotonic())
    provenance = Provenance(
        device_id=config.device.id,
        site=config.device.site,
        camera=config.device.camera,
        model_digest=engine.model_digest,
        config_digest=digest,
        software=SOFTWARE,
    )
    stop_order = StopOrder(Path(config.outbox.path).with_name("stopped.json"))
    stop_order.check()
    abilities = DeviceAbilities(
        stop_order, checkpoint=None if kit is None else lambda: _checkpoint(kit)
    )
    recorder = None if kit is None else kit.recorder
    courier = make_courier(
        config, health, environment, software=SOFTWARE, abilities=abilities, observer=recorder
    )
    if kit is not None:
        models = tuple(engine.model_digest.split(","))
        kit.begin(Started(SOFTWARE, digest, mask_digest(engine.masks), models))
    service = Service(
        source=source,
        make_pipeline=engine.pipeline,
        courier=courier,
        health=health,
        provenance=provenance,
        usage=UsageTerms(timedelta(days=config.outbox.retention_days), config.usage.purposes),
        min_confidence=engine.min_confidence,
        observer=observer,
        metrics_port=config.health.metrics_port,
        ledger_position=(lambda: None) if kit is None else lambda: _ledger_position(kit),
        record=recorder,
        on_end=(lambda *_: None) if kit is None else kit.ended,
    )
    abilities.use(courier.health_document, service.stop)
    return service


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
    """The device's mask record.

    Raises:
        ExclusionError: there is none that can be used; nothing may be read (N3).
    """
    from alpr_edge.config.mask_store import load_device_masks

    return load_device_masks(config.exclusion.mask_file)


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
