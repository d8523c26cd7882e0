"""`alpr-edge masks release` and `--lets-go`: records that end polygons which the city added.

It decides nothing: a device takes such a record as it takes any (`authority.rules`).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alpr_edge.cli.keys import add_key, signing_key, write

if TYPE_CHECKING:
    from alpr_edge.authority.addition import Addition
    from alpr_edge.authority.rules import State

_DIGEST: Final = re.compile(r"[0-9a-f]{12,64}")
EXAMPLES: Final = """\
  alpr-edge masks release order.json --record in-force.json --author "City clerk" \\
      --reason "clinic moved" --key city.key --out record.json
"""


def register(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the action to the parser of `masks`."""
    release = add(
        "release", "the city's record that ends polygons which it added by command", _release
    )
    release.add_argument(
        "order",
        nargs="+",
        metavar="ORDER",
        help="files of `command make add-mask` or `command ask --keep`, or their digests",
    )
    release.add_argument(
        "--record",
        type=Path,
        required=True,
        metavar="RECORD",
        help="the record in force, as it was signed; its masks stay as they are",
    )
    release.add_argument("--masks", type=Path, metavar="MASKS", help="other masks than its own")
    release.add_argument("--author", action="append", required=True, help="who decided it")
    release.add_argument("--reason", required=True, help="why, for the history")
    release.add_argument("--days", type=float, default=365.0, help="how long it is valid (365)")
    release.add_argument("--number", type=int, help="of the new record (one more than the old)")
    release.add_argument("--out", type=Path, required=True, metavar="FILE")
    add_key(release)


def add_lets_go(parser: argparse.ArgumentParser) -> None:
    """Add `--lets-go` to a parser."""
    parser.add_argument(
        "--lets-go",
        action="append",
        default=[],
        metavar="ORDER",
        help="a polygon of the city that ends with this record: the command's file, or its digest",
    )


def digests_of(named: Sequence[str], *, device: str, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Digests of the city's commands.

    Args:
        named: files of commands, or digests; 12 digits are enough for one of `known`.

    Raises:
        ConfigError: `cli.usage`: one is neither, or not for this device.
        TrustError: `authority.addition.invalid` or `trust.envelope.invalid`.
    """
    return tuple(dict.fromkeys(_digest_of(one, device, known) for one in named))


def _digest_of(named: str, device: str, known: Sequence[str]) -> str:
    from alpr_edge.authority.addition import parse_addition
    from alpr_edge.config.files import FileTrouble, read_regular_file
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES, read_unverified

    if _DIGEST.fullmatch(named) and not Path(named).exists():
        found = [one for one in known if one.startswith(named)]
        if len(named) == 64 or len(found) == 1:
            return found[0] if found else named
        raise _usage(f"{named}: give all 64 digits, no polygon that is known here begins so")
    data = read_regular_file(named, limit_bytes=MAX_ENVELOPE_BYTES)
    if isinstance(data, FileTrouble):
        raise _usage(f"{named} {data.detail}")
    signed = read_unverified(data, DocumentType.COMMAND)
    if signed.payload.get("device") != device:
        raise _usage(f"{named} is for {signed.payload.get('device')!r}, the record for {device!r}")
    return parse_addition(signed.payload, signed.digest, data).digest


def _release(args: argparse.Namespace) -> int:
    from alpr_edge.authority.record import parse_record, record_payload
    from alpr_edge.config.files import FileTrouble, read_regular_file
    from alpr_edge.config.mask_store import load_masks
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES, read_unverified, sign

    data = read_regular_file(args.record, limit_bytes=MAX_ENVELOPE_BYTES)
    if isinstance(data, FileTrouble):
        raise _usage(f"{args.record} {data.detail}")
    signed = read_unverified(data, DocumentType.MASK_RECORD)
    old, now = parse_record(signed.payload), _now()
    record = replace(
        old,
        number=old.number + 1 if args.number is None else args.number,
        zones=old.zones if args.masks is None else load_masks(args.masks),
        valid_from=now,
        valid_to=now + timedelta(days=args.days),
        previous=signed.digest,
        authors=tuple(args.author),
        reason=args.reason,
        lets_go=digests_of(args.order, device=old.device),
    )
    payload = record_payload(record)
    parse_record(payload)
    write(args.out, sign(DocumentType.MASK_RECORD, payload, signing_key(args)))
    print(f"{args.out}: number {record.number} for {record.device}/{record.camera}")
    for digest in record.lets_go:
        print(f"  ends the polygon of {digest}")
    print("  commit and confirm it at the unit: `alpr-edge masks commit`, `masks confirm`")
    return 0


def print_polygons(additions: Iterable[Addition], text: str) -> None:
    """A line for each of the city's polygons."""
    for one in additions:
        print(f"  the city's polygon {one.number} {one.digest[:12]} {_name(one)}: {text}")


def print_beside(state: State) -> None:
    """What the city added, in full: its digests are what a record must name."""
    for one in state.additions:
        print(f"city's polygon {one.number}  {one.digest}  {_name(one)}  {one.reason}")
    for lost in state.lost:
        known = lost.digest or "its digest is not known here"
        print(
            f"city's polygon {lost.number}  {known}  cannot be read: the next record must name it"
        )


def _name(one: Addition) -> str:
    return one.zones.masks[0].name


def _now() -> datetime:
    from datetime import UTC

    return datetime.now(UTC).replace(microsecond=0)


def _usage(message: str) -> Exception:
    from alpr_edge.errors import ConfigError

    return ConfigError(message, code="cli.usage", hint="see `alpr-edge masks --help`")


def known_digests(state: State) -> tuple[str, ...]:
    """Of all polygons of the city that a store knows in full."""
    lost: list[Any] = [one for one in state.lost if len(one.digest) == 64]
    return tuple(one.digest for one in (*state.additions, *lost))
