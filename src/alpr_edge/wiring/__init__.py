"""From configuration to live objects. Only this room knows all rooms.

`device` makes the whole unit out of `camera`, `engine` (models to a pipeline), `guard` (what judges
before every frame) and the rooms of ledger and delivery; `signed_config` says what a configuration
is worth; `stills` reads photos.
"""

from alpr_edge.wiring.camera import make_source
from alpr_edge.wiring.device import SOFTWARE, make_service
from alpr_edge.wiring.engine import (
    Engine,
    device_zones,
    gate_limits,
    load_reference,
    read_reference,
    still_zones,
    watch_limits,
)
from alpr_edge.wiring.guard import (
    load_mask_record,
    make_guard,
    make_mask_source,
    make_mask_store,
    waived_reasons,
)
from alpr_edge.wiring.signed_config import (
    CITY_KEYS,
    SignatureCheck,
    city_keys_file,
    load_config,
)
from alpr_edge.wiring.stills import STILL_MIN_CONFIDENCE, StillReader, make_still_reader

__all__ = [
    "CITY_KEYS",
    "SOFTWARE",
    "STILL_MIN_CONFIDENCE",
    "Engine",
    "SignatureCheck",
    "StillReader",
    "city_keys_file",
    "device_zones",
    "gate_limits",
    "load_config",
    "load_mask_record",
    "load_reference",
    "make_guard",
    "make_mask_source",
    "make_mask_store",
    "make_service",
    "make_source",
    "make_still_reader",
    "read_reference",
    "still_zones",
    "waived_reasons",
    "watch_limits",
]
