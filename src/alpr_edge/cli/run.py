"""`alpr-edge run`: the service of a device."""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys
from pathlib import Path
from typing import Any, Literal

_EPILOG = """\
examples:
  alpr-edge config check configs/devices/street.toml
  alpr-edge run --config configs/devices/street.toml

SIGTERM and Ctrl-C end it in order: open tracks are judged, waiting reads are sent or kept in the
outbox for the next start.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="run a device: camera in, reads out over MQTT",
        description="Run a device from its configuration until it is told to stop.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="the device's TOML file")
    parser.add_argument(
        "--drain",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long to go on sending at the end (5)",
    )
    parser.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Run until the source ends or a signal comes."""
    from alpr_edge.delivery.health import coarse
    from alpr_edge.errors import AlprEdgeError
    from alpr_edge.ledger.starting import find_starting
    from alpr_edge.process_guard import forbid_core_dumps
    from alpr_edge.wiring.device import make_service
    from alpr_edge.wiring.signed_config import load_config

    forbid_core_dumps()
    starting = find_starting(args.config)
    stage: Literal["configuration", "device"] = "configuration"
    try:
        config, check = load_config(args.config)
        stage = "device"
        log_to_stderr(config.run.log_level)
        if starting is not None:
            starting.begin()
        service = make_service(config, check, config_file=Path(args.config))
    except Exception as err:
        if starting is not None:
            starting.failed(err.code if isinstance(err, AlprEdgeError) else "internal", stage)
        raise
    calm_collector()

    def stop(number: int, frame: object) -> None:
        service.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    waiting = service.run(drain_s=args.drain)
    tally = service.tally
    print(
        f"{tally.frames} frames, {tally.published} reads published, "
        f"at most {coarse(sum(tally.drops.values()))} tracks dropped, "
        f"{tally.failed_frames} frames failed, "
        f"{waiting} reads wait in the outbox",
        file=sys.stderr,
    )
    return 0


def calm_collector() -> None:
    """Let the garbage collector look at what is new only, and less often.

    Models, modules and configuration stay for good: walking them again and again was a seventh of
    what delivery costs (profiled 2026-11). What refers to itself is still found, a little later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


class _OneLine(logging.Formatter):
    """`time level room code message`, one line a record; extras that rooms set, no tracebacks."""

    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        extra = {
            key: value
            for key, value in vars(record).items()
            if key not in _STANDARD and isinstance(value, str | int | float)
        }
        pairs = "".join(f" {key}={value}" for key, value in sorted(extra.items()))
        room = record.name.removeprefix("alpr_edge.")
        head = f"{self.formatTime(record)} {record.levelname.lower()} {room}"
        return f"{head}: {record.getMessage()}{pairs}"


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def log_to_stderr(level: str) -> None:
    """One line a record on standard error, never on a console's port."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Other libraries' messages may quote addresses and payloads: only their warnings are shown.
    for name in ("paho", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 3600.0:
        raise argparse.ArgumentTypeError("must be within 0 and 3600")
    return value
