"""What judges before every frame, and the masks that it judges."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge.errors import ConfigError, ExclusionError, TrustError
from alpr_edge.exclusion.interlock import HINTS, Interlock, MaskState, SoftwareFacts, StopReason
from alpr_edge.wiring.place import make_place
from alpr_edge.zone_set import ZoneSet

if TYPE_CHECKING:
    from alpr_edge.authority.store import MaskStore
    from alpr_edge.config.models import DeviceConfig
    from alpr_edge.watch import Guard, MaskSource
    from alpr_edge.wiring.signed_config import SignatureCheck


def make_guard(
    config: DeviceConfig,
    check: SignatureCheck,
    *,
    model_trouble: str = "",
    about: dict[str, object] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Guard:
    """What judges before every frame.

    Args:
        environment: holds the secrets that the configuration names.

    Raises:
        KeyUnusable: the unit's own key cannot be made or read.
    """
    from alpr_edge.delivery.clocks import SystemClocks
    from alpr_edge.watch import Guard, clock_trouble, storage_trouble

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
        place=make_place(config, check, environment),
        trouble_of_storage=lambda: storage_trouble(kept_in(config)),
    )


def kept_in(config: DeviceConfig) -> tuple[Path, ...]:
    """Folders that the unit must be able to write to."""
    folders = [Path(config.outbox.path).parent]
    if config.ledger.enabled:
        folders.append(Path(config.ledger.path))
    return tuple(folders)


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
    from alpr_edge.authority.store import Anchors, MaskMove, MaskStore, Newest
    from alpr_edge.ledger.mask_changes import tell
    from alpr_edge.ledger.newest import newest_in_force
    from alpr_edge.ledger.setup import open_reporter
    from alpr_edge.trust.device_identity import device_key
    from alpr_edge.trust.tpm import find_tpm

    if config.exclusion.mask_store is None:
        raise ConfigError(
            "the configuration names no mask_store",
            code="config.no_mask_store",
            hint="set exclusion.mask_store to a folder; mask_file is for a bench only",
        )
    reporter = open_reporter(config)

    def changed(move: MaskMove) -> None:
        if reporter is not None:
            tell(move, config.exclusion.band, reporter)

    keep_in = config.trust.keep_key_in
    key = device_key(config.trust.identity, keep_in)
    ledger = Path(config.ledger.path)
    anchors = Anchors(
        None if keep_in == "file" else find_tpm(),
        (lambda: newest_in_force(ledger)) if config.ledger.enabled else Newest,
    )
    return MaskStore(config.exclusion.mask_store, key, changed=changed, anchors=anchors)


def note_persons(config: DeviceConfig, check: SignatureCheck) -> None:
    """Have an older list of persons than this one never count again.

    Raises:
        Rollback: an older one lies there now.
        AlprEdgeError: the list, the keys or the store cannot be used.
    """
    from alpr_edge.trust.key_files import load_keyring
    from alpr_edge.wiring.signed_config import CITY_KEYS

    where = CITY_KEYS if check.anchored else config.trust.city_keys
    if where is None or config.trust.persons is None or config.exclusion.mask_store is None:
        return
    try:
        make_mask_store(config).note_persons(load_keyring(where, config.trust.persons))
    except OSError as err:
        raise TrustError(
            f"the number of the list of persons cannot be kept: {err.strerror}",
            code="authority.store.disk",
            hint="look at the disk",
        ) from err


def waived_reasons(config: DeviceConfig, check: SignatureCheck) -> frozenset[StopReason]:
    """What does not stop this unit. What it waives is told with every verdict."""
    # A unit without a reference view reads, and says so: exclusion.reference_file is a choice.
    waived = {StopReason.SCENE_NO_REFERENCE}
    if check.anchored and not check.is_signed:
        return frozenset(waived)
    if not config.trust.require_signatures:
        waived |= {
            StopReason.CONFIG_UNSIGNED,
            StopReason.MASK_UNSIGNED,
            StopReason.SITE_NOT_COMMISSIONED,
        }
    if config.site is not None and not config.site.required:
        waived |= {StopReason.SITE_NOT_COMMISSIONED}
    if config.clock.accept == "assumed":
        waived |= {StopReason.CLOCK_UNTRUSTED}
    return frozenset(waived)


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
