"""Edge: settings of the real unit that are changed key by key (`settings`, ADR 0029)."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.config.models import DeviceConfig
from alpr_edge.config.parse import MAX_CONFIG_BYTES, parse
from alpr_edge.console.device import NOT_HERE, Document
from alpr_edge.console.settings import (
    LinkSettings,
    changed_text,
    network_file,
    read_network_file,
)
from alpr_edge.errors import ConsoleError
from alpr_edge.trust.durable_file import write_durably

_MAX_FILE: Final = 16 * 1024
_RELOAD_S: Final = 10.0


def link_settings(config: DeviceConfig) -> LinkSettings | None:
    """What this console set last; None: nothing, or it may not."""
    path = config.console.network_file
    if path is None:
        return None
    data = read_regular_file(path, limit_bytes=_MAX_FILE)
    return (
        None
        if isinstance(data, FileTrouble)
        else read_network_file(data.decode("utf-8", "replace"))
    )


def set_link(config: DeviceConfig, settings: LinkSettings) -> Document:
    """Write the link's file, and have the system read it.

    Raises:
        ConsoleError: `console.network.not_allowed` or `.invalid`, or `console.disk`.
    """
    path = config.console.network_file
    if path is None:
        raise _not_allowed(
            "the configuration does not let the console set the network",
            "let the city sign one with console.network_file",
        )
    if config.mqtt.tls is None:
        raise _not_allowed(
            "without mqtt.tls the network decides who gets the reads",
            "let the city sign a configuration with certificates",
        )
    settings.check()
    text = network_file(config.console.network_link, settings)
    try:
        write_durably(Path(path), text.encode("ascii"), mode=0o644)
    except OSError as err:
        raise ConsoleError(
            f"{path} cannot be written: {err.strerror}",
            code="console.disk",
            hint="look at the disk",
        ) from err
    try:
        subprocess.run(["networkctl", "reload"], timeout=_RELOAD_S, check=True, capture_output=True)
        counts = "now"
    except (OSError, subprocess.SubprocessError):
        counts = "from the unit's next start: reboot"
    return {"link": config.console.network_link, **settings.document(), "counts": counts}


def requested(
    config_file: Path | None, signed: Mapping[str, str | int]
) -> tuple[bytes, DeviceConfig]:
    """The configuration with some keys changed, for the city to sign.

    Raises:
        ConfigError: it would not be sound, or the keys cannot be set.
        ConsoleError: `console.not_available`: there is no file.
    """
    data = (
        None
        if config_file is None
        else read_regular_file(config_file, limit_bytes=MAX_CONFIG_BYTES)
    )
    if config_file is None or data is None or isinstance(data, FileTrouble):
        raise ConsoleError("there is no configuration file to change", code=NOT_HERE, hint="")
    text = changed_text(data.decode("utf-8", "replace"), signed)
    config = parse(text, source="the requested configuration", folder=str(config_file.parent))
    return text.encode(), config


def _not_allowed(why: str, hint: str) -> ConsoleError:
    return ConsoleError(why, code="console.network.not_allowed", hint=hint)
