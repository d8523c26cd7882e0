"""The whole device: camera, engine, guard, ledger and delivery, ready to run."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import alpr_edge
from alpr_edge.config.mask_file import mask_digest
from alpr_edge.errors import AlprEdgeError, ExclusionError, InferenceError, TrustError
from alpr_edge.exclusion.interlock import (
    PASSING,
    MaskState,
    SceneState,
    SelfTest,
    StopReason,
    Verdict,
)
from alpr_edge.pipeline import Pipeline, StepResult
from alpr_edge.wiring.camera import make_source
from alpr_edge.wiring.engine import Engine, device_zones
from alpr_edge.wiring.guard import make_guard, make_mask_store, note_persons
from alpr_edge.wiring.names import commissioned_by, configured_by
from alpr_edge.wiring.signed_config import CITY_KEYS, SignatureCheck
from alpr_edge.wiring.view_files import settle_reference

if TYPE_CHECKING:
    from alpr_edge.capture.port import FrameSource
    from alpr_edge.config.models import DeviceConfig
    from alpr_edge.console.serial_port import ConsoleRoom
    from alpr_edge.console.unit import Live
    from alpr_edge.delivery.clocks import Clocks
    from alpr_edge.delivery.courier import Courier
    from alpr_edge.delivery.event import Event, LedgerPosition
    from alpr_edge.delivery.health import Health
    from alpr_edge.delivery.stop_order import StopOrder
    from alpr_edge.exclusion.zones import Zones
    from alpr_edge.ledger.kinds import ModelCheck
    from alpr_edge.ledger.recorder import Recorder
    from alpr_edge.ledger.setup import LedgerKit, Started
    from alpr_edge.ledger.telling import By, Tells
    from alpr_edge.service import Observer, Service
    from alpr_edge.watch import Guard

_log = logging.getLogger(__name__)
SOFTWARE = f"alpr-edge {alpr_edge.__version__}"


def make_service(
    config: DeviceConfig,
    check: SignatureCheck | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    observer: Observer | None = None,
    source: FrameSource | None = None,
    clocks: Clocks | None = None,
    config_file: Path | None = None,
) -> Service:
    """The whole device, ready to run.

    Args:
        check: of the configuration's signature, from `load_config`; without it, it has none.
        environment: holds the secrets that the configuration names.
        observer: sees every step.
        source: instead of the configured one.
        clocks: of delivery and commands, instead of the kernel's.
        config_file: where the configuration lies, for a console that puts another one there.

    Raises:
        AlprEdgeError: whatever is missing or wrong; nothing has been read then.
    """
    from alpr_edge.delivery.setup import mqtt_settings
    from alpr_edge.ledger.key_changes import tell_city_keys
    from alpr_edge.ledger.setup import open_kit

    signed = check or SignatureCheck()
    kit = open_kit(config, lambda: mqtt_settings(config, environment), signed.file)
    try:
        service = _make_service(
            config,
            signed,
            environment,
            observer,
            source,
            kit,
            clocks,
            config_file,
        )
        _note_persons(config, signed, kit)
        if kit is not None:
            tell_city_keys(signed.keys, kit.ledger.folder, kit.recorder)
        return service
    except Exception as err:
        # What kept the device from starting is on record too.
        if kit is not None:
            kit.end("error", err.code if isinstance(err, AlprEdgeError) else "internal")
        raise


def _make_service(
    config: DeviceConfig,
    check: SignatureCheck,
    environment: Mapping[str, str],
    observer: Observer | None,
    source: FrameSource | None,
    kit: LedgerKit | None,
    clocks: Clocks | None,
    config_file: Path | None,
) -> Service:
    from alpr_edge.config.parse import config_digest
    from alpr_edge.delivery.abilities import DeviceAbilities
    from alpr_edge.delivery.event import Provenance, UsageTerms
    from alpr_edge.delivery.health import Health, Running
    from alpr_edge.delivery.setup import make_courier
    from alpr_edge.ledger.settings import changed_settings
    from alpr_edge.ledger.setup import Started
    from alpr_edge.service import Service

    digest = config_digest(config)
    settle_reference(config)
    engine, trouble = _engine(config)
    models = "" if engine is None else engine.model_digest
    about: dict[str, object] = {"software": SOFTWARE, "config": digest, "models": models}
    guard = make_guard(config, check, model_trouble=trouble, about=about, environment=environment)
    verdict = _first_verdict(config, guard, engine)
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
    stop_order = _stop_order(config)
    abilities = DeviceAbilities(
        stop_order,
        checkpoint=None if kit is None else lambda: _checkpoint(kit),
        add_mask=_mask_adder(config, check),
        add_polygon=_polygon_adder(config, check),
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
        settings = changed_settings(config.model_dump(mode="json"), kit.ledger.folder)
        loaded = tuple(filter(None, models.split(",")))
        started = Started(
            SOFTWARE,
            digest,
            guard.mask_digest,
            loaded,
            *guard.place,
            settings=settings,
            manifest=_model_check(engine),
            signers=() if engine is None else engine.signers,
            configured=configured_by(config, check),
        )
        _begin_ledger(kit, started, guard, health)
        _tell_place(guard, kit.recorder, commissioned_by(config, check))

    def make_pipeline(size_px: tuple[int, int]) -> Pipeline:
        if engine is None:
            raise ExclusionError(trouble, code=str(StopReason.MODEL_UNEXPECTED))
        return engine.pipeline(size_px, guard.masks, guard.ground())

    room = _console(
        config,
        check,
        environment,
        courier,
        recorder,
        guard,
        stop=lambda: service.stop(),
        test_now=lambda: service.test_now(),
        config_file=config_file,
    )
    service = Service(
        source=source,
        guard=guard,
        exit_on_stop=config.run.on_stop == "exit",
        make_pipeline=make_pipeline,
        courier=courier,
        health=health,
        provenance=provenance,
        usage=UsageTerms(timedelta(days=config.outbox.retention_days), config.usage.purposes),
        min_confidence=1.0 if engine is None else engine.min_confidence,
        observer=observer if room is None else _watched(room[1], observer),
        beside=() if room is None else (room[0],),
        metrics_port=config.health.metrics_port,
        ledger_position=(lambda: None) if kit is None else lambda: _ledger_position(kit),
        record=recorder,
        on_end=_at_the_end(guard, kit),
        located=guard.located,
    )
    abilities.use(courier.health_document, service.stop, service.test_now)
    return service


def _stop_order(config: DeviceConfig) -> StopOrder:
    """The city's order to stop, if there is one.

    Raises:
        ExclusionError: there is: nothing is read.
    """
    from alpr_edge.delivery.stop_order import StopOrder

    order = StopOrder(Path(config.outbox.path).with_name("stopped.json"))
    order.check()
    return order


def _console(
    config: DeviceConfig,
    check: SignatureCheck,
    environment: Mapping[str, str],
    courier: Courier,
    recorder: Tells | None,
    guard: Guard,
    *,
    stop: Callable[[], None],
    test_now: Callable[[], bool],
    config_file: Path | None,
) -> tuple[ConsoleRoom, Live] | None:
    """The service's own console, and what it is given; None without a port."""
    if config.console.port is None:
        return None
    from alpr_edge.console.reference_taker import ReferenceTaker
    from alpr_edge.console.unit import Live
    from alpr_edge.console.view_keeper import ViewKeeper
    from alpr_edge.wiring.console import make_console_room, waiting_reads

    def zones_of(size_px: tuple[int, int]) -> Zones | None:
        masks = guard.masks.zones
        return None if masks is None else device_zones(config, masks, size_px)

    view, file = ViewKeeper(zones_of), config.exclusion.reference_file
    live = Live(
        health=lambda: dict(courier.health_document()),
        test_now=test_now,
        reads=waiting_reads(courier),
        view=view,
        stop=stop,
        reference=None if file is None else ReferenceTaker(Path(file), zones_of),
    )
    room = make_console_room(
        config,
        check,
        software=SOFTWARE,
        environment=environment,
        tells=recorder,
        live=live,
        config_file=config_file,
    )
    return None if room is None else (room, live)


