"""A configuration and what its signature is worth."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge.errors import KeyUnusable

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig
    from alpr_edge.trust.keys import PublicKey

CITY_KEYS = "/etc/alpr-edge/city-keys"
"""The city's keys as they come with a unit; stronger than what its configuration says."""


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """What became of the configuration's signature.

    Attributes:
        keys: the city's, by which it was checked.
        anchored: they came with the unit, not from the configuration.
        file: the configuration's; empty where it is from nowhere.
    """

    is_signed: bool = False
    trouble: str = ""
    keys: tuple[PublicKey, ...] = ()
    anchored: bool = False
    file: str = ""


def city_keys_file(
    config: DeviceConfig, anchor: str | os.PathLike[str] = CITY_KEYS
) -> str | os.PathLike[str] | None:
    """Where the city's keys lie: as they came with the unit, or else as the configuration says."""
    return anchor if os.path.lexists(anchor) else config.trust.city_keys


def load_config(
    path: str | os.PathLike[str], *, anchor: str | os.PathLike[str] = CITY_KEYS
) -> tuple[DeviceConfig, SignatureCheck]:
    """A configuration and what its signature is worth.

    Args:
        anchor: the city's keys that came with the unit; where there is such a file, the keys that
            the configuration names do not count.

    Raises:
        ConfigError: as `config.store.load`.
    """
    from alpr_edge.config.files import display_name
    from alpr_edge.config.parse import parse
    from alpr_edge.config.store import read
    from alpr_edge.trust.key_files import load_public_keys
    from alpr_edge.watch import check_config_signature

    content = read(path)
    config = parse(content, source=display_name(path), folder=os.path.dirname(os.fspath(path)))
    anchored = os.path.lexists(anchor)
    where = city_keys_file(config, anchor)
    try:
        keys = () if where is None else load_public_keys(where)
    except KeyUnusable as err:
        return config, SignatureCheck(False, err.message, (), anchored, os.fspath(path))
    number_file = Path(config.trust.identity) / "config.number"
    signed, trouble = check_config_signature(path, content, keys, number_file)
    return config, SignatureCheck(signed, trouble, keys, anchored, os.fspath(path))
