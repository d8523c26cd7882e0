"""`alpr-edge commission`: the signed record that ties a camera to what was judged."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.cli.keys import add_key, signing_key, write
from alpr_edge.cli.premises import private_key
from alpr_edge.errors import TrustError

if TYPE_CHECKING:
    from alpr_edge.placement.commissioning import Record, Subject
    from alpr_edge.trust.keys import PublicKey

_EPILOG = """\
examples:
  alpr-edge commission make --device cam-0007 --camera cam.json --premises premises.signed.json \\
      --keys city-keys --masks masks.json --key anna.key --by "Anna" --out commissioning.json
  alpr-edge commission countersign --record commissioning.json --keys city-keys --key ben.key
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
            action.add_argument("--reason", default="", metavar="TEXT", help="stands in the ledger")
            action.add_argument(
                "--config", metavar="FILE", help="on the unit itself: tell its ledger at once"
            )
            action.add_argument("--out", required=True, metavar="FILE")
        else:
            action.add_argument("--record", required=True, metavar="FILE")
            action.add_argument(
                "--commissioner-keys", metavar="FILE", help="who may sign records (--keys)"
            )
        action.set_defaults(call=_make if name == "make" else _check)
    _register_countersign(actions)


def _register_countersign(actions: Any) -> None:
    action = actions.add_parser(
        "countersign",
        help="sign a record as the second person",
        description="Add one signature to a record. The ledger names who signed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument("--record", required=True, type=Path, metavar="FILE")
    action.add_argument("--keys", required=True, metavar="FILE", help="the city's public keys")
    action.add_argument("--persons", metavar="FILE", help="the list of persons")
    add_key(action)
    action.set_defaults(call=_countersign)


def _make(args: argparse.Namespace) -> int:
    """Make, sign, and tell the ledger where the unit is this one.

    Raises:
        TrustError: the unit does not know the key, and is to tell its ledger.
        ExclusionError: the camera must not stand here, or its masks do not cover what is in view.
        ConfigError, TrustError, KeyUnusable: what was given cannot be used.
    """
    from alpr_edge.placement.check import Policy
    from alpr_edge.placement.commissioning import commission
    from alpr_edge.placement.files import load_register, save_record
    from alpr_edge.trust.key_files import load_public_keys

    register = load_register(args.premises, load_public_keys(args.keys)).register
    record = commission(_subject(args), register, Policy(), now=datetime.now(UTC), by=args.by)
    key = private_key(args)
    tell = None if args.config is None else _teller(args, key.public)
    save_record(record, args.out, key)
    if tell is not None:
        tell(record)
    print(
        f"{args.out}: {record.verdict.text}; {len(record.sites)} sites within reach, "
        f"{record.lost:.0%} of the readable ground lost"
    )
    return 0


def _teller(args: argparse.Namespace, key: PublicKey) -> Callable[[Record], None]:
    """Puts a record on the unit's ledger as made; once it is in force, the device tells that.

    Raises:
        TrustError: the unit does not know the key (`placement.commission.unknown_key`).
    """
    from alpr_edge.config.store import load
    from alpr_edge.ledger.newest import commissioned_before
    from alpr_edge.ledger.setup import open_reporter
    from alpr_edge.ledger.signed_by import signed_by
    from alpr_edge.trust.key_files import load_keyring
    from alpr_edge.trust.keyring import Role
    from alpr_edge.wiring.signed_config import CITY_KEYS

    config = load(args.config)
    where = CITY_KEYS if Path(CITY_KEYS).exists() else config.trust.city_keys
    # What the unit holds for the city's keys, not what --keys names.
    ring = load_keyring("" if where is None else where, config.trust.persons)
    if not ring.is_city([key]) and not ring.people([key], *Role):
        raise TrustError(
            "the unit knows neither the city nor a person by this key: its ledger names no others",
            code="placement.commission.unknown_key",
            hint="sign with a key of the city or of trust.persons, or leave out --config",
        )
    by = signed_by([key], ring, {"by": args.by, "reason": args.reason})

    def tell(record: Record) -> None:
        reporter = open_reporter(config)
        if reporter is not None:
            old = commissioned_before(Path(config.ledger.path))
            reporter.commissioned(record.digest, record.masks, by, old=old, in_force=False)

    return tell


def _countersign(args: argparse.Namespace) -> int:
    """Add a signature.

    Raises:
        BadSignature: nobody known signed the record. KeyUnusable: a key cannot be used.
    """
    from alpr_edge.cli.ledger_args import read_file
    from alpr_edge.placement.commissioning import read_record
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import countersign, examine
    from alpr_edge.trust.key_files import load_keyring

    ring, data = load_keyring(args.keys, args.persons), read_file(args.record)
    known = (*ring.city, *(key for person in ring.persons for key in person.keys))
    record = read_record(examine(data, DocumentType.COMMISSIONING, known).payload)
    write(args.record, countersign(data, DocumentType.COMMISSIONING, known, signing_key(args)))
    print(f"{args.record}: {record.verdict.text}, made by {record.made_by}, countersigned")
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
