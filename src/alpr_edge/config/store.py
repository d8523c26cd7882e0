"""Edge: a device's configuration from disk.

Reads and bounds the file; `parse` judges what is in it. It does not watch, write or sign, and does
not open the files that the configuration names.
"""

from __future__ import annotations

import os

from alpr_edge.config.files import FileTrouble, display_name, read_regular_file
from alpr_edge.config.models import DeviceConfig
from alpr_edge.config.parse import MAX_CONFIG_BYTES, parse
from alpr_edge.errors import ConfigError


def load(path: str | os.PathLike[str]) -> DeviceConfig:
    """The configuration in a file; its relative paths are relative to the file's folder.

    Raises:
        ConfigError: `config.missing`, `.unreadable`, `.not_a_file` or `.too_large`, and all that
            `parse` raises.
    """
    return parse(read(path), source=display_name(path), folder=os.path.dirname(os.fspath(path)))


def read(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a configuration file, for who checks its signature, too.

    Raises:
        ConfigError: `config.missing`, `.unreadable`, `.not_a_file` or `.too_large`.
    """
    source = display_name(path)
    data = read_regular_file(path, limit_bytes=MAX_CONFIG_BYTES)
    if isinstance(data, FileTrouble):
        raise ConfigError(
            f"configuration {source} {data.detail}",
            code=f"config.{data.kind.value}",
            hint=data.hint,
        )
    return data
