"""What judges the place: register, commissioning record, receiver and pan-tilt head."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge.exclusion.geofence import Limits, Looking
from alpr_edge.placement.check import Policy
from alpr_edge.placement.files import load_camera
from alpr_edge.placement.moving import GivesFixes, GivesHead, MovingCamera, Post
from alpr_edge.placement.site_files import SiteFiles, SiteKeys, SitePaths
from alpr_edge.placement.standing import NoSite, SiteJudge, StandingCamera
from alpr_edge.wiring.signed_config import CITY_KEYS

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig, Head, Site
    from alpr_edge.wiring.signed_config import SignatureCheck


def make_place(
    config: DeviceConfig, check: SignatureCheck, environment: Mapping[str, str]
) -> SiteJudge:
    """What the guard asks about the place. Opens receiver and head, which may come and go.

    Raises:
        ConfigError: the camera of a pan-tilt head's post cannot be used, or a secret is not set.
    """
    site = config.site
    if site is None or not site.required:
        return NoSite()
    files = site_files(config, check)
    if not site.moves:
        return StandingCamera(files, config.device.id, Policy(), least_band=config.exclusion.band)
    assert site.hfov_deg is not None  # config.rules: a moving camera states it
    looking = Looking(site.hfov_deg, site.offset_deg, site.offset_error_deg)
    limits = Limits(reach_m=site.reach_m, max_accuracy_m=site.max_accuracy_m)
    head = None if site.head is None else _head(site.head, environment)
    return MovingCamera(files, _fixes(site), looking, limits, head=head)


def site_files(config: DeviceConfig, check: SignatureCheck) -> SiteFiles:
    """Register, record and camera of a unit, as they lie there."""
    site = config.site
    number = Path(config.trust.identity) / "register.number"
    paths = (
        SitePaths()
        if site is None
        else SitePaths(site.premises, site.commissioning, site.camera, number)
    )
    return SiteFiles(paths, lambda: _keys(config, check))


def _keys(config: DeviceConfig, check: SignatureCheck) -> SiteKeys:
    """Whose signatures count now: the city's, and those of its technicians and supervisors."""
    from alpr_edge.authority.record import SIGNING_ROLES
    from alpr_edge.trust.key_files import load_keyring

    unsigned = not config.trust.require_signatures and not check.anchored
    where = CITY_KEYS if check.anchored else config.trust.city_keys
    if where is None:
        return SiteKeys(unsigned=unsigned)
    ring = load_keyring(where, config.trust.persons)
    return SiteKeys(ring.city, (*ring.city, *ring.keys_of(*SIGNING_ROLES)), unsigned)


def _fixes(site: Site) -> GivesFixes:
    if site.position == "nmea":
        from alpr_edge.capture.gnss_serial import serial_gnss

        return serial_gnss(str(site.nmea_device), site.nmea_baud)
    if site.position == "gpsd":
        from alpr_edge.capture.gpsd import gpsd_gnss

        return gpsd_gnss(site.gpsd_host, site.gpsd_port)
    assert site.camera is not None  # config.rules: a head's post states it
    return Post(load_camera(site.camera), time.monotonic_ns)


def _head(head: Head, environment: Mapping[str, str]) -> GivesHead:
    from alpr_edge.capture.onvif_ptz import OnvifHead, PtzLimits
    from alpr_edge.delivery.setup import secret

    return OnvifHead(
        head.url,
        head.profile,
        credentials=(
            secret(head.username_env, "site.head.username_env", environment),
            secret(head.password_env, "site.head.password_env", environment),
        ),
        limits=PtzLimits(
            every_s=head.every_s,
            timeout_s=head.timeout_s,
            max_age_s=head.max_age_s,
            turns_deg_per_s=head.turns_deg_per_s,
            error_deg=head.error_deg,
            pan_range_deg=head.pan_range_deg,
            zero_deg=head.zero_deg,
        ),
    )