def _watched(live: Live, observer: Observer | None) -> Observer:
    """An observer that keeps stills, takes reference views, and tells the one that was there."""

    def observe(result: StepResult, events: tuple[Event, ...]) -> None:
        live.view.offer(result.masked, result.sightings, seen=result.guards.may_read)
        if live.reference is not None:
            live.reference.offer(result.masked)
        if observer is not None:
            observer(result, events)

    return observe


def _first_verdict(config: DeviceConfig, guard: Guard, engine: Engine | None) -> Verdict:
    """What the guard says before the first frame.

    Raises:
        ExclusionError: it forbids reading, and the unit does not stay to tell.
    """
    from alpr_edge.service import refusal

    # View watch and self-test need frames: the pipeline holds them, and closes the way by itself.
    reference = None if engine is None or engine.reference is None else engine.reference.digest
    guard.view = replace(guard.view, reference=reference, scene=SceneState.SAME)
    guard.self_test = SelfTest.PASSED
    verdict = guard.judge(None)
    if config.run.on_stop == "exit" and verdict.reasons - PASSING:
        guard.close()
        raise refusal(verdict)
    return verdict


def _at_the_end(
    guard: Guard, kit: LedgerKit | None
) -> Callable[[AlprEdgeError | None, bool], None]:
    def end(error: AlprEdgeError | None, asked: bool) -> None:
        guard.close()
        if kit is not None:
            kit.ended(error, asked)

    return end


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
    unit = Unit(
        config.device.id,
        config.device.camera,
        config.exclusion.band,
        config.exclusion.reference_file is not None,
    )

    def add(data: bytes) -> str:
        now = datetime.now(UTC)
        ring = load_keyring(where, config.trust.persons)
        try:
            plan = store.commit(data, ring, unit, confirm_before=now, now=now, only_wider=True)
        except OSError as err:
            raise _not_kept(err) from err
        return plan.state.records[-1].digest

    return add


