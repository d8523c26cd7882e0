"""`alpr-edge receipts`: stores reads beside the city's application and answers with receipts."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

_EPILOG = """\
examples:
  alpr-edge receipts --store reads.sqlite3
  alpr-edge receipts --host broker.city.example --port 8883 --prefix city/alpr \\
      --ca ca.pem --cert app.pem --key app.key --store /var/lib/city/reads.sqlite3

A device with settle_on = "receipt" deletes a read only after this answer. Each read is on disk
before its receipt leaves, is stored once however often it comes, and is deleted when its retention
ends.
User name and password: ALPR_EDGE_MQTT_USERNAME, ALPR_EDGE_MQTT_PASSWORD. SIGTERM ends it.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "receipts",
        help="store reads and answer devices with receipts",
        description="Store every read that arrives, once, and answer the device with a receipt.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="of the broker (127.0.0.1)")
    parser.add_argument("--port", type=int, default=1883, help="of the broker (1883)")
    parser.add_argument("--prefix", default="alpr-edge", help="of the topics (alpr-edge)")
    parser.add_argument(
        "--name", default="receipts", help="client id; keeps its session (receipts)"
    )
    parser.add_argument("--store", type=Path, required=True, metavar="FILE", help="SQLite file")
    parser.add_argument("--protocol", choices=["5", "3.1.1"], default="5", help="MQTT version (5)")
    for name, what in (("ca", "authorities, PEM; turns TLS on"), ("cert", "own certificate, PEM"),
                       ("key", "own private key, PEM")):  # fmt: skip
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)
    parser.add_argument("--quiet", action="store_true", help="no counter on the terminal")
    parser.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from alpr_edge.delivery.mqtt_settings import Credentials, TlsFiles
    from alpr_edge.delivery.receipt_service import ReadStore, ReceiptService, Where
    from alpr_edge.errors import ConfigError

    if (args.cert is None) != (args.key is None) or (args.cert and not args.ca):
        raise ConfigError("--cert, --key and --ca belong together", code="cli.usage")
    tls = None if args.ca is None else TlsFiles(args.ca, args.cert, args.key)
    store = ReadStore(args.store)
    try:
        service = ReceiptService(
            Where(
                args.host,
                args.port,
                args.prefix,
                args.name,
                Credentials.from_environment(os.environ),
                tls,
                args.protocol == "5",
            ),
            store,
        )
    except OSError as err:
        raise ConfigError(
            f"the certificate files cannot be used: {err}",
            code="cli.tls",
            hint="check --ca, --cert and --key",
        ) from err
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    began = time.monotonic()

    def tick() -> None:
        print(
            f"\r{service.stored} stored, {service.repeated} came again, "
            f"{service.unreadable} unreadable, {time.monotonic() - began:.0f} s ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    show = not args.quiet and sys.stderr.isatty()
    service.run(tick if show else lambda: None)
    store.close()
    print(f"{service.stored} reads stored, {service.repeated} came again", file=sys.stderr)
    return 0
