"""`alpr-edge premises`: the register of protected places, from the map to the signed file."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

_EPILOG = """\
examples:
  alpr-edge premises import export.osm --title "Consulates" --authority "City of X" --out p.geojson
  alpr-edge premises check p.geojson
  alpr-edge premises sign p.geojson --key city.key --out premises.signed.json
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "premises",
        help="the register of protected places: import, check, sign",
        description="The register of places whose visitors are never read.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    take = actions.add_parser(
        "import",
        help="propose a register from an OpenStreetMap export",
        description="Read .osm XML, Overpass JSON or GeoJSON with tags. Nothing is fetched. What "
        "was guessed is told; look at the result on a map, correct it, check it, sign it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    take.add_argument("map", metavar="FILE")
    take.add_argument("--title", required=True)
    take.add_argument("--authority", required=True, help="who says that these are protected")
    take.add_argument("--setback", type=float, default=5.0, metavar="METRES", help="(5)")
    take.add_argument(
        "--category",
        action="append",
        choices=["diplomatic", "health", "worship"],
        help="what to take; may be given again (diplomatic)",
    )
    take.add_argument("--out", required=True, metavar="FILE")
    take.set_defaults(call=_import)
    check = actions.add_parser(
        "check",
        help="say every problem of a register",
        description="All problems and warnings of registers, plain or signed.",
        epilog="example: alpr-edge premises check premises.geojson",
    )
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument("--keys", metavar="FILE", help="public keys; the register must be signed")
    check.add_argument("--json", action="store_true", help="one JSON object a file")
    check.set_defaults(call=_check)
    sign = actions.add_parser(
        "sign",
        help="sign a register",
        description="Check a GeoJSON register and sign it with the city's key.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sign.add_argument("file", metavar="FILE")
    sign.add_argument("--key", required=True, metavar="FILE", help="a private key")
    sign.add_argument("--passphrase-file", metavar="FILE")
    sign.add_argument("--out", required=True, metavar="FILE")
    sign.set_defaults(call=_sign)


def _import(args: argparse.Namespace) -> int:
    from alpr_edge.config.files import display_name
    from alpr_edge.errors import ConfigError
    from alpr_edge.exclusion.premises import Category
    from alpr_edge.exclusion.register_file import check_register, register_values
    from alpr_edge.placement import files, osm

    if not 0 <= args.setback <= 500:
        raise ConfigError("--setback must be within 0 to 500", code="cli.usage")
    source = display_name(args.map)
    elements = osm.read_map(files.read(args.map, limit_bytes=osm.MAX_BYTES), source=source)
    wanted = frozenset(Category(name) for name in args.category or ["diplomatic"])
    found = osm.import_map(
        elements,
        title=args.title,
        authority=args.authority,
        setback_m=args.setback,
        issued=datetime.now(UTC).date(),
        categories=wanted,
    )
    text = json.dumps(register_values(found.register), indent=1, ensure_ascii=False) + "\n"
    checked = check_register(text)
    files.write(Path(args.out), text.encode("utf-8"))
    for note in (*found.notes, *checked.warnings):
        print(f"look at: {note}", file=sys.stderr)
    for problem in checked.problems:
        print(f"mend: {problem}", file=sys.stderr)
    print(f"{args.out}: {len(found.register.sites)} sites proposed, not signed")
    return 1 if checked.problems else 0


def _check(args: argparse.Namespace) -> int:
    from alpr_edge.errors import AlprEdgeError
    from alpr_edge.exclusion.register_file import check_register, format_register
    from alpr_edge.placement.files import load_register
    from alpr_edge.trust.key_files import load_public_keys

    keys = load_public_keys(args.keys) if args.keys else None
    status = 0
    for name in args.files:
        report: dict[str, Any] = {"file": name}
        try:
            loaded = load_register(name, keys)
            register = loaded.register
            report |= {
                "sites": len(register.sites),
                "serial": register.serial,
                "digest": register.digest,
                "signers": list(loaded.signers),
                "warnings": list(check_register(format_register(register)).warnings),
                "stale": register.is_stale(_today()),
            }
        except AlprEdgeError as err:
            status = max(status, err.exit_status)
            report["error"] = {
                "code": err.code,
                "message": err.message,
                "problems": list(getattr(err, "problems", ())),
            }
            if not args.json:
                print(f"{name}: {err}", file=sys.stderr)
                continue
        print(json.dumps(report) if args.json else _line(report))
    return status


def _line(report: dict[str, Any]) -> str:
    signed = ", ".join(report["signers"]) or "nobody"
    stale = "; STALE" if report["stale"] else ""
    lines = [
        f"{report['file']}: ok, {report['sites']} sites, number {report['serial']}, signed by "
        f"{signed}{stale}, SHA-256 {report['digest'][:16]}…"
    ]
    return "\n  - ".join([*lines, *report["warnings"]])


def _sign(args: argparse.Namespace) -> int:
    from alpr_edge.placement.files import load_register, sign_register

    loaded = load_register(args.file)
    sign_register(loaded.register, args.out, private_key(args))
    print(f"{args.out}: number {loaded.register.serial}, SHA-256 {loaded.register.digest}")
    return 0


def private_key(args: argparse.Namespace) -> Any:
    """The key that `--key` and `--passphrase-file` name."""
    from alpr_edge.placement import files
    from alpr_edge.trust.key_files import load_private_key

    phrase = None
    if args.passphrase_file:
        phrase = files.read(args.passphrase_file, limit_bytes=4096).rstrip(b"\r\n")
    return load_private_key(args.key, phrase)


def _today() -> date:
    return datetime.now(UTC).date()
