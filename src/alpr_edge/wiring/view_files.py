"""Which reference view counts at the start: the one that the masks in force name.

A view that was taken on the console lies beside the one in use. When a mask record that names it
has been confirmed, the next start puts it in the place of the old one. No other way leads there,
and a record that still waits for its confirmation does not count.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge.errors import AlprEdgeError, ExclusionError
from alpr_edge.wiring.guard import make_mask_source

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig

_log = logging.getLogger(__name__)


def settle_reference(config: DeviceConfig) -> None:
    """Put the view that was taken in place, if the masks in force name it and not the old one.

    Raises:
        ExclusionError: `exclusion.reference.disk`.
    """
    if config.exclusion.reference_file is None:
        return
    from alpr_edge.console.reference_taker import load_view, taken_file
    from alpr_edge.exclusion.view_reference import reference_json
    from alpr_edge.trust.durable_file import write_durably

    path = Path(config.exclusion.reference_file)
    taken, _ = load_view(taken_file(path))
    if taken is None:
        return
    try:
        wanted = make_mask_source(config).load().facts.reference
    except AlprEdgeError:
        return
    if wanted != taken.digest:
        return
    used, _ = load_view(path)
    if used is not None and used.digest == wanted:
        return
    try:
        write_durably(path, reference_json(taken))
    except OSError as err:
        raise ExclusionError(
            f"the reference view cannot be put in place: {err.strerror}",
            code="exclusion.reference.disk",
            hint="look at the disk",
        ) from err
    _log.info("another reference view", extra={"digest": taken.digest})
