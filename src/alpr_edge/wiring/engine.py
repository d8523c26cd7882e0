"""Models, zones and limits of a device, made to a pipeline for one frame size."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge.config.mask_file import mask_digest
from alpr_edge.config.rules import PRECISIONS
from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.self_test import Schedule
from alpr_edge.exclusion.view_reference import MAX_REFERENCE_BYTES, Reference, parse_reference
from alpr_edge.exclusion.view_watch import ViewWatch, WatchLimits
from alpr_edge.exclusion.zones import Zones, rasterise
from alpr_edge.pipeline import KnowsGround, Pipeline
from alpr_edge.process_guard import lock_memory
from alpr_edge.sight import FindsPlates
from alpr_edge.trust.key_files import load_model_keys
from alpr_edge.trust.model_signature import SignedModels
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import (
    Model,
    load_model,
    manifest_digest,
    models_folder,
    signed_models,
)
from alpr_edge.vision.precision import min_confidence_for
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.vision.second_look import SecondLook
from alpr_edge.vision.tracker import Tracker, TrackerLimits
from alpr_edge.zone_set import ZoneSet

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig, FilePath
    from alpr_edge.watch import Masks

_log = logging.getLogger(__name__)


class Engine:
    """Everything of a device that reads: models and limits, before the first frame.

    Raises:
        ExclusionError: no reference view, where one is asked for (N3).
        InferenceError, TrustError: a model is missing, broken or not the one listed.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self.reference = load_reference(config)
        self._asks_view = config.exclusion.reference_file is not None
        run, detector, recogniser = config.run, config.detector, config.recogniser
        self.signers: tuple[str, ...] = _signers(config)
        self.manifest = manifest_digest(_folder(detector.model))
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

    def pipeline(
        self, size_px: tuple[int, int], masks: Masks, ground: KnowsGround | None = None
    ) -> Pipeline:
        """A pipeline for frames of this width and height under these masks.

        Args:
            ground: tells of each plate whether its vehicle may stand on ground that taints.

        Raises:
            ExclusionError: there are none that can be used; the reference view is of another size,
                or too plain (N7), and the unit does not stay then (`run.on_stop`).
        """
        if masks.zones is None:
            raise ExclusionError(masks.facts.detail, code="exclusion.mask.missing")
        zones, tracker = device_zones(self._config, masks.zones, size_px), self._config.tracker
        pipeline = Pipeline(
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
            gate=Gate(zones, gate_limits(self._config), ground=ground is not None),
            watch=self._view_watch(zones),
            zones=zones,
            schedule=Schedule(every_ns=_ns(self._config.exclusion.self_test_every_s)),
            ground=ground,
        )
        for block in pipeline.memories:
            lock_memory(block)
        return pipeline

    def _view_watch(self, zones: Zones) -> ViewWatch:
        limits = watch_limits(self._config)
        try:
            return ViewWatch(self.reference, zones, limits, required=self._asks_view)
        except ExclusionError as err:
            # As where it is missing: the console stays, so that another one can be taken.
            if self._config.run.on_stop == "exit":
                raise
            _log.error("nothing is read: %s", err.message, extra={"code": err.code})
            return ViewWatch(None, zones, limits, required=True)


def gate_limits(config: DeviceConfig) -> GateLimits:
    """The gate's limits from the section [exclusion]."""
    exclusion = config.exclusion
    return GateLimits(
        hold_ns=_ns(exclusion.hold_s),
        max_hold_ns=_ns(exclusion.max_hold_s),
        max_gap_ns=_ns(exclusion.max_gap_s),
    )


def watch_limits(config: DeviceConfig) -> WatchLimits:
    """When the view is believed, from the section [exclusion]."""
    return WatchLimits(margin=config.exclusion.drift_margin, doubt_ns=_ns(config.exclusion.doubt_s))


def load_reference(config: DeviceConfig) -> Reference | None:
    """The device's reference view; None where the configuration asks for none.

    A unit that stays and says so (`run.on_stop = "idle"`) goes on without one that is missing:
    nothing is read (`ViewState.REFERENCE_MISSING`), and a new one can be taken.

    Raises:
        ExclusionError: it cannot be used; nothing may be read (N3).
    """
    path = config.exclusion.reference_file
    if path is None:
        return None
    try:
        return read_reference(path)
    except ExclusionError as err:
        if config.run.on_stop == "exit":
            raise
        _log.error("nothing is read: %s", err.message, extra={"code": err.code})
        return None


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


def _load(chosen: FilePath | str, what: str, threads: int, config: DeviceConfig) -> Model:
    providers = config.run.execution_providers
    name, folder = f"{what}.onnx", None
    if not isinstance(chosen, str):
        path = Path(chosen)
        name, folder = path.name, path.parent
    return load_model(
        name,
        folder=folder,
        threads=threads,
        providers=providers,
        kind=f"plate-{what}",
        signed=_signature(chosen, config),
    )


def _signature(chosen: FilePath | str, config: DeviceConfig) -> SignedModels | None:
    """What the signature beside a model covers; None where none is asked for.

    Raises:
        BadSignature: it does not hold.
        KeyUnusable: the list of keys cannot be used.
    """
    if config.models.keys is None:
        return None
    return signed_models(_folder(chosen), load_model_keys(config.models.keys))


def _folder(chosen: FilePath | str) -> Path:
    return models_folder() if isinstance(chosen, str) else Path(chosen).parent


def _signers(config: DeviceConfig) -> tuple[str, ...]:
    """Names of the keys that signed the models; empty where none is asked for."""
    chosen = (config.detector.model, config.recogniser.model)
    found = [one for one in (_signature(model, config) for model in chosen) if one is not None]
    return tuple(dict.fromkeys(one.signer for one in found))


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
    digest, band = mask_digest(masks), config.exclusion.band
    return rasterise(masks, size_px=size_px, digest=digest, least_band=band)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
