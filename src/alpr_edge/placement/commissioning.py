"""The commissioning record: one signed document that ties a camera to what was judged. Pure.

It names the unit and the camera, pose and lens, the register, the masks, the reference view and the
verdict, and the sites that were within reach, each by the digest of what protects it. So a newer
register stops a camera exactly where it touches that camera's surroundings, and not elsewhere.

Rules:
- A record is made only for a camera that may stand, and for masks that cover all that projection
  asks for (`compare`, gate lines apart: driveways are masked anyway).
- A device without a record has no idea what it sees: `SITE_NOT_COMMISSIONED`.
- Everything is compared by digest at every judgement; what does not agree is a stop (N3). Masks
  alone may grow: a set that covers the commissioned one, which the record holds, passes (ADR 0025).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from alpr_edge.config.mask_file import format_masks, mask_digest, parse_masks
from alpr_edge.errors import AlprEdgeError, ExclusionError, TrustError
from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.compare import compare
from alpr_edge.exclusion.interlock import Stop, StopReason
from alpr_edge.exclusion.premises import Register, Site, site_digest
from alpr_edge.exclusion.projection import near_sites
from alpr_edge.placement.camera_file import camera_digest, camera_from, camera_values
from alpr_edge.placement.check import Policy, Verdict, check_placement
from alpr_edge.trust.checks import format_time, parse_time
from alpr_edge.zone_set import ZoneSet

VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Record:
    """What was commissioned.

    Attributes:
        zones: the masks that were in force.
        reference: digest of the reference view; None: without one.
        sites: digest of every site that was within reach.
    """

    device: str
    camera: PlacedCamera
    register: str
    serial: int
    zones: ZoneSet
    reference: str | None
    verdict: Verdict
    lost: float
    sites: Mapping[str, str]
    made_at: datetime
    made_by: str

    @property
    def masks(self) -> str:
        """Digest of the zone set (`config.mask_file.mask_digest`)."""
        return mask_digest(self.zones)

    @property
    def digest(self) -> str:
        """SHA-256 in hex of its canonical payload: its id in events, ledger and attestation."""
        text = json.dumps(record_payload(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Subject:
    """The unit that is commissioned, as it is.

    Attributes:
        zones: the masks in force.
        reference: digest of the reference view in use; None: there is none.
        least_band: band that the device's configuration asks for (`zones.rasterise`).
    """

    device: str
    camera: PlacedCamera
    zones: ZoneSet
    reference: str | None = None
    least_band: float = 0.0


def commission(
    subject: Subject, register: Register, policy: Policy, *, now: datetime, by: str
) -> Record:
    """The record of a camera that may stand.

    Raises:
        ExclusionError: `placement.commission.refused`: it must not stand here, its masks do not
            cover what is in view, or the register is stale.
    """
    camera, today = subject.camera, now.astimezone(UTC).date()
    if register.is_stale(today):
        raise _refused([f"the register was valid until {register.valid_to}"])
    sites = register.sites_on(today)
    placement = check_placement(camera, near_sites(sites, camera, policy.rules.reach_m), policy)
    if placement.verdict is Verdict.MUST_NOT_STAND:
        better = [suggestion.text for suggestion in placement.suggestions]
        raise _refused(["must not stand here", *placement.reasons, *better])
    size = (camera.lens.width_px, camera.lens.height_px)
    needed = replace_gates(placement.zones)
    missing = compare(needed, replace_gates(subject.zones), size_px=size).narrowings
    if not needed.nothing_protected and missing:
        raise _refused(["the masks do not cover what is in view", *missing[:10]])
    return Record(
        device=subject.device,
        camera=camera,
        register=register.digest,
        serial=register.serial,
        zones=subject.zones,
        reference=subject.reference,
        verdict=placement.verdict,
        lost=round(placement.lost, 4),
        sites=_within_reach(sites, camera, policy),
        made_at=now,
        made_by=by,
    )


def replace_gates(zones: ZoneSet) -> ZoneSet:
    """The zones without their gate lines."""
    alone = not (zones.masks or zones.bands or zones.whole_frame)
    return replace(zones, gates=(), nothing_protected=alone)


def site_stops(
    record: Record | None, register: Register | None, subject: Subject, policy: Policy, *,
    on: date | None,
) -> tuple[Stop, ...]:  # fmt: skip
    """What register and commissioning forbid; empty: nothing (for `interlock.Facts.site`).

    Args:
        on: today; None where the clock is not trusted.
    """
    if record is None:
        return (Stop(StopReason.SITE_NOT_COMMISSIONED, "there is no commissioning record"),)
    stops = []
    wrong = [
        what
        for what, differs in (
            ("unit", record.device != subject.device),
            ("position, direction or lens", _differs(record.camera, subject.camera)),
            ("mask record", not _are_kept(record, subject)),
            ("reference view", record.reference != subject.reference),
        )
        if differs
    ]
    if wrong:
        detail = f"commissioned with another {', '.join(wrong)}"
        stops.append(Stop(StopReason.SITE_NOT_COMMISSIONED, detail))
    if record.verdict is Verdict.MUST_NOT_STAND:
        stops.append(Stop(StopReason.SITE_UNCOVERED, "the camera must not stand here"))
    if register is None:
        return (*stops, Stop(StopReason.SITE_REGISTER, "there is no register of premises"))
    if register.serial < record.serial:
        stops.append(Stop(StopReason.SITE_REGISTER, "the register is older than the record"))
    if register.is_stale(on):
        stops.append(Stop(StopReason.SITE_REGISTER, "the register is past its last day"))
    if register.digest != record.register:
        changed = changed_sites(record, register, policy, on=on)
        if changed:
            detail = f"the register changed in this view: {', '.join(changed[:5])}"
            stops.append(Stop(StopReason.SITE_UNCOVERED, detail))
    return tuple(stops)


def changed_sites(
    record: Record, register: Register, policy: Policy, *, on: date | None
) -> list[str]:
    """Ids of sites within the camera's reach that are new or not as they were commissioned.

    A site whose protection ended, or that was taken out, frees nothing: its masks stay in force.
    """
    now = _within_reach(register.sites_on(on), record.camera, policy)
    return sorted(name for name, digest in now.items() if record.sites.get(name) != digest)


def record_payload(record: Record) -> dict[str, Any]:
    """The record as the object that is signed. `read_record(record_payload(r)) == r`."""
    return {
        "version": VERSION,
        "device": record.device,
        "camera": camera_values(record.camera),
        "register": {"digest": record.register, "serial": record.serial},
        "masks": json.loads(format_masks(record.zones)),
        "reference": record.reference,
        "placement": {"verdict": record.verdict.value, "lost": record.lost},
        "sites": dict(record.sites),
        "made_at": format_time(record.made_at),
        "made_by": record.made_by,
    }


def read_record(payload: Mapping[str, Any]) -> Record:
    """The record in a verified payload.

    Raises:
        TrustError: `placement.commission.invalid`.
    """
    try:
        if payload["version"] != VERSION:
            raise ValueError(f"version {payload['version']} is not {VERSION}")
        register, placement, sites = payload["register"], payload["placement"], payload["sites"]
        texts = [payload["device"], register["digest"], payload["made_by"]]
        texts += [*sites, *sites.values()]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a text is missing")
        if not isinstance(payload["reference"], str | None) or isinstance(register["serial"], bool):
            raise ValueError("reference or serial is not what it should be")
        return Record(
            device=payload["device"],
            camera=camera_from(payload["camera"], source="the camera of the record"),
            register=register["digest"],
            serial=int(register["serial"]),
            zones=parse_masks(json.dumps(payload["masks"]), source="the masks of the record"),
            reference=payload["reference"],
            verdict=Verdict(placement["verdict"]),
            lost=float(placement["lost"]),
            sites=dict(sites),
            made_at=parse_time(payload["made_at"], "made_at"),
            made_by=payload["made_by"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, AlprEdgeError) as err:
        raise TrustError(
            f"the commissioning record cannot be used: {err}",
            code="placement.commission.invalid",
            hint="make it again with `alpr-edge commission make`",
        ) from err


def _are_kept(record: Record, subject: Subject) -> bool:
    """Whether the masks in force protect all that was commissioned."""
    if record.masks == mask_digest(subject.zones):
        return True
    lens = record.camera.lens
    size = lens.width_px, lens.height_px
    return compare(record.zones, subject.zones, size_px=size, least_band=subject.least_band).covers


def _differs(one: PlacedCamera, other: PlacedCamera) -> bool:
    return camera_digest(one) != camera_digest(other)


def _within_reach(sites: Sequence[Site], camera: PlacedCamera, policy: Policy) -> dict[str, str]:
    near = near_sites(sites, camera, policy.rules.reach_m)
    return {site.id: site_digest(site) for site in near}


def _refused(reasons: Sequence[str]) -> ExclusionError:
    return ExclusionError(
        "not commissioned: " + "\n  - ".join(reasons),
        code="placement.commission.refused",
        hint="see `alpr-edge placement check`",
    )
