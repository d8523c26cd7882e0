"""A provisioned unit on the simulated street: keys, register, camera, masks, record, signatures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from tests.exclusion.world_samples import HOME, street_site

from alpr_edge.authority.record import MaskRecord, record_payload
from alpr_edge.authority.rules import Unit
from alpr_edge.authority.store import MaskStore
from alpr_edge.exclusion.camera_model import (
    GroundError,
    Lens,
    PlacedCamera,
    Pose,
    measured_covariance,
)
from alpr_edge.exclusion.premises import Register, Site
from alpr_edge.exclusion.register_file import format_register, parse_register
from alpr_edge.placement.camera_file import camera_values
from alpr_edge.placement.check import Policy, check_placement
from alpr_edge.placement.commissioning import Record, Subject, commission
from alpr_edge.placement.files import save_record, sign_register, write
from alpr_edge.simulator.scene import street_camera
from alpr_edge.trust.device_identity import device_key
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign, sign_file
from alpr_edge.trust.keyring import Keyring
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.zone_set import ZoneSet

POLICY = Policy()


def street_placed(width_px: int = 1280, height_px: int = 720) -> PlacedCamera:
    """The street's camera as a careful technician calibrated it."""
    true = street_camera(width_px, height_px)
    return PlacedCamera(
        "street",
        Lens.from_hfov(width_px, height_px, true.hfov_deg),
        Pose(
            (HOME.longitude, HOME.latitude),
            true.height_m,
            true.pan_deg,
            true.tilt_deg,
            true.roll_deg,
        ),
        measured_covariance(
            position_m=0.03,
            height_m=0.02,
            heading_deg=0.05,
            tilt_deg=0.05,
            roll_deg=0.05,
            focal_share=0.003,
        ),
        GroundError(0.02, 0.0),  # a street that is as flat as a simulated one
    )


def street_premises() -> Site:
    """The street's premises on the map, the camera's foot at the plane's origin."""
    true = street_camera(1280, 720)
    return street_site(HOME, np.array([true.x_m, true.y_m]))


def issued(*sites: Site, serial: int = 1) -> Register:
    made = Register("Made up", "Made-up city", serial, date(2026, 11, 1), sites, is_made_up=True)
    return parse_register(format_register(made), source="made")


@dataclass
class SiteUnit:
    """One unit's folder. Nothing is written before it is asked for."""

    folder: Path
    port: int = 1883
    signed: bool = True
    on_stop: str = "exit"
    duration_s: float = 30.0
    realtime: bool = False
    site: str = 'premises = "premises.json"\ncommissioning = "record.json"\n'

    def __post_init__(self) -> None:
        self.city = PrivateKey.generate()
        self.camera = street_placed()
        self.zones = check_placement(self.camera, [street_premises()], POLICY).zones
        (self.folder / "city-keys").write_text(f"{self.city.public}\n")

    @property
    def config(self) -> Path:
        """Written and signed anew."""
        path = self.folder / "device.toml"
        text = f"""
            [device]
            id = "unit-1"
            site = "test street"
            [source]
            kind = "street"
            seed = 7
            fps = 8.0
            duration_s = {self.duration_s}
            realtime = {str(self.realtime).lower()}
            [exclusion]
            mask_store = "masks"
            hold_s = 1.0
            [recogniser]
            min_confidence = 0.3
            [tracker]
            min_sightings = 2
            [mqtt]
            host = "127.0.0.1"
            port = {self.port}
            [trust]
            city_keys = "city-keys"
            require_signatures = {str(self.signed).lower()}
            [site]
            {self.site}
            [clock]
            accept = "assumed"
            [outbox]
            path = "outbox.sqlite3"
            [run]
            status_file = "status.json"
            on_stop = "{self.on_stop}"
            """
        path.write_text(text)
        signature = sign_file(DocumentType.CONFIG, text.encode(), self.city, number=1)
        Path(f"{path}.sig").write_bytes(signature)
        return path

    def register(self, *sites: Site, serial: int = 1) -> Register:
        """Issue a register."""
        register = issued(*sites, serial=serial)
        sign_register(register, self.folder / "premises.json", self.city)
        return register

    def calibrated(self, camera: PlacedCamera | None = None) -> None:
        """Write the camera file."""
        import json

        text = json.dumps(camera_values(camera or self.camera))
        write(self.folder / "camera.json", text.encode())

    def masks(self, zones: ZoneSet | None = None, *, reference: str | None = None) -> None:
        """Commit masks as the city."""
        store = MaskStore(self.folder / "masks", device_key(self.folder / "identity"))
        newest = store.load().state.newest
        now = datetime.now(UTC)
        record = MaskRecord(
            number=1 if newest is None else newest.record.number + 1,
            device="unit-1",
            camera="cam0",
            frame_px=(1280, 720),
            zones=zones or self.zones,
            valid_from=now - timedelta(days=1),
            reference=reference,
            authors=("the city",),
            previous=None if newest is None else newest.digest,
        )
        data = sign(DocumentType.MASK_RECORD, record_payload(record), self.city)
        unit = Unit("unit-1", "cam0", 0.02)
        store.commit(data, Keyring((self.city.public,)), unit, confirm_before=now, now=now)

    def commission(self, register: Register, **changes: object) -> Record:
        """Make and sign the record."""
        subject = Subject("unit-1", self.camera, self.zones)
        record = commission(subject, register, POLICY, now=datetime.now(UTC), by="Anna (made up)")
        record = replace(record, **changes)  # type: ignore[arg-type]
        save_record(record, self.folder / "record.json", self.city)
        return record
