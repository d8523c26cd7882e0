"""`alpr-edge commission`: the signed record that ties a camera to what was judged."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from alpr_edge.cli.premises import private_key

if TYPE_CHECKING:
    from alpr_edge.placement.commissioning import Subject

_EPILOG = """\
examples:
  alpr-edge commission make --device cam-0007 --camera cam.json --premises premises.signed.json \\
      --keys city-keys --masks masks.json --key anna.key --by "Anna" --out commissioning.json
  alpr-edge commission check --record commissioning.json --device cam-0007 --camera cam.json \\
      --premises premises.signed.json --keys city-keys --masks masks.json

Exit status: 0 done or in order, 3 refused: the camera must not stand here, its masks do not cover
what is in view, or the record is not about this camera any more.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "commission",
        help="tie camera, register, masks and verdict together, signed",
        description="Make or check a camera's commissioning record.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, brief in (
        ("make", "judge the camera and sign the record"),
        ("check", "is the record still about this camera and this register?"),
    ):
        action = actions.add_parser(
            name,
            help=brief,
            description=brief[0].upper() + brief[1:],
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.add_argument("--device", required=True, help="device.id of its configuration")
        action.add_argument("--camera", required=True, metavar="FILE")
        action.add_argument("--premises", required=True, metavar="FILE", help="signed register")
        action.add_argument("--masks", required=True, metavar="FILE", help="the mask record")
        action.add_argument("--keys", required=True, metavar="FILE", help="the city's public keys")
        action.add_argument("--reference", metavar="DIGEST", help="of the reference view")
        if name == "make":
            action.add_argument("--key", required=True, metavar="FILE", help="who commissions")
            action.add_argument("--passphrase-file", metavar="FILE")
            action.add_argument("--by", required=True, help="name of who commissions")
            action.add_argument("--out", required=True, metavar="FILE")
        else:
            action.add_argument("--record", required=True, metavar="FILE")
            action.add_argument(
                "--commissioner-keys", metavar="FILE", help="who may sign records (--keys)"
            )
        action.set_defaults(call=_make if name == "make" else _check)


def _make(args: argparse.Namespace) -> int:
    from alpr_edge.placement.check import Policy
    from alpr_edge.placement.commissioning import commission
    from alpr_edge.placement.files import load_register, save_record
    from alpr_edge.trust.key_files import load_public_keys

    register = load_register(args.premises, load_public_keys(args.keys)).register
    record = commission(_subject(args), register, Policy(), now=datetime.now(UTC), by=args.by)
    save_record(record, args.out, private_key(args))
    print(
        f"{args.out}: {record.verdict.text}; {len(record.sites)} sites within reach, "
        f"{record.lost:.0%} of the readable ground lost"
    )
    return 0


def _check(args: argparse.Namespace) -> int:
    from alpr_edge.placement.check import Policy
    from alpr_edge.placement.commissioning import site_stops
    from alpr_edge.placement.files import load_record, load_register
    from alpr_edge.trust.key_files import load_public_keys

    keys = load_public_keys(args.keys)
    signers = load_public_keys(args.commissioner_keys) if args.commissioner_keys else keys
    record = load_record(args.record, signers)
    register = load_register(args.premises, keys).register
    stops = site_stops(record, register, _subject(args), Policy(), on=datetime.now(UTC).date())
    for stop in stops:
        print(f"[{stop.reason}] {stop.detail} ({stop.hint})", file=sys.stderr)
    if stops:
        return 3
    print(f"{args.record}: in order; {record.verdict.text}, made by {record.made_by}")
    return 0


def _subject(args: argparse.Namespace) -> Subject:
    from alpr_edge.config.mask_store import load_masks
    from alpr_edge.placement.commissioning import Subject
    from alpr_edge.placement.files import load_camera

    zones = load_masks(args.masks)
    return Subject(args.device, load_camera(args.camera), zones, args.reference)
