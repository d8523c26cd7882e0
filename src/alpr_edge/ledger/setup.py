"""From configuration to a live ledger with its recorder and its channel. `wiring` calls it."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alpr_edge.config.models import DeviceConfig
from alpr_edge.config.models import Sentry as SentryConfig
from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.delivery.mqtt_settings import MqttSettings
from alpr_edge.errors import AlprEdgeError, AuditError, InferenceError
from alpr_edge.ledger.attesting import Attester, Quote
from alpr_edge.ledger.case_switch import CaseSwitch, FileSwitch
from alpr_edge.ledger.channel import LedgerChannel, LedgerTopics, SerialCheckpoints
from alpr_edge.ledger.gpio import GpioSwitch
from alpr_edge.ledger.kinds import (
    Body,
    Boot,
    ModelCheck,
    SoftwareScan,
    StartFailed,
    Stop,
    Trigger,
)
from alpr_edge.ledger.note import VerifierKey
from alpr_edge.ledger.recorder import NO_MASKS, Recorder
from alpr_edge.ledger.reporter import Reporter, Visitor
from alpr_edge.ledger.sentry import Part, Sentry, Watched
from alpr_edge.ledger.spool import Spool
from alpr_edge.ledger.starting import Starting
from alpr_edge.ledger.store import Clock, Identity, Ledger, LedgerTimes
from alpr_edge.ledger.telling import By
from alpr_edge.ledger.time_source import Machine, find_clock_setter
from alpr_edge.ledger.witnessed import MISSING, WitnessWatch, load_witnesses
from alpr_edge.trust.attestation import Statement
from alpr_edge.trust.biometric_rules import rules_digest
from alpr_edge.trust.bom import ModelPart, bill, bill_digest
from alpr_edge.trust.device_identity import KEY_FILE, KeepIn, device_key, is_sealed
from alpr_edge.trust.installed import Scan, scan
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.trust.tpm import find_tpm
from alpr_edge.vision.models import load_manifest, models_folder

_ANCHOR = Path("/etc/alpr-edge/city-keys")
"""The city's keys as they come with a unit: `wiring.signed_config.CITY_KEYS`."""
_SHOW_EVERY_S = 5.0
_TAKE_EVERY_S = 0.25
"""How often the service looks for what other processes told."""
_log = logging.getLogger(__name__)
KNOWN_KEYS = "ledger-keys"
"""The verifier keys that this device has ever signed with, oldest first, beside its key."""


@dataclass(frozen=True, slots=True)
class DeviceSigner:
    """The device's key as the ledger wants it."""

    key: PrivateKey

    @property
    def public_key(self) -> bytes:
        """See `note.Signer`."""
        return self.key.public.raw

    def sign(self, message: bytes) -> bytes:
        """See `note.Signer`."""
        return self.key.sign(message)


@dataclass(frozen=True, slots=True)
class Started:
    """What one start of the device is made of, for the entry `boot` and the attestation.

    Attributes:
        register, commissioning: digests of what was judged; None where nothing was.
        settings: keys of the configuration that differ from those of the start before.
        manifest: what became of the models' manifest.
        signers: keys that signed the models; empty where no signature is asked for.
        configured: who signed the configuration; None: nobody.
    """

    software: str
    config: str
    mask: str
    models: tuple[str, ...]
    register: str | None = None
    commissioning: str | None = None
    settings: tuple[str, ...] = ()
    manifest: ModelCheck | None = None
    signers: tuple[str, ...] = ()
    configured: By | None = None


@dataclass(frozen=True, slots=True)
class Outlets:
    """What goes out of a ledger, and what looks out for it.

    Attributes:
        sentry: looked at every `sentry_s`; made at the start.
        time_source: what disciplines the clock, asked for every attestation.
        quote: a TPM's word over a digest; None without one.
        witness: judges cosignatures; None where no witness is known.
    """

    channel: LedgerChannel | None = None
    serial: SerialCheckpoints | None = None
    sentry: Callable[[Callable[[Body], None]], Sentry] | None = None
    sentry_s: float = 10.0
    attest_every_s: float = 21_600.0
    time_source: Callable[[], str] = lambda: "unknown"
    quote: Quote | None = None
    witness: WitnessWatch | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """The device's key and how it is kept.

    Attributes:
        made: it is new.
        sealed: a TPM keeps it.
    """

    key: PrivateKey
    made: bool = False
    sealed: bool = False


