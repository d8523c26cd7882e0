"""Edge: the real unit behind the console (`device.DeviceAccess`).

It works beside the service and within it. What only the running service can do (a self-test, a
still, the reads that wait) comes as `Live`; without it, the console says that the service has to be
asked. Masks go through `authority.store` alone, whoever asks.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from alpr_edge.authority.record import parse_record
from alpr_edge.authority.rules import Unit
from alpr_edge.authority.store import MaskStore
from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.config.mask_file import mask_digest
from alpr_edge.config.models import DeviceConfig
from alpr_edge.config.parse import config_digest
from alpr_edge.console import mask_facts, unit_facts, unit_settings
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.broker_test import reach_broker
from alpr_edge.console.device import (
    KEPT,
    Committed,
    Document,
    MasksInForce,
    Parcel,
    Preview,
    Still,
)
from alpr_edge.console.reference_taker import ReferenceTaker, load_view, none_here, taken_file
from alpr_edge.console.settings import LinkSettings
from alpr_edge.console.unit_files import Masks, UnitFiles, disk, not_here
from alpr_edge.console.view_keeper import ViewKeeper
from alpr_edge.delivery.clocks import Clocks
from alpr_edge.delivery.setup import mqtt_settings
from alpr_edge.errors import AlprEdgeError, ConsoleError, ExclusionError, KeyUnusable
from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.projection import near_sites
from alpr_edge.exclusion.view_reference import draw_edges
from alpr_edge.ledger.files import CHECKPOINT
from alpr_edge.ledger.note import parse_checkpoint, parse_note
from alpr_edge.ledger.telling import Asked, By, Tells
from alpr_edge.placement.camera_file import camera_values
from alpr_edge.placement.check import Placement, Policy, check_placement
from alpr_edge.placement.files import load_camera
from alpr_edge.placement.session import CalibrationSession
from alpr_edge.placement.site_files import OnDisk, SiteFiles, SiteKeys, SitePaths
from alpr_edge.trust.checks import format_time
from alpr_edge.trust.device_identity import KEY_FILE, device_key
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import sync_folder, write_durably
from alpr_edge.trust.envelope import read_unverified
from alpr_edge.trust.key_files import load_keyring
from alpr_edge.trust.keyring import Keyring
from alpr_edge.trust.keys import PublicKey
from alpr_edge.zone_set import ZoneSet

CALIBRATION: Final = "calibration.json"
_MAX_RECORD: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Live:
    """What the running service gives the console.

    Attributes:
        health: the document of the state topic.
        test_now: have a self-test run; False: there is nothing to test.
        reads: the oldest released reads that wait, at most so many.
        view: keeps what stills are made of.
        stop: end the service.
        reference: takes reference views; None where the configuration asks for none.
    """

    health: Callable[[], Document]
    test_now: Callable[[], bool]
    reads: Callable[[int], list[Document]]
    view: ViewKeeper
    stop: Callable[[], None]
    reference: ReferenceTaker | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where things of this unit lie, and who may sign.

    Attributes:
        config_file: the unit's TOML file, for a push of another one.
        city_keys: the file that counts (`wiring.city_keys_file`).
        store: None on a bench with an unsigned mask file.
        software: name and version.
        site: register, commissioning record and camera.
    """

    config_file: Path | None
    city_keys: Path | None
    store: MaskStore | None
    software: str
    environment: Mapping[str, str]
    site: SiteFiles = field(default_factory=lambda: SiteFiles(SitePaths(), SiteKeys))


