"""`alpr-edge status`: whether the service reads, and why not."""

from __future__ import annotations

import argparse
import json
from typing import Any

STALE_S = 30.0
"""The service tells every ten seconds."""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "status",
        help="whether the service reads, and why not",
        description="What the service last said. Exit status: 0 reading, 3 stopped, 1 not running.",
        epilog="example: alpr-edge status --config /etc/alpr-edge/device.toml",
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="the device's TOML file")
    parser.add_argument("--json", action="store_true", help="the status file as it is")
    parser.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Read the status file that the configuration names.

    Raises:
        ConfigError: it names none.
    """
    from alpr_edge.config.files import FileTrouble, read_regular_file
    from alpr_edge.config.store import load
    from alpr_edge.delivery.clocks import SystemClocks
    from alpr_edge.errors import ConfigError

    path = load(args.config).run.status_file
    if path is None:
        raise ConfigError(
            f"{args.config} names no status file",
            code="config.no_status_file",
            hint="set run.status_file",
        )
    data = read_regular_file(path, limit_bytes=64 * 1024)
    if isinstance(data, FileTrouble):
        print(f"not running: {path} {data.detail}")
        return 1
    try:
        status = json.loads(data)
        clocks = SystemClocks()
        age_s = clocks.boot_s() - float(status["told_boot_s"])
        fresh = status["boot_id"] == clocks.boot_id() and 0 <= age_s < STALE_S
        lines = list(_lines(status))
        reads = status["phase"] == "reading" and status["guards"]["may_read"]
    except (ValueError, KeyError, TypeError):
        print(f"not running: {path} is damaged")
        return 1
    if args.json:
        print(json.dumps(status, indent=1))
    else:
        print("\n".join(lines if fresh else ["not running; this was the last word:", *lines]))
    return 1 if not fresh else 0 if reads else 3


def _lines(status: dict[str, Any]) -> Any:
    masks, guards = status["masks"], status["guards"]
    yield f"{status['phase']}, told at {status['told_at']}"
    for stop in status["stops"]:
        yield f"  stopped: {stop['what']} [{stop['code']}] ({stop['hint']})"
    for stop in status["waived"]:
        yield f"  not enforced here: {stop['what']} [{stop['code']}]"
    doubt = "" if guards["may_read"] else "; nothing is read until both allow it"
    yield f"  view: {guards['view']}, self-test: {guards['self_test']}{doubt}"
    signed = "signed" if masks["signed"] else "not signed"
    place = status["place"]
    for what in ("register", "commissioning"):
        yield f"  {what}: {(place[what] or 'none')[:16]}"
    yield f"  masks: number {masks['number']}, {signed}, {masks['digest'][:16] or 'none'}"
