"""`alpr-edge keys`: keys of persons and of the city, and the list of who may set masks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_EPILOG = """\
examples:
  alpr-edge keys new --out city.key --passphrase-file pass.txt     prints the public half
  alpr-edge keys new --out anna.key
  alpr-edge keys persons --number 1 --key city.key --out persons.json \\
      --person "Anna:technician:ed25519:…" --person "Ben:supervisor:ed25519:…"
  alpr-edge keys sign-update alpr_edge.whl --number 3 --key city.key
  alpr-edge keys device --config device.toml                       the unit's own public key

Private keys never leave the file that they are in. The city's public keys go, one a line and oldest
first, into the file that the configuration names as trust.city_keys.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "keys",
        help="make keys, and the list of who may set masks",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser(
        "new", help="make a key", epilog="example: alpr-edge keys new --out a.key"
    )
    new.add_argument("--out", type=Path, required=True, metavar="FILE", help="the private key")
    add_passphrase(new)
    new.set_defaults(call=_new)
    persons = actions.add_parser(
        "persons",
        help="sign the list of persons",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    persons.add_argument(
        "--person",
        action="append",
        default=[],
        metavar="NAME:ROLE:KEY[,KEY]",
        help="role: technician, supervisor or auditor",
    )
    persons.add_argument("--number", type=int, required=True, help="higher than the last list's")
    persons.add_argument("--out", type=Path, required=True, metavar="FILE")
    add_key(persons)
    persons.set_defaults(call=_persons)
    update = actions.add_parser(
        "sign-update",
        help="sign a file with other software as the city",
        description="Write FILE.sig beside the file. The number never goes back on a unit.",
        epilog="example: alpr-edge keys sign-update alpr_edge.whl --number 3 --key city.key",
    )
    update.add_argument("file", type=Path, metavar="FILE")
    update.add_argument("--number", type=int, required=True, help="higher than the last one's")
    add_key(update)
    update.set_defaults(call=_sign_update)
    device = actions.add_parser(
        "device",
        help="the unit's own public key, made if there is none",
        epilog="example: alpr-edge keys device --config device.toml",
    )
    device.add_argument("--config", required=True, metavar="FILE")
    device.set_defaults(call=_device)


def add_passphrase(parser: argparse.ArgumentParser) -> None:
    """The option for a key's passphrase."""
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="its first line is the private key's passphrase",
    )


def add_key(parser: argparse.ArgumentParser) -> None:
    """The options for who signs."""
    parser.add_argument("--key", required=True, metavar="FILE", help="the private key that signs")
    add_passphrase(parser)


def passphrase(args: argparse.Namespace) -> bytes | None:
    """The passphrase, if one is given.

    Raises:
        KeyUnusable: its file cannot be read (`trust.key.passphrase`).
    """
    from alpr_edge.config.files import FileTrouble, read_regular_file
    from alpr_edge.errors import KeyUnusable

    if args.passphrase_file is None:
        return None
    data = read_regular_file(args.passphrase_file, limit_bytes=4096)
    if isinstance(data, FileTrouble):
        raise KeyUnusable(
            f"the passphrase {args.passphrase_file} {data.detail}",
            code="trust.key.passphrase",
            hint=data.hint,
        )
    return data.partition(b"\n")[0].rstrip(b"\r")


def signing_key(args: argparse.Namespace) -> Any:
    """The private key that the options name."""
    from alpr_edge.trust.key_files import load_private_key

    return load_private_key(args.key, passphrase(args))


def write(path: Path, data: bytes) -> None:
    """Write a result, all or nothing.

    Raises:
        AlprEdgeError: `cli.output`.
    """
    from alpr_edge.errors import AlprEdgeError
    from alpr_edge.trust.durable_file import write_durably

    try:
        write_durably(path, data)
    except OSError as err:
        raise AlprEdgeError(
            f"{path} cannot be written: {err.strerror}", code="cli.output", hint="check the folder"
        ) from err


def _new(args: argparse.Namespace) -> int:
    from alpr_edge.trust.key_files import save_private_key
    from alpr_edge.trust.keys import PrivateKey

    key = PrivateKey.generate()
    save_private_key(args.out, key, passphrase(args))
    print(key.public)
    return 0


def _persons(args: argparse.Namespace) -> int:
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import sign
    from alpr_edge.trust.keyring import parse_persons

    entries = []
    for text in args.person:
        name, role, keys = ([*text.split(":", 2), "", ""])[:3]
        entries.append({"name": name, "role": role, "keys": keys.split(",")})
    payload = {"number": args.number, "persons": entries}
    key = signing_key(args)
    parse_persons(payload, [key.public])
    write(args.out, sign(DocumentType.PERSONS, payload, key))
    print(f"{args.out}: {len(entries)} persons, number {args.number}")
    return 0


def _sign_update(args: argparse.Namespace) -> int:
    """Sign a file.

    Raises:
        ConfigError: it cannot be read (`cli.input`), or the number is none.
        KeyUnusable: the key cannot be used.
    """
    from alpr_edge.errors import ConfigError
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import sign_file

    if args.number < 1:
        raise ConfigError("the number must be 1 or more", code="config.signature_number")
    try:
        content = args.file.read_bytes()
    except OSError as err:
        raise ConfigError(
            f"{args.file} cannot be read: {err.strerror}", code="cli.input", hint="check the name"
        ) from err
    data = sign_file(DocumentType.UPDATE, content, signing_key(args), number=args.number)
    out = args.file.with_name(args.file.name + ".sig")
    write(out, data)
    print(f"{out}: number {args.number}")
    return 0


def _device(args: argparse.Namespace) -> int:
    from alpr_edge.config.store import load
    from alpr_edge.trust.device_identity import device_key

    trust = load(args.config).trust
    print(device_key(trust.identity, trust.keep_key_in).public)
    return 0