class RealUnit:
    """See the module's docstring.

    Args:
        tells: puts logins and looks at reads on the ledger; None where there is no ledger.
        accounts: erased by a factory reset.
    """

    def __init__(
        self,
        config: DeviceConfig,
        place: Place,
        clocks: Clocks,
        *,
        tells: Tells | None,
        accounts: Accounts,
        live: Live | None = None,
    ) -> None:
        self._config, self._place, self._clocks = config, place, clocks
        self._tells, self._accounts, self._live = tells, accounts, live
        self._unit = Unit(
            config.device.id,
            config.device.camera,
            config.exclusion.band,
            config.exclusion.reference_file is not None,
        )
        self._files = UnitFiles(
            config,
            place.config_file,
            place.site,
            Masks(self._newest_record, self.commit_record),
            ring=lambda: self._ring(),
            tells=tells,
        )

    # --- looking -----------------------------------------------------------------------------

    def about(self) -> Document:
        """See `DeviceAccess`."""
        device = self._config.device
        return {
            "unit": device.id,
            "site": device.site,
            "camera": device.camera,
            "software": self._place.software,
            "config": config_digest(self._config),
            "key": str(self._key),
            "time": format_time(self._now),
            "time_is_believed": self._clocks.believed(),
        }

    def status(self) -> Document:
        """See `DeviceAccess`."""
        path = self._config.run.status_file
        return unit_facts.status_document(None if path is None else Path(path), self._clocks)

    def health(self) -> Document:
        """See `DeviceAccess`."""
        return self._alive().health()

    def masks(self) -> MasksInForce:
        """See `DeviceAccess`."""
        loaded = self._store().load()
        return mask_facts.in_force(loaded.state, self._source_frame(), loaded.trouble)

    def mask_history(self) -> list[Document]:
        """See `DeviceAccess`."""
        store = self._store()
        in_force = {one.digest for one in store.load().state.records}
        found = []
        for number, path in store.history():
            entry: Document = {"number": number, "digest": "", "valid_from": "", "authors": ""}
            entry |= {"reason": "damaged", "mark": ""}
            try:
                signed = read_unverified(path.read_bytes(), DocumentType.MASK_RECORD)
                record = parse_record(signed.payload)
            except (OSError, AlprEdgeError):
                found.append(entry)
                continue
            entry |= {
                "digest": signed.digest,
                "valid_from": format_time(record.valid_from),
                "authors": ", ".join(record.authors),
                "reason": record.reason,
                "mark": "in force" if signed.digest in in_force else "",
            }
            found.append(entry)
        return found

    def record_zones(self, number: int) -> ZoneSet:
        """See `DeviceAccess`. Judged as any other when it is committed again."""
        for known, path in reversed(self._store().history()):
            if known == number:
                data = read_regular_file(path, limit_bytes=_MAX_RECORD)
                if not isinstance(data, FileTrouble):
                    signed = read_unverified(data, DocumentType.MASK_RECORD)
                    return parse_record(signed.payload).zones
        raise ConsoleError(
            f"there is no record {number}", code="console.record.unknown", hint="show history"
        )

    def reference(self, columns: int = 0) -> Document:
        """See `DeviceAccess`."""
        path = self._config.exclusion.reference_file
        required = None if self._place.store is None else self.masks().reference
        view = self.status().get("guards", {}).get("view")
        if path is None:
            return {"file": None, "required_by_masks": required, "view": view}
        used, trouble = load_view(Path(path))
        taken, _ = load_view(taken_file(Path(path)))
        taker = None if self._live is None else self._live.reference
        found: Document = {
            "file": str(path),
            "trouble": trouble,
            "in_use": used and used.digest,
            "required_by_masks": required,
            "view": view,
            "taken": taken and {"digest": taken.digest, "frames": taken.frames},
            "taking": taker and taker.state(),
        }
        if columns and used is not None:
            found["edges"] = draw_edges(used, columns)
        return found

    def calibration(self) -> Document:
        """See `DeviceAccess`."""
        data = read_regular_file(self._calibration_file, limit_bytes=1 << 20)
        if isinstance(data, FileTrouble):
            camera = self._place.site.load().camera
            if camera is not None:
                return camera_values(camera)
            return {"calibration": None, "detail": f"it {data.detail}", "hint": "calibrate"}
        try:
            found: Document = json.loads(data)
        except ValueError:
            return {"calibration": None, "detail": "is damaged", "hint": "calibrate"}
        return found

    def premises(self) -> Document:
        """See `DeviceAccess`."""
        found = self._place.site.load()
        register, trouble = found.register, dict(found.trouble)
        if register is None:
            if not trouble:
                trouble = {"register": "the configuration names none: site.premises"}
            return {"register": None, "trouble": trouble}
        return {
            "register": register.title,
            "authority": register.authority,
            "serial": register.serial,
            "issued": register.issued.isoformat(),
            "valid_to": None if register.valid_to is None else register.valid_to.isoformat(),
            "made_up": register.is_made_up,
            "sites": len(register.sites),
            "near": [
                {"name": one.name, "category": one.category, "distance_m": round(one.distance_m)}
                for one in self._checked(found).sites
            ]
            if self._camera(found) is not None
            else "the camera is not calibrated",
            "trouble": trouble,
        }

    def placement(self) -> Document:
        """See `DeviceAccess`."""
        checked = self._checked(self._place.site.load())
        return {
            "camera": checked.camera.id,
            "verdict": checked.verdict.value,
            "text": checked.verdict.text,
            "reasons": list(checked.reasons),
            "near_m": round(checked.near_m, 1),
            "far_m": round(checked.far_m, 1),
            "lost": round(checked.lost, 4),
            "masked": round(checked.masked, 4),
        }

    def network(self) -> Document:
        """See `DeviceAccess`."""
        return {"links": unit_facts.links()}

    def mqtt(self) -> Document:
        """See `DeviceAccess`."""
        mqtt = self._config.mqtt
        link = None
        if self._live is not None:
            link = self._live.health().get("link")
        return {
            "broker": f"{mqtt.host}:{mqtt.port}",
            "others": [f"{one.host}:{one.port}" for one in mqtt.others],
            "topic_prefix": mqtt.topic_prefix,
            "client_id": mqtt.client_id or self._config.device.id,
            "tls": mqtt.tls is not None,
            "settle_on": mqtt.settle_on,
            "link": link,
        }

    def certificates(self) -> Document:
        """See `DeviceAccess`."""
        return {"certificates": unit_facts.certificates(self._config, self._clocks.wall_s())}

    def models(self) -> Document:
        """See `DeviceAccess`."""
        return {"models": unit_facts.models(self._config)}

    def self_test(self) -> Document:
        """See `DeviceAccess`."""
        if self._live is not None:
            return dict(self._live.health()["self_test"])
        return {"state": self.status().get("guards", {}).get("self_test", "unknown")}

    def ledger_head(self) -> Document:
        """See `DeviceAccess`."""
        if not self._config.ledger.enabled:
            return {"checkpoint": None, "detail": "the configuration has no ledger"}
        path = Path(self._config.ledger.path) / CHECKPOINT
        data = read_regular_file(path, limit_bytes=1 << 16)
        if isinstance(data, FileTrouble):
            return {"checkpoint": None, "detail": f"it {data.detail}"}
        note = parse_note(data)
        head = parse_checkpoint(note.text)
        return {"origin": head.origin, "size": head.size, "root": head.root.hex()}

    # --- masks -------------------------------------------------------------------------------

    def preview(self, zones: ZoneSet, view: str = KEPT) -> Preview:
        """See `DeviceAccess`."""
        state = self._store().load().state
        return mask_facts.preview(state, zones, self._frame(), self._unit, view)

    def draft(
        self, zones: ZoneSet, authors: Sequence[str], reason: str, view: str = KEPT
    ) -> Document:
        """See `DeviceAccess`."""
        state = self._store().load().state
        return mask_facts.draft(
            state,
            zones,
            self._frame(),
            self._unit,
            authors=authors,
            reason=reason,
            now=self._now,
            view=view,
        )

    def commit_record(self, envelope: bytes, minutes: float) -> Committed:
        """See `DeviceAccess`."""
        try:
            plan = self._store().commit(
                envelope,
                self._ring(),
                self._unit,
                confirm_before=self._now + timedelta(minutes=minutes),
                now=self._now,
            )
        except OSError as err:
            raise disk(err) from err
        return mask_facts.committed(plan)

    def confirm_masks(self) -> MasksInForce:
        """See `DeviceAccess`."""
        try:
            self._store().confirm(self._now)
        except OSError as err:
            raise disk(err) from err
        return self.masks()

    # --- acts --------------------------------------------------------------------------------

    def run_self_test(self) -> Document:
        """See `DeviceAccess`."""
        live = self._alive()
        return {"started": live.test_now(), "latest": dict(live.health()["self_test"])}

    def test_mqtt(
        self, signed: Mapping[str, str | int] | None = None, *, who: str = ""
    ) -> Document:
        """See `DeviceAccess`. Another place than the one in force gets no name and password."""
        config, environment = self._config, self._place.environment
        if not signed:
            return reach_broker(mqtt_settings(config, environment))
        data, wanted = unit_settings.requested(self._place.config_file, signed)
        place = f"{wanted.mqtt.host}:{wanted.mqtt.port}"
        # By its digest: no text that a person types goes there, it might be a plate.
        self._files.note("tried", "request", data, By(who))
        if place == f"{config.mqtt.host}:{config.mqtt.port}":
            return reach_broker(mqtt_settings(config, environment))
        stranger = replace(mqtt_settings(wanted, environment), credentials=None)
        return reach_broker(stranger, log_in=False)

    def link_settings(self) -> LinkSettings | None:
        """See `DeviceAccess`."""
        return unit_settings.link_settings(self._config)

    def set_link(self, settings: LinkSettings, *, who: str) -> Document:
        """See `DeviceAccess`."""
        done = unit_settings.set_link(self._config, settings)
        if self._tells is not None:
            digest, by = config_digest(self._config), By(who=who, reason="set on the console")
            self._tells.config_changed(digest, digest, by, settings=("network",))
        return done

    def requested(self, signed: Mapping[str, str | int], *, who: str = "") -> bytes:
        """See `DeviceAccess`."""
        data = unit_settings.requested(self._place.config_file, signed)[0]
        if who:
            self._files.note("pulled", "request", data, By(who))
        return data

    def take_reference(self, seconds: float = 60.0) -> Document:
        """See `DeviceAccess`."""
        taker = self._alive().reference
        if taker is None:
            raise none_here()
        return taker.start(seconds)

    def save_calibration(self, answers: Sequence[tuple[str, str]]) -> Document:
        """See `DeviceAccess`."""
        fit = CalibrationSession(tuple(answers)).fit()
        values = {**camera_values(fit.camera), "warnings": list(fit.warnings)}
        values["rms_px"] = round(fit.rms_px, 3)
        kept = {key: v for key, v in values.items() if key not in ("warnings", "rms_px")}
        try:
            self._calibration_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self._calibration_file, json.dumps(kept, indent=1).encode() + b"\n")
        except OSError as err:
            raise disk(err) from err
        return {"file": str(self._calibration_file), **values}

    def still(self, width_px: int, *, clear_plates: bool, reason: str, who: str) -> Still:
        """See `DeviceAccess`. Plates are never shown (`view_keeper`)."""
        by = By(who, reason=reason)
        with self._files.refusals("asked", "picture", b"", by):
            zones = self.masks().zones
            if zones is None:
                raise ExclusionError(
                    "without masks in force there is no picture: everything is protected",
                    code="exclusion.still.none",
                    hint="commit masks first; they may be drawn from the map (docs/placement.md)",
                )
            digest = mask_digest(zones)
            still = self._alive().view.still(width_px, digest, clear_plates=clear_plates)
        self._files.note("pulled", "picture", still.jpeg, by)
        return still

    def reads(self, count: int, *, reason: str, who: str) -> list[Document]:
        """See `DeviceAccess`. The oldest that wait; first on the ledger, then shown."""
        found = self._alive().reads(count)
        if self._tells is None:
            raise not_here("without a ledger no read is shown", "set [ledger] enabled = true")
        ids = [str(one.get("id", "")) for one in found]
        asked = Asked(who, self._config.device.site, reason)
        self._tells.shown(asked, len(found), *([ids[0], ids[-1]] if ids else []))
        return found

    def pull(self, what: Parcel, *, who: str = "", reason: str = "") -> bytes:
        """See `DeviceAccess` and `unit_files`."""
        return self._files.pull(what, who=who, reason=reason)

    def push(
        self,
        what: Parcel,
        data: bytes,
        signature: bytes | None = None,
        *,
        who: str = "",
        reason: str = "",
    ) -> Document:
        """See `DeviceAccess` and `unit_files`."""
        return self._files.push(what, data, signature, who=who, reason=reason)

    def reboot(self) -> Document:
        """See `DeviceAccess`. By the system's own program, which lets the service end in order."""
        try:
            subprocess.run(["systemctl", "reboot"], timeout=10, check=True, capture_output=True)
        except (OSError, subprocess.SubprocessError) as err:
            raise ConsoleError(
                "the system does not reboot", code="console.reboot", hint="switch it off and on"
            ) from err
        return {"rebooting": True}

    def factory_reset(self, who: str) -> Document:
        """See `DeviceAccess`. On the ledger first; then waiting reads, keys and users go.

        The users last: if a file stays, a supervisor can still log in and ask again.
        """
        identity = Path(self._config.trust.identity)
        if self._tells is not None:
            digest = hashlib.sha256(self._key.raw).hexdigest()
            self._tells.key_changed("device", "revoked", digest, by=who)
        outbox = Path(self._config.outbox.path)
        key_file = self._config.outbox.key_file
        gone = [
            outbox.with_name(outbox.name + ".key") if key_file is None else Path(key_file),
            outbox,
            outbox.with_name(outbox.name + "-wal"),
            outbox.with_name(outbox.name + "-shm"),
            identity / KEY_FILE,
        ]
        erased = []
        try:
            for path in gone:
                if path.exists():
                    path.unlink()
                    sync_folder(path.parent)
                    erased.append(path.name)
            self._accounts.erase()
            erased.append("users")
        except OSError as err:
            raise disk(err) from err
        finally:
            if self._live is not None:
                self._live.stop()
        return {"erased": erased, "next": "the service ends; start the unit anew"}

    # --- the record --------------------------------------------------------------------------

    def note_login(self, who: str, outcome: str, factors: int, code: str = "") -> None:
        """See `DeviceAccess`."""
        tells = self._tells
        if tells is None:
            return
        if outcome == "granted":
            tells.login(who, way="serial", factors=factors)
        elif outcome == "ended":
            tells.logged_out(who, way="serial")
        else:
            tells.login_failed(who, way="serial", code=code, locked=outcome == "locked")

    # --- inside ------------------------------------------------------------------------------

    @property
    def _key(self) -> PublicKey:
        trust = self._config.trust
        return device_key(trust.identity, trust.keep_key_in).public

    @property
    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clocks.wall_s(), UTC).replace(microsecond=0)

    @property
    def _calibration_file(self) -> Path:
        return Path(self._config.trust.identity) / CALIBRATION

    def _camera(self, found: OnDisk) -> PlacedCamera | None:
        """The camera of the configuration, else the one that was calibrated here."""
        if found.camera is not None or not self._calibration_file.exists():
            return found.camera
        return load_camera(self._calibration_file)

    def _checked(self, found: OnDisk) -> Placement:
        """The placement check of this camera against the register, on today's date.

        Raises:
            ConsoleError: there is no register, or no calibrated camera.
        """
        camera = self._camera(found)
        if found.register is None:
            raise not_here("there is no register on this unit", "site.premises")
        if camera is None:
            raise not_here("the camera is not calibrated", "calibrate")
        policy = Policy()
        sites = found.register.sites_on(self._now.date())
        near = near_sites(sites, camera, policy.rules.reach_m)
        return check_placement(camera, near, policy, suggest=False)

    def _alive(self) -> Live:
        if self._live is None:
            raise not_here(
                "this console is not the service's own", "ask at the service's port: [console] port"
            )
        return self._live

    def _store(self) -> MaskStore:
        if self._place.store is None:
            raise not_here(
                "this bench takes its masks from an unsigned file", "set exclusion.mask_store"
            )
        return self._place.store

    def _newest_record(self) -> bytes | None:
        newest = self._store().load().state.newest
        return None if newest is None else newest.data

    def _ring(self) -> Keyring:
        if self._place.city_keys is None:
            raise KeyUnusable(
                "the configuration names no keys of the city",
                code="trust.key.missing",
                hint="set trust.city_keys",
            )
        return load_keyring(self._place.city_keys, self._config.trust.persons)

    def _source_frame(self) -> tuple[int, int] | None:
        source = self._config.source
        return (source.width, source.height) if source.width and source.height else None

    def _frame(self) -> tuple[int, int]:
        frame = self.masks().frame_px
        if frame is None:
            raise ConsoleError(
                "nothing says how large the frames are",
                code="console.frame_size",
                hint="set source.width and source.height",
            )
        return frame
