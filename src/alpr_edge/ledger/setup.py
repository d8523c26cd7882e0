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
from alpr_edge.delivery.mqtt_settings import MqttSettings
from alpr_edge.errors import AlprEdgeError, AuditError
from alpr_edge.ledger.channel import LedgerChannel, LedgerTopics, SerialCheckpoints
from alpr_edge.ledger.kinds import Attested, Boot, KeyChange, SoftwareScan, Stop, Trigger
from alpr_edge.ledger.note import VerifierKey
from alpr_edge.ledger.recorder import NO_MASKS, Recorder
from alpr_edge.ledger.reporter import Reporter, Visitor
from alpr_edge.ledger.spool import Spool
from alpr_edge.ledger.store import Clock, Identity, Ledger, LedgerTimes
from alpr_edge.trust.attestation import Statement, attest
from alpr_edge.trust.biometric_rules import rules_digest
from alpr_edge.trust.bom import ModelPart, bill, bill_digest
from alpr_edge.trust.device_identity import KEY_FILE, device_key
from alpr_edge.trust.installed import scan
from alpr_edge.trust.keys import PrivateKey

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
    """What one start of the device is made of, for the entry `boot`."""

    software: str
    config: str
    mask: str
    models: tuple[str, ...]


class LedgerKit:
    """A device's ledger, what writes to it, and what carries its checkpoints away."""

    def __init__(
        self,
        ledger: Ledger,
        recorder: Recorder,
        *,
        identity: Identity,
        key: PrivateKey,
        key_made: bool = False,
        channel: LedgerChannel | None = None,
        serial: SerialCheckpoints | None = None,
    ) -> None:
        self.ledger, self.recorder = ledger, recorder
        self.identity, self.channel = identity, channel
        self._key, self._key_made, self._serial = key, key_made, serial
        before = ledger.last_boot()
        self.starts = ledger.boot if before is None else before.count + 1
        self._now = Clock().now
        self._stopping = threading.Event()
        self._serial_thread: threading.Thread | None = None
        self._spool = Spool(ledger.folder)
        self._spool_thread = threading.Thread(target=self._take, name="ledger-spool", daemon=True)

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
                key=key,
            )
        )
        if self._key_made:
            self.recorder.record(KeyChange(key="device", act="made", digest=key, sealed=False))
        self._take_once()
        installed = scan()
        sbom = bill_digest(
            bill(
                "alpr-edge",
                started.software.rpartition(" ")[2],
                installed.components,
                [ModelPart(digest[:16], digest, "licence plates") for digest in started.models],
                installed.findings,
                rules_digest(),
            )
        )
        self.recorder.record(
            SoftwareScan(
                sbom=sbom,
                rules=rules_digest(),
                components=len(installed.components),
                findings=len(installed.findings),
            )
        )
        self.ledger.start()
        self._spool_thread.start()
        if self.channel is not None:
            self.channel.start()
            self.channel.attest(self.attestation(started, sbom, len(installed.findings)))
        if self._serial is not None:
            self._serial_thread = threading.Thread(
                target=self._show, args=(self._serial,), name="ledger-serial", daemon=True
            )
            self._serial_thread.start()

    def attestation(self, started: Started, sbom: str, findings: int) -> bytes:
        """What the device states of itself now, signed; its digest is on record."""
        self.ledger.sync()
        head = self.ledger.head
        name, _, version = started.software.rpartition(" ")
        statement = Statement(
            device=self.identity.device,
            software=name,
            version=version,
            boot_count=self.starts,
            config=started.config,
            mask=started.mask,
            models=started.models,
            sbom=sbom,
            scan_findings=findings,
            ledger_origin=head.origin if head else "",
            ledger_size=head.size if head else 0,
            ledger_root=head.root.hex() if head else "",
        )
        token = attest(statement, self._key, int(self._now().timestamp()))
        self.recorder.record(Attested(digest=hashlib.sha256(token).hexdigest()))
        return token

    def end(self, reason: str = "asked", code: str | None = None) -> None:
        """Record the end, sign it, send it, close."""
        self._stopping.set()
        if self._spool_thread.is_alive():
            self._spool_thread.join(10.0)
        self._take_once()
        known = reason if reason in ("asked", "source_ended", "error") else "error"
        self.recorder.end(Stop(reason=known, code=code))  # type: ignore[arg-type]
        if self._serial_thread is not None:
            self._serial_thread.join(5.0)
        if self.channel is not None:
            self.channel.close()

    def ended(self, err: AlprEdgeError | None, asked: bool) -> None:
        """The service is over: see `service.Service`."""
        if err is not None:
            self.end("error", err.code)
        else:
            self.end("asked" if asked else "source_ended")

    def _take(self) -> None:
        while not self._stopping.wait(_TAKE_EVERY_S):
            self._take_once()

    def _take_once(self) -> None:
        try:
            if self._spool.waiting():
                self._spool.take(self.recorder.take, self.ledger.make_durable)
            self.recorder.tick()
        except AuditError as err:
            _log.warning("notices wait", extra={"code": err.code, "hint": err.hint})

    def _show(self, serial: SerialCheckpoints) -> None:
        while True:
            last = self._stopping.wait(5.0)
            if self.ledger.latest is not None:
                try:
                    serial.show(self.ledger.latest)
                except AuditError as err:
                    _log.warning("serial checkpoints", extra={"code": err.code, "hint": err.hint})
            if last:
                return


