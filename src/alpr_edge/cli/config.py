"""`alpr-edge config check`: every problem of a device's configuration at once."""

from __future__ import annotations

import argparse
from typing import Any


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("config", help="check a configuration")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="say every problem of a file",
        description="Check a device's TOML file, and the masks and reference view that it names.",
        epilog="example: alpr-edge config check configs/devices/street.toml",
    )
    check.add_argument("files", nargs="+", metavar="FILE")
    check.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Check each file; the status of the worst one."""
    import sys

    from alpr_edge.config.store import load
    from alpr_edge.errors import AlprEdgeError
    from alpr_edge.wiring import load_mask_record, load_reference

    status = 0
    for name in args.files:
        try:
            config = load(name)
            load_mask_record(config)
            load_reference(config)
            print(f"{name}: ok")
        except AlprEdgeError as err:
            print(f"{name}: {err}", file=sys.stderr)
            status = max(status, err.exit_status)
    return status
