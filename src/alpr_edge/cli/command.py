"""`alpr-edge command`: the city asks a device, by MQTT, with a signed request.

It decides nothing: what counts is decided at the device (`delivery.commands`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alpr_edge.cli.keys import add_key, signing_key, write

_EPILOG = """\
examples:
  alpr-edge command ask status --device cam-0001 --key city.key --host broker.city.example \\
      --port 8883 --ca ca.pem --cert app.pem --tls-key app.key
  alpr-edge command ask self-test --device cam-0001 --key city.key
  alpr-edge command ask add-mask --device cam-0001 --key city.key \\
      --polygon 0.1,0.2 0.4,0.2 0.4,0.6 0.1,0.6 --name clinic --reason "order 4711" \\
      --keep order-4711.json                             `alpr-edge masks release` ends it with that
  alpr-edge command ask stop-reading --device cam-0001 --key city.key --reason "court order 12"
  alpr-edge command make checkpoint --device cam-0001 --key city.key --out ask.json   offline;
  alpr-edge command send ask.json --host broker.city.example                  then elsewhere

A request counts once, at one device, between two moments (10 minutes, a day at most). add-mask only
ever widens; with --record it brings a whole signed mask record instead of one polygon. Nothing here
narrows a mask or undoes a stop: that is done at the device.
The answer is printed as JSON. User name and password for the broker: ALPR_EDGE_MQTT_USERNAME and
ALPR_EDGE_MQTT_PASSWORD.
Exit status: 0 done, 1 failed, not available or no answer, 2 wrong usage, 3 the device refused it.
"""
_COMMANDS = ("status", "self-test", "checkpoint", "add-mask", "stop-reading")
_MAX_FILE = 65_536


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "command",
        help="ask a device over MQTT: status, self-test, checkpoint, add a mask, stop reading",
        description="Make a signed request of the city, send it to a device, print the answer.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = _action(actions, "make", "make and sign a request, for later or elsewhere")
    _add_request(make)
    make.add_argument("--out", type=Path, metavar="FILE", help="instead of the standard output")
    make.set_defaults(call=_make)
    send = _action(actions, "send", "send a request that was made, and print the answer")
    send.add_argument("file", type=Path, metavar="FILE", help="of `make`")
    _add_broker(send)
    send.set_defaults(call=_send)
    ask = _action(actions, "ask", "make a request, send it, and print the answer")
    _add_request(ask)
    ask.add_argument("--keep", type=Path, metavar="FILE", help="the signed request, as it was sent")
    _add_broker(ask)
    ask.set_defaults(call=_ask)


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=text,
        description=text,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=_COMMANDS, help="what the device is to do")
    parser.add_argument("--device", required=True, metavar="ID", help="the device's id")
    add_key(parser)
    parser.add_argument(
        "--minutes", type=float, default=10.0, metavar="N", help="how long it counts (10)"
    )
    parser.add_argument(
        "--not-before", type=_moment, metavar="TIME", help="from when, ISO 8601 with a zone (now)"
    )
    parser.add_argument(
        "--number", type=int, metavar="N", help="larger than any before (milliseconds since 1970)"
    )
    parser.add_argument("--reason", metavar="TEXT", help="of stop-reading (required) or add-mask")
    region = parser.add_mutually_exclusive_group()
    region.add_argument(
        "--polygon",
        nargs="+",
        type=_point,
        metavar="X,Y",
        help="of add-mask: three corners or more, parts of the frame from its top left, 0 to 1",
    )
    region.add_argument(
        "--record", type=Path, metavar="FILE", help="of add-mask: a record of `masks sign`"
    )
    parser.add_argument("--name", metavar="TEXT", help="of the polygon, for people")


def _add_broker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="of the broker (127.0.0.1)")
    parser.add_argument("--port", type=int, default=1883, help="of the broker (1883)")
    parser.add_argument("--prefix", default="alpr-edge", help="of the topics (alpr-edge)")
    parser.add_argument("--protocol", choices=["5", "3.1.1"], default="5", help="MQTT version (5)")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="authorities, PEM; turns TLS on")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="own certificate, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key, PEM")
    parser.add_argument(
        "--wait", type=float, default=30.0, metavar="SECONDS", help="for the answer (30)"
    )


def _make(args: argparse.Namespace) -> int:
    data = _request(args)
    if args.out is None:
        sys.stdout.write(data.decode("ascii").rstrip("\n") + "\n")
    else:
        write(args.out, data)
    return 0


def _send(args: argparse.Namespace) -> int:
    from alpr_edge.config.files import FileTrouble, read_regular_file
    from alpr_edge.errors import ConfigError

    data = read_regular_file(args.file, limit_bytes=_MAX_FILE)
    if isinstance(data, FileTrouble):
        raise ConfigError(f"{args.file} {data.detail}", code="cli.usage", hint=data.hint)
    return _deliver(args, data)


def _ask(args: argparse.Namespace) -> int:
    data = _request(args)
    if args.keep is not None:
        write(args.keep, data)
    return _deliver(args, data)


def _request(args: argparse.Namespace) -> bytes:
    """The signed envelope.

    Raises:
        ConfigError: options that do not belong together (`cli.usage`), or a device would refuse it.
        KeyUnusable: the city's key cannot be read.
    """
    from alpr_edge.delivery.commands import Command, RefusedCommand, command_payload, hear
    from alpr_edge.errors import ConfigError
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import sign

    if not 0 < args.minutes <= 24 * 60:
        raise _usage("--minutes must be more than 0 and at most 1440")
    key = signing_key(args)
    number = int(time.time() * 1000) if args.number is None else args.number
    payload = command_payload(
        args.device,
        Command(args.what),
        number=number,
        not_before=args.not_before or datetime.now(UTC) - timedelta(seconds=30),
        lasts=timedelta(minutes=args.minutes),
        arguments=_arguments(args),
    )
    data = sign(DocumentType.COMMAND, payload, key)
    try:
        # The same reader as the device's: what it could never take is not sent.
        asked = hear(data, args.device, [key.public])
        if asked.polygon:
            from alpr_edge.authority.addition import open_addition

            added = open_addition(asked.polygon, [key.public])
            print(f"order {added.digest}: `masks release` ends the polygon", file=sys.stderr)
    except RefusedCommand as err:
        raise ConfigError(
            "the request would not be understood",
            code=err.code,
            hint="check --number, --reason, --name and --record",
        ) from err
    return data


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    mask = args.what == "add-mask"
    if not mask and (args.polygon or args.record or args.name):
        raise _usage("--polygon, --record and --name belong to add-mask")
    if args.what == "stop-reading":
        if not args.reason:
            raise _usage("stop-reading needs a --reason")
        return {"reason": args.reason}
    if not mask:
        if args.reason:
            raise _usage("--reason belongs to stop-reading and add-mask")
        return {}
    if args.record is not None:
        from alpr_edge.config.files import FileTrouble, read_regular_file

        if args.name or args.reason:
            raise _usage("a record has its own names and reason")
        data = read_regular_file(args.record, limit_bytes=_MAX_FILE)
        if isinstance(data, FileTrouble):
            raise _usage(f"{args.record} {data.detail}")
        return {"record": data.decode("ascii", "replace")}
    if not args.polygon or len(args.polygon) < 3:
        raise _usage("add-mask needs --record, or --polygon with three corners or more")
    found: dict[str, Any] = {"polygon": args.polygon}
    return found | {key: value for key in ("name", "reason") if (value := getattr(args, key))}


def _deliver(args: argparse.Namespace, data: bytes) -> int:
    from alpr_edge.delivery.asking import Broker, Question, ask
    from alpr_edge.delivery.mqtt_settings import Credentials, TlsFiles
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import read_unverified

    payload = read_unverified(data, DocumentType.COMMAND).payload
    if (args.cert is None) != (args.tls_key is None) or (args.cert and not args.ca):
        raise _usage("--cert, --tls-key and --ca belong together")
    device, number = payload.get("device"), payload.get("number")
    if not isinstance(device, str) or type(number) is not int:
        raise _usage("the request names no device or has no number")
    try:
        left = datetime.fromisoformat(str(payload.get("not_after"))) - datetime.now(UTC)
    except (ValueError, TypeError) as err:
        raise _usage("the request does not say until when it counts") from err
    if left <= timedelta(0):
        raise _usage("the request counts no more: make a new one")
    broker = Broker(
        args.host,
        args.port,
        args.prefix,
        Credentials.from_environment(os.environ),
        None if args.ca is None else TlsFiles(args.ca, args.cert, args.tls_key),
        args.protocol == "5",
    )
    try:
        question = Question(device, number, data, int(left.total_seconds()))
        answer = ask(broker, question, args.wait)
    except ValueError as err:
        raise _usage(str(err)) from err
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    outcome, code = answer.get("outcome"), answer.get("code")
    print(f"{device}: {outcome}{f' ({code})' if code else ''}", file=sys.stderr)
    return {"done": 0, "refused": 3}.get(str(outcome), 1)


def _point(text: str) -> list[float]:
    x, _, y = text.partition(",")
    try:
        point = [float(x), float(y)]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y") from None
    if not all(0 <= value <= 1 for value in point):
        raise argparse.ArgumentTypeError(f"{text!r} is not within 0 to 1")
    return point


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in ISO 8601") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no zone: add Z or +02:00")
    return moment


def _usage(message: str) -> Exception:
    from alpr_edge.errors import ConfigError

    return ConfigError(message, code="cli.usage", hint="see `alpr-edge command --help`")