def open_kit(
    config: DeviceConfig, mqtt: Callable[[], MqttSettings] | None = None
) -> LedgerKit | None:
    """The ledger that the configuration names; None where it says that there is none.

    Args:
        mqtt: how to reach the broker; without it nothing goes out by MQTT.

    Raises:
        AuditError: it cannot be opened (`ledger.*`).
        KeyUnusable: the device's key cannot be made or used (`trust.key.*`).
    """
    wanted = config.ledger
    if not wanted.enabled:
        return None
    folder = Path(wanted.identity)
    made = not (folder / KEY_FILE).exists()
    identity = device_ledger_identity(config.device.id, folder)
    times = LedgerTimes(wanted.flush_s, wanted.checkpoint_s)
    ledger = Ledger(Path(wanted.path), identity, times=times)
    channel = None
    if mqtt is not None and wanted.publish:
        topics = LedgerTopics(config.mqtt.topic_prefix, config.device.id)
        channel = LedgerChannel(mqtt(), topics, ledger.submission, every_s=wanted.publish_every_s)

    def alarm(trigger: Trigger) -> None:
        _log.warning("alarm", extra={"code": f"ledger.trigger.{trigger.what}"})
        if channel is not None:
            channel.alarm(trigger)

    recorder = Recorder(ledger, alarm=alarm)
    serial = SerialCheckpoints(os.fspath(wanted.serial)) if wanted.serial is not None else None
    return LedgerKit(
        ledger,
        recorder,
        identity=identity,
        key=device_key(folder),
        key_made=made,
        channel=channel,
        serial=serial,
    )


def open_reporter(config: DeviceConfig, who: Visitor = "command") -> Reporter | None:
    """What another process than the service tells this unit's ledger by; None without a ledger.

    Opens nothing yet: whatever is wrong with ledger or key shows when something is told.
    """
    wanted = config.ledger
    if not wanted.enabled:
        return None
    path = Path(wanted.path)

    def open_ledger() -> Ledger:
        identity = device_ledger_identity(config.device.id, Path(wanted.identity))
        return Ledger(path, identity, times=LedgerTimes(wanted.flush_s, wanted.checkpoint_s))

    return Reporter(Spool(path), open_ledger, who=who)


def device_ledger_identity(device: str, folder: Path) -> Identity:
    """The device's key, with the keys of earlier days that still count.

    A new key (an exchanged module, a rotation) is added to the file of known keys; a revoked one is
    a line that someone deleted.

    Raises:
        KeyUnusable: `trust.key.*`.
        AuditError: the file of known keys is damaged or cannot be written.
    """
    signer = DeviceSigner(device_key(folder))
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
