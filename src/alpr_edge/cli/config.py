"""`alpr-edge config check`: every problem of a device's configuration at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.cli.keys import add_key, signing_key, write

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig
    from alpr_edge.wiring.signed_config import SignatureCheck


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
    sign = actions.add_parser(
        "sign",
        help="sign a file as the city",
        description="Write FILE.sig beside the file. The number never goes back on a unit.",
        epilog="example: alpr-edge config sign device.toml --number 3 --key city.key "
        '--by "Ben" --reason "new broker"',
    )
    sign.add_argument("file", type=Path, metavar="FILE")
    sign.add_argument("--number", type=int, required=True, help="higher than the last one's")
    sign.add_argument("--by", default="", metavar="NAME", help="who signs for the city")
    sign.add_argument("--reason", default="", metavar="TEXT", help="why; stands in the ledger")
    add_key(sign)
    sign.set_defaults(call=_sign)
    counter = actions.add_parser(
        "countersign",
        help="add a person's signature, so that the ledger names who did it",
        description="Add one signature to FILE.sig. The city's alone makes it valid; a person's "
        "says who changed the configuration, a second person's who else agreed.",
        epilog="example: alpr-edge config countersign device.toml --keys city-keys --key anna.key",
    )
    counter.add_argument("file", type=Path, metavar="FILE")
    counter.add_argument("--keys", type=Path, required=True, metavar="FILE", help="the city's")
    counter.add_argument("--persons", type=Path, metavar="FILE", help="the list of persons")
    add_key(counter)
    counter.set_defaults(call=_countersign)


def call(args: argparse.Namespace) -> int:
    """Check each file; the status of the worst one."""
    import sys

    from alpr_edge.errors import AlprEdgeError
    from alpr_edge.wiring.engine import load_reference
    from alpr_edge.wiring.signed_config import load_config

    status = 0
    for name in args.files:
        try:
            config, check = load_config(name)
            load_reference(config)
            _check(name, config, check)
        except AlprEdgeError as err:
            print(f"{name}: {err}", file=sys.stderr)
            status = max(status, err.exit_status)
    return status


def _sign(args: argparse.Namespace) -> int:
    """Sign a configuration that parses.

    Raises:
        ConfigError: it does not, or the number is not one.
        KeyUnusable: the key cannot be used.
    """
    from alpr_edge.config.store import load, read
    from alpr_edge.errors import ConfigError
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import sign_file

    if args.number < 1:
        raise ConfigError("the number must be 1 or more", code="config.signature_number")
    load(args.file)
    said = {name: text for name in ("by", "reason") if (text := getattr(args, name))}
    key = signing_key(args)
    data = sign_file(DocumentType.CONFIG, read(args.file), key, number=args.number, **said)
    out = args.file.with_name(args.file.name + ".sig")
    write(out, data)
    print(f"{out}: number {args.number}")
    return 0


def _countersign(args: argparse.Namespace) -> int:
    """Add a signature to one that is the city's, over this very file.

    Raises:
        BadSignature, DigestMismatch: it is not.
        KeyUnusable: a key cannot be used.
    """
    from alpr_edge.cli.ledger_args import read_file
    from alpr_edge.config.store import read
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import countersign, verify_file
    from alpr_edge.trust.key_files import load_keyring

    out = args.file.with_name(args.file.name + ".sig")
    data, ring = read_file(out), load_keyring(args.keys, args.persons)
    payload = verify_file(data, read(args.file), DocumentType.CONFIG, ring.city)
    known = (*ring.city, *(key for person in ring.persons for key in person.keys))
    write(out, countersign(data, DocumentType.CONFIG, known, signing_key(args)))
    print(f"{out}: number {payload.get('number')}, countersigned")
    return 0


def _check(name: str, config: DeviceConfig, check: SignatureCheck) -> None:
    """Say what the file is worth.

    Raises:
        ExclusionError: the mask file that it names cannot be used.
        TrustError: its signature is not one of this file.
    """
    from alpr_edge.config.mask_store import load_device_masks
    from alpr_edge.errors import BadSignature

    if config.exclusion.mask_file is not None:
        load_device_masks(config.exclusion.mask_file)
    if check.trouble:
        raise BadSignature(
            check.trouble, code="config.signature", hint="sign it with `alpr-edge config sign`"
        )
    state = "signed by the city" if check.is_signed else "not signed"
    if not check.is_signed and config.trust.require_signatures:
        state += ": `run` will refuse it"
    print(f"{name}: ok, {state}")
