"""`alpr-edge console`: the technician's serial line, in a process of its own."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

_DEFAULT = "/etc/alpr-edge/device.toml"
_EPILOG = """\
examples:
  alpr-edge console --port /dev/ttyGS0
  alpr-edge console --port /dev/ttyUSB0 --baud 9600 --config device.toml

The other side is any terminal program: 115200 baud, 8N1. The service serves a line of its own where
its configuration names [console] port; then self-tests, stills and health are to be had, too.
What can be typed: docs/technician.md, or ? on the line. Ctrl-C and SIGTERM end it.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    from alpr_edge.console.serial_port import BAUDS

    parser = commands.add_parser(
        "console",
        help="serve a technician on a serial port",
        description="Serve a technician on a serial port until it is told to stop.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", required=True, metavar="DEV", help="the serial port")
    parser.add_argument("--config", type=Path, default=Path(_DEFAULT), metavar="FILE")
    parser.add_argument("--baud", type=int, choices=BAUDS, help="instead of console.baud")
    parser.add_argument(
        "--flow", choices=["none", "rtscts", "xonxoff"], help="instead of console.flow"
    )
    parser.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Serve until a signal comes.

    Raises:
        ConsoleError: the port cannot be opened.
        ConfigError, KeyUnusable: configuration or key cannot be used.
    """
    from alpr_edge.cli.run import log_to_stderr
    from alpr_edge.process_guard import forbid_core_dumps
    from alpr_edge.wiring.console import make_serial_console
    from alpr_edge.wiring.device import SOFTWARE
    from alpr_edge.wiring.signed_config import load_config

    forbid_core_dumps()
    config, check = load_config(args.config)
    log_to_stderr(config.run.log_level)
    console = make_serial_console(
        config,
        check,
        args.port,
        baud=args.baud or config.console.baud,
        flow=args.flow or config.console.flow,
        config_file=args.config,
        software=SOFTWARE,
    )
    console.open_once()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: console.stop())
    try:
        console.run()
    finally:
        console.close()
    return 0
