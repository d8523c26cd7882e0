"""Edge: mask records from disk. Apart from `store`, so that photos are read without pydantic.

A record that is missing or damaged is the caller's mistake for a tool of the bench (`load_masks`:
`ConfigError`, exit status 2) and a refusal by policy for a device (`load_device_masks`:
`ExclusionError`, exit status 3, same codes): fail closed (N3).
"""

from __future__ import annotations

import os

from alpr_edge.config.files import FileTrouble, display_name, read_regular_file
from alpr_edge.config.mask_file import MAX_MASK_BYTES, parse_masks
from alpr_edge.errors import ConfigError, ExclusionError
from alpr_edge.zone_set import ZoneSet


def load_masks(path: str | os.PathLike[str]) -> ZoneSet:
    """The mask record in a file, for tools of the bench.

    Raises:
        ConfigError: `exclusion.mask.missing`, `.unreadable`, `.not_a_file`, `.too_large` or
            `.invalid`, the last with all problems.
    """
    source = display_name(path)
    data = read_regular_file(path, limit_bytes=MAX_MASK_BYTES)
    if isinstance(data, FileTrouble):
        raise ConfigError(
            f"mask record {source} {data.detail}",
            code=f"exclusion.mask.{data.kind.value}",
            hint=data.hint,
        )
    return parse_masks(data, source=source)


def load_device_masks(path: str | os.PathLike[str]) -> ZoneSet:
    """The mask record of a device. Without one nothing is read.

    Raises:
        ExclusionError: with the codes of `load_masks`; its message holds all problems.
    """
    try:
        return load_masks(path)
    except ConfigError as err:
        message = "\n  - ".join([f"nothing is read without masks: {err.message}", *err.problems])
        raise ExclusionError(message, code=err.code, hint=err.hint) from err