def _polygon_adder(config: DeviceConfig, check: SignatureCheck) -> Callable[[bytes], str] | None:
    """Joins a polygon of the city to what is in force; None where masks are not signed."""
    from alpr_edge.trust.key_files import load_public_keys

    where = CITY_KEYS if check.anchored else config.trust.city_keys
    if config.exclusion.mask_store is None or where is None:
        return None
    store = make_mask_store(config)

    def add(data: bytes) -> str:
        try:
            state = store.add(data, load_public_keys(where))
        except OSError as err:
            raise _not_kept(err) from err
        assert state.zones is not None
        return mask_digest(state.zones)

    return add


def _not_kept(err: OSError) -> ExclusionError:
    return ExclusionError(
        f"the masks cannot be kept: {err.strerror}",
        code="authority.store.disk",
        hint="look at the disk; the old masks or the new ones are in force",
    )


def _begin_ledger(kit: LedgerKit, started: Started, guard: Guard, health: Health) -> None:
    if not kit.key_is_sealed:
        health.warn("trust.key.in_file")
    kit.warn = lambda code, stands: health.warn(code, stands=stands)
    kit.begin(started)
    guard.on_masks = lambda: _tell_masks(guard, kit.recorder)


def _tell_place(guard: Guard, recorder: Recorder, by: Callable[[], By]) -> None:
    """Put the commissioning in force on record, and every later one."""
    from alpr_edge.ledger.recorder import NO_MASKS

    def tell() -> None:
        recorder.commissioning_in_force(guard.place[1], guard.mask_digest or NO_MASKS, by)

    guard.on_place = tell
    tell()


def _model_check(engine: Engine | None) -> ModelCheck:
    """What is on record of the models' manifest and signature."""
    from alpr_edge.ledger.kinds import ModelCheck
    from alpr_edge.vision.models import manifest_digest

    if engine is None:
        code = str(StopReason.MODEL_UNEXPECTED)
        return ModelCheck(manifest=manifest_digest(), outcome="refused", code=code)
    signer = next(iter(engine.signers), None)
    outcome: Literal["signed", "unsigned"] = "unsigned" if signer is None else "signed"
    return ModelCheck(manifest=engine.manifest, outcome=outcome, signer=signer)


def _note_persons(config: DeviceConfig, check: SignatureCheck, kit: LedgerKit | None) -> None:
    """An older list of persons counts for nothing; it stops no reading, and is told."""
    try:
        note_persons(config, check)
    except AlprEdgeError as err:
        _log.error("the list of persons", extra={"code": err.code, "hint": err.hint})
        if kit is not None:
            kit.recorder.storage_failed("keys", err.code)


def _tell_masks(guard: Guard, recorder: Recorder) -> None:
    recorder.masks_in_force(guard.mask_digest)
    if guard.masks.facts.state is MaskState.DAMAGED:
        recorder.storage_failed("masks", str(StopReason.MASK_DAMAGED))


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