class LedgerKit:
    """A device's ledger, what writes to it, and what carries its checkpoints away."""

    def __init__(
        self, ledger: Ledger, recorder: Recorder, identity: Identity, holder: Holder, out: Outlets
    ) -> None:
        self.ledger, self.recorder, self.identity = ledger, recorder, identity
        self.channel = out.channel
        self._holder, self._out = holder, out
        before = ledger.last_boot()
        self.starts = ledger.boot if before is None else before.count + 1
        self._clock = Clock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._spool = Spool(ledger.folder)
        self._starting = Starting(ledger.folder)
        self._sentry: Sentry | None = None
        self._attester: Attester | None = None
        self._begun = False
        self.warn: Callable[[str, bool], None] = lambda _code, _stands: None
        """Told which warnings of health stand, and which no more."""

    @property
    def key_is_sealed(self) -> bool:
        """Whether a TPM keeps the device's key."""
        return self._holder.sealed

    def begin(self, started: Started) -> None:
        """Record the start, state it to the outside, and let checkpoints go out."""
        key = hashlib.sha256(self.identity.signers[-1].public_key).hexdigest()
        self.recorder.begin(
            Boot(
                count=self.starts,
                software=started.software,
                config=started.config,
                mask=started.mask or NO_MASKS,
                models=started.models,
                clean=self.ledger.ended_in_order or self.ledger.boot == 1,
                register_digest=started.register,
                commissioning=started.commissioning,
                key=key,
            ),
            started.settings,
            started.configured,
        )
        self._begun = True
        if self._holder.made:
            self.recorder.key_changed("device", "made", key, sealed=self._holder.sealed)
        if started.manifest is not None:
            self.recorder.record(started.manifest)
        self._take_once()
        self._starting.done()
        self.ledger.start()
        if self._out.sentry is not None:
            self._sentry = self._out.sentry(self.recorder.record)
        if self.channel is not None:
            self.channel.start()
        self._begin_thread("ledger-desk", self._watch)
        self._begin_thread("ledger-scan", lambda: self._look_around(started))
        if self._out.serial is not None:
            serial = self._out.serial
            self._begin_thread("ledger-serial", lambda: self._show(serial))

    def _begin_thread(self, name: str, call: Callable[[], None]) -> None:
        thread = threading.Thread(target=call, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _look_around(self, started: Started) -> None:
        """Look at what is installed, which takes a while; then the device can state itself."""
        folder = models_folder()
        try:
            listed = [folder / name for name in load_manifest(folder)]
        except InferenceError:
            listed = []  # told by `model_check`; here every network is then one that nobody names
        try:
            found = scan([folder], listed=listed, stop=self._stopping.is_set)
        except (OSError, ValueError) as err:
            _log.error("the search for biometric software failed", extra={"type": str(err)[:100]})
            found = Scan((), (), whole=False, missed=1)
        if self._stopping.is_set():
            return
        scanned = self._scanned(started, found)
        self.recorder.record(scanned)
        attester = Attester(
            self._holder.key,
            self.recorder,
            lambda: self._statement(started, scanned),
            lambda token: None if self.channel is None else self.channel.attest(token),
            quote=self._out.quote,
            every_s=self._out.attest_every_s,
        )
        attester.look(self._clock.now(), self._clock.monotonic())
        self._attester = attester

    def _scanned(self, started: Started, found: Scan) -> SoftwareScan:
        document = bill(
            "alpr-edge",
            started.software.rpartition(" ")[2],
            found.components,
            [ModelPart(digest[:16], digest, "licence plates") for digest in started.models],
            found.findings,
            rules_digest(),
        )
        return SoftwareScan(
            sbom=bill_digest(document),
            rules=rules_digest(),
            components=len(found.components),
            findings=len(found.findings),
            unlisted=len(found.unlisted),
            missed=found.missed,
        )

    def _statement(self, started: Started, scanned: SoftwareScan) -> Statement:
        """What the device knows of itself now."""
        self.ledger.sync()
        head = self.ledger.head
        watch = self._out.witness
        seen = None if watch is None or watch.is_missing else watch.latest
        name, _, version = started.software.rpartition(" ")
        return Statement(
            device=self.identity.device,
            software=name,
            version=version,
            boot_count=self.starts,
            config=started.config,
            mask=self.recorder.mask or started.mask,
            models=started.models,
            models_signers=started.signers,
            sbom=scanned.sbom,
            scan_findings=scanned.findings,
            scan_unlisted=scanned.unlisted,
            scan_missed=scanned.missed,
            register=started.register,
            commissioning=started.commissioning,
            self_test_passed=self.recorder.self_test_passed,
            drift_stopped=self.recorder.drift_is_stopped,
            ledger_origin=head.origin if head else "",
            ledger_size=head.size if head else 0,
            ledger_root=head.root.hex() if head else "",
            time_source=self._out.time_source(),
            key_in_tpm=self._holder.sealed,
            witness=None if watch is None else (seen.witness if seen else ""),
            witnessed_size=seen.size if seen else None,
            witnessed_at=seen.at if seen else None,
        )

    def end(self, reason: str = "asked", code: str | None = None) -> None:
        """Record the end, sign it, send it, close."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(10.0)
        if self._sentry is not None:
            self._sentry.close()
        self._take_once()
        if not self._begun:
            # No start is on record that could end.
            self.ledger.append(StartFailed(stage="device", code=code))
            self.ledger.close()
            self._starting.done()
            return
        known = reason if reason in ("asked", "source_ended", "error") else "error"
        self.recorder.end(Stop(reason=known, code=code))  # type: ignore[arg-type]
        if self._out.serial is not None:
            self._show_once(self._out.serial)
        if self.channel is not None:
            self.channel.close()

    def ended(self, err: AlprEdgeError | None, asked: bool) -> None:
        """The service is over: see `service.Service`."""
        if err is not None:
            self.end("error", err.code)
        else:
            self.end("asked" if asked else "source_ended")

    def _watch(self) -> None:
        """The desk: what others tell, what the sentry sees, what the device states."""
        sentry_at_s = self._clock.monotonic()
        while not self._stopping.wait(_TAKE_EVERY_S):
            self._take_once()
            now_s = self._clock.monotonic()
            if self._sentry is not None and now_s >= sentry_at_s:
                sentry_at_s = now_s + self._out.sentry_s
                self._sentry.look()
            if self._out.witness is not None and self.ledger.head is not None:
                self._out.witness.look(self.ledger.head.size)
            if self._attester is not None:
                self._attester.look(self._clock.now(), now_s)

    def _take_once(self) -> None:
        try:
            if self._spool.waiting():
                self._spool.take(self.recorder.take, self.ledger.make_durable)
            self.recorder.tick()
        except AuditError as err:
            _log.warning("notices wait", extra={"code": err.code, "hint": err.hint})

    def _show(self, serial: SerialCheckpoints) -> None:
        while not self._stopping.wait(_SHOW_EVERY_S):
            self._show_once(serial)

    def _show_once(self, serial: SerialCheckpoints) -> None:
        if self.ledger.latest is None:
            return
        try:
            serial.show(self.ledger.latest)
        except AuditError as err:
            _log.warning("serial checkpoints", extra={"code": err.code, "hint": err.hint})


def open_kit(
    config: DeviceConfig,
    mqtt: Callable[[], MqttSettings] | None = None,
    config_file: str = "",
) -> LedgerKit | None:
    """The ledger that the configuration names; None where it says that there is none.

    Args:
        mqtt: how to reach the broker; without it nothing goes out by MQTT.
        config_file: the sentry watches it.

    Raises:
        AuditError: it cannot be opened (`ledger.*`).
        KeyUnusable: the device's key cannot be made or used (`trust.key.*`).
    """
    wanted = config.ledger
    if not wanted.enabled:
        return None
    folder = Path(wanted.identity)
    made = not (folder / KEY_FILE).exists()
    witnesses = () if wanted.witnesses is None else load_witnesses(Path(wanted.witnesses))
    keep_in = config.trust.keep_key_in
    identity = device_ledger_identity(config.device.id, folder, keep_in)
    times = LedgerTimes(wanted.flush_s, wanted.checkpoint_s)
    ledger = Ledger(Path(wanted.path), identity, times=times)

    def alarm(trigger: Trigger) -> None:
        _log.warning("alarm", extra={"code": f"ledger.trigger.{trigger.what}"})
        if channel is not None:
            channel.alarm(trigger)

    machine = Machine(SystemClocks().believed)
    recorder = Recorder(ledger, alarm=alarm, clock_setter=lambda: find_clock_setter(machine))
    witness = None
    if witnesses:
        witness = WitnessWatch(
            witnesses,
            ledger.checkpoint_at,
            recorder.record,
            keep=ledger.keep_cosigned,
            warn=lambda missing: kit.warn(MISSING, missing),
            within_s=wanted.witness_within_s,
            monotonic=Clock().monotonic,
            before=ledger.cosigned_size(),
        )
    channel: LedgerChannel | None = None
    if mqtt is not None and wanted.publish:
        channel = LedgerChannel(
            mqtt(),
            LedgerTopics(config.mqtt.topic_prefix, config.device.id),
            ledger.submission,
            every_s=wanted.publish_every_s,
            # The disk was put back, or the ledger began anew: the witness remembers.
            ahead=lambda size: recorder.record(Trigger(what="ledger_behind", count=size)),
            answered=(lambda _size, _line: True) if witness is None else witness.answered,
        )

    tpm = None if keep_in == "file" else find_tpm()
    watched = watched_of(config, config_file)
    out = Outlets(
        channel,
        SerialCheckpoints(os.fspath(wanted.serial)) if wanted.serial is not None else None,
        sentry=lambda tell: Sentry(watched, tell, Clock().monotonic),
        sentry_s=config.sentry.every_s,
        attest_every_s=wanted.attest_every_s,
        time_source=lambda: find_clock_setter(machine).text,
        quote=None if tpm is None else tpm.quote,
        witness=witness,
    )
    holder = Holder(device_key(folder, keep_in), made, is_sealed(folder))
    kit = LedgerKit(ledger, recorder, identity, holder, out)
    return kit


def watched_of(config: DeviceConfig, config_file: str = "") -> Watched:
    """What the sentry of this unit looks at."""
    import alpr_edge

    tls = config.mqtt.tls
    keys = (config.trust.city_keys, config.trust.persons)
    certificates = () if tls is None else (tls.ca, tls.cert, tls.key)
    models = [
        Path(one).parent
        for one in (config.detector.model, config.recogniser.model)
        if not isinstance(one, str)
    ]
    files: dict[Part, list[Path]] = {
        "software": [Path(alpr_edge.__file__).parent],
        "models": models or [models_folder()],
        "certificates": [Path(one) for one in certificates if one is not None],
        "keys": [_ANCHOR, *(Path(p) for p in keys if p is not None)],
        "config": [Path(config_file), Path(f"{config_file}.sig")] if config_file else [],
    }
    wanted = config.sentry
    switch = case_switch(wanted)
    ports = None if wanted.ports is None else frozenset(wanted.ports)
    return Watched(files, switch, wanted.case_open, ports)


def case_switch(wanted: SentryConfig) -> CaseSwitch | None:
    """What tells of the case; None without a switch. Nothing is opened yet."""
    if wanted.case_switch is None:
        return None
    path = Path(wanted.case_switch)
    if wanted.case_line is None:
        return FileSwitch(path)
    return GpioSwitch(path, wanted.case_line, wanted.case_bias)


def open_reporter(config: DeviceConfig, who: Visitor = "command") -> Reporter | None:
    """What another process than the service tells this unit's ledger by; None without a ledger.

    Opens nothing yet: whatever is wrong with ledger or key shows when something is told.
    """
    wanted = config.ledger
    if not wanted.enabled:
        return None
    path = Path(wanted.path)

    def open_ledger() -> Ledger:
        keep_in = config.trust.keep_key_in
        identity = device_ledger_identity(config.device.id, Path(wanted.identity), keep_in)
        return Ledger(path, identity, times=LedgerTimes(wanted.flush_s, wanted.checkpoint_s))

    return Reporter(Spool(path), open_ledger, who=who)


def device_ledger_identity(device: str, folder: Path, keep_in: KeepIn = "auto") -> Identity:
    """The device's key, with the keys of earlier days that still count.

    A new key (an exchanged module, a rotation) is added to the file of known keys; a revoked one is
    a line that someone deleted.

    Raises:
        KeyUnusable: `trust.key.*`.
        AuditError: the file of known keys is damaged or cannot be written.
    """
    signer = DeviceSigner(device_key(folder, keep_in))
    name = f"alpr-edge/{device}"
    own = VerifierKey(name, signer.public_key)
    path = folder / KNOWN_KEYS
    try:
        lines = path.read_text("utf-8").split() if path.exists() else []
        known = tuple(VerifierKey.parse(line) for line in lines)
        if own not in known:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{own}\n")
                os.fsync(file.fileno())
    except (OSError, UnicodeDecodeError) as err:
        raise AuditError(
            f"the file of verifier keys {path} cannot be used: {err}",
            code="ledger.key.file",
            hint="check the folder's rights and the space on the disk",
        ) from err
    return Identity(device, (signer,), tuple(key for key in known if key != own))
