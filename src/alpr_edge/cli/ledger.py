"""`alpr-edge ledger`: check, export, watch and report what a device has recorded."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alpr_edge.cli import ledger_report
from alpr_edge.cli.ledger_args import ledger_path, own_keys, progress_line, read_file, read_keys

_EPILOG = """\
examples:
  alpr-edge ledger key --config camera.toml > cam-0001.vkey     once, when the unit is accepted
  alpr-edge ledger export --config camera.toml cam-0001.zip
  alpr-edge ledger verify cam-0001.zip --key cam-0001.vkey
  alpr-edge ledger verify cam-0001.zip --key cam-0001.vkey --older march.checkpoint
  alpr-edge ledger verify --config camera.toml                  the live ledger, on the device
  alpr-edge ledger report cam-0001.zip --key cam-0001.vkey --from 2026-10-01 --to 2026-11-01 \
      --out october.html --pdf
  alpr-edge ledger memo cam-0001.zip --key cam-0001.vkey --suspicion lost-device --out memo/
  alpr-edge ledger witness --book w.db --identity id --keys all.vkeys --host broker.city.example
  alpr-edge ledger witness --book w.db --status
  alpr-edge ledger show cam-0001.zip --kind access
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "ledger",
        help="check, export, watch and report what a device has recorded",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _register_verify(actions)
    export = _action(actions, "export", "copy a ledger into a folder or a zip file", _export)
    _source(export, positional=False)
    export.add_argument("out", type=Path, metavar="OUT", help="a new folder, or FILE.zip")
    key = _action(actions, "key", "print the device's verifier keys, oldest first", _key)
    key.add_argument("--config", required=True, metavar="FILE", help="the device's TOML file")
    ledger_report.register(actions)
    _register_witness(actions)
    show = _action(actions, "show", "print entries, one JSON object a line", _show)
    _source(show)
    for action in actions.choices.values():  # each help page shows the examples
        action.epilog, action.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    show.add_argument("--kind", action="append", help="only entries of this kind; may be repeated")
    show.add_argument("--first", type=int, default=0, metavar="N", help="from this entry on")


def _register_verify(actions: Any) -> None:
    verify = _action(
        actions,
        "verify",
        "check signatures, entries, order, clocks and consistency; say where it does not hold",
        _verify,
    )
    _source(verify)
    _keys(verify)
    verify.add_argument(
        "--older",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint that you kept: the ledger must continue it",
    )
    verify.add_argument("--entry", type=int, metavar="N", help="also show and prove this entry")
    verify.add_argument("--json", action="store_true", help="the whole verdict as JSON")


def _register_witness(actions: Any) -> None:
    witness = _action(
        actions,
        "witness",
        "the city's watch: hear all checkpoints, cosign what is consistent, raise alarms",
        _witness,
    )
    witness.add_argument("--book", type=Path, required=True, metavar="FILE", help="SQLite file")
    witness.add_argument(
        "--status", action="store_true", help="print what is known of every device, and the alarms"
    )
    witness.add_argument("--keys", type=Path, action="append", default=[], metavar="FILE")
    witness.add_argument(
        "--identity", type=Path, metavar="FOLDER", help="the witness's own key; made if missing"
    )
    witness.add_argument("--name", default="witness.city.example", help="in cosignatures")
    witness.add_argument("--host", default="127.0.0.1")
    witness.add_argument("--port", type=int, default=1883)
    witness.add_argument("--prefix", default="alpr-edge", help="of the topics")
    witness.add_argument("--ca", type=Path, help="PEM file; turns TLS on")
    witness.add_argument("--cert", type=Path, help="PEM file of the witness's certificate")
    witness.add_argument("--cert-key", type=Path, help="PEM file of its private key")
    witness.add_argument("--silence", type=float, default=900.0, metavar="SECONDS")


def _action(actions: Any, name: str, text: str, call: Any) -> Any:
    parser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(call=call)
    return parser


def _source(parser: Any, *, positional: bool = True) -> None:
    if positional:
        parser.add_argument(
            "ledger", nargs="?", type=Path, metavar="LEDGER", help="its folder, or an export"
        )
    parser.add_argument("--config", metavar="FILE", help="the live ledger of this device")


def _keys(parser: Any) -> None:
    parser.add_argument(
        "--key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="verifier keys that you trust, one a line, oldest first; may be repeated",
    )
    parser.add_argument(
        "--witness", type=Path, action="append", default=[], metavar="FILE", help="witnesses' keys"
    )


def _verify(args: argparse.Namespace) -> int:
    """Exit status: 0 it holds, 1 something is broken.

    Raises:
        AuditError, ConfigError: what was given cannot be used.
    """
    from alpr_edge.ledger.export import opened_log
    from alpr_edge.ledger.verify import Question, verify

    keys = read_keys(args.key) or own_keys(args)
    older = [(str(path), read_file(path)) for path in args.older]
    with opened_log(ledger_path(args)) as log:
        question = Question(keys, read_keys(args.witness), older)
        verdict = verify(log, question, progress=progress_line)
        proof = _prove(log, args.entry, verdict.size) if args.entry is not None else None
    if args.json:
        document = {
            "holds": verdict.holds,
            **{name: getattr(verdict, name) for name in verdict.__slots__ if name != "findings"},
            "findings": [
                {name: getattr(one, name) for name in one.__slots__} for one in verdict.findings
            ],
        }
        print(json.dumps(document | ({"proof": proof} if proof else {}), indent=2))
    else:
        _print_verdict(verdict)
        if proof:
            print(f"entry {args.entry}: {proof['entry']}")
            print(f"  proven by {len(proof['hashes'])} hashes to root {proof['root']}")
    return 0 if verdict.holds else 1


_NOT_COSIGNED = "by no witness that was asked for"


def _print_verdict(verdict: Any) -> None:
    print(f"ledger      {verdict.origin or 'unknown'}")
    print(f"entries     {verdict.size}, of which signed {verdict.signed_size}")
    print(f"time        {verdict.first_at or '-'} to {verdict.last_at or '-'}")
    print(f"runs        {verdict.boots}; kept checkpoints {verdict.checkpoints}")
    times = {n: datetime.fromtimestamp(at, UTC) for n, at in verdict.cosigned.items()}
    seen = ", ".join(f"by {name}, {at:%Y-%m-%d %H:%M:%SZ}" for name, at in times.items())
    print(f"cosigned    {f'{verdict.cosigned_size} {seen}' if seen else _NOT_COSIGNED}")
    # What is broken comes first, then by place.
    for one in sorted(verdict.findings, key=lambda one: (one.weight != "broken", one.first)):
        mark = "BROKEN" if one.weight == "broken" else "note  "
        print(f"{mark}      [{one.code}] {one.text}")
    if verdict.findings_left_out:
        print(f"            and {verdict.findings_left_out} more")
    print(f"verdict     {'holds' if verdict.holds else 'DOES NOT HOLD'}")


def _prove(log: Any, entry: int, size: int) -> dict[str, Any]:
    from alpr_edge.ledger.entry import decode
    from alpr_edge.ledger.files import TileHashes
    from alpr_edge.ledger.merkle import check_inclusion, inclusion_proof, leaf_hash
    from alpr_edge.ledger.note import parse_checkpoint, parse_note
    from alpr_edge.ledger.tiles import WIDTH, decode_bundle

    head = parse_checkpoint(parse_note(log.head() or b"").text)
    if not 0 <= entry < min(size, head.size):
        raise SystemExit(f"alpr-edge ledger verify: entry {entry} is not among {head.size} signed")
    full = log.full_bundles()
    tail = log.tail(full)
    index, place = divmod(entry, WIDTH)
    sealed = decode_bundle(log.bundle(index) or b"") if index < full else []
    data = sealed[place] if index < full else tail[entry - full * WIDTH]
    hashes = inclusion_proof(TileHashes(log, full, tail), entry, head.size)
    root = check_inclusion(leaf_hash(data), entry, head.size, hashes)
    return {
        "entry": decode(data).model_dump(mode="json"),
        "hashes": [one.hex() for one in hashes],
        "root": root.hex(),
        "holds": root == head.root,
    }


def _export(args: argparse.Namespace) -> int:
    """Copy.

    Raises:
        AuditError: see `export.export_log`.
    """
    from alpr_edge.ledger.export import export_log

    size = export_log(ledger_path(args), args.out)
    print(f"{args.out}: {size} entries", file=sys.stderr)
    return 0


def _key(args: argparse.Namespace) -> int:
    """Print.

    Raises:
        ConfigError, KeyUnusable: the configuration or the key cannot be used.
    """
    for key in own_keys(args):
        print(key)
    return 0


def _show(args: argparse.Namespace) -> int:
    """Print.

    Raises:
        AuditError: there is no ledger.
    """
    from alpr_edge.ledger.export import opened_log
    from alpr_edge.ledger.verify import Question, verify

    def visit(entry: Any) -> None:
        if entry.seq >= args.first and (not args.kind or entry.body.kind in args.kind):
            print(entry.model_dump_json())

    with opened_log(ledger_path(args)) as log:
        verify(log, Question(()), visit=visit)
    return 0


def _witness(args: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C; or print what is known.

    Raises:
        AuditError, ConfigError, KeyUnusable: book, keys or certificates cannot be used.
    """
    import logging
    import signal

    from alpr_edge.delivery.mqtt_settings import TlsFiles
    from alpr_edge.errors import ConfigError
    from alpr_edge.ledger.note import VerifierKey
    from alpr_edge.ledger.setup import DeviceSigner
    from alpr_edge.ledger.witness import Broker, Witness, WitnessService, WitnessSettings
    from alpr_edge.ledger.witness_book import WitnessBook
    from alpr_edge.trust.device_identity import device_key

    book = WitnessBook(args.book)
    if args.status:
        return _witness_status(book)
    if args.identity is None or not args.keys:
        raise ConfigError(
            "a witness needs a key of its own and the devices' verifier keys",
            code="ledger.witness.unnamed",
            hint="give --identity FOLDER and --keys FILE",
        )
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
    signer = DeviceSigner(device_key(args.identity, "file"))
    print(VerifierKey(args.name, signer.public_key, kind=4), flush=True)
    settings = WitnessSettings(args.name, silence_s=args.silence)
    witness = Witness(book, signer, read_keys(args.keys), settings)
    tls = TlsFiles(args.ca, args.cert, args.cert_key) if args.ca else None
    service = WitnessService(witness, Broker(args.host, args.port, args.prefix, tls))
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    signal.signal(signal.SIGINT, lambda *_: service.stop())
    service.run()
    book.close()
    return 0


def _witness_status(book: Any) -> int:
    from datetime import UTC, datetime

    def when(seconds: int) -> str:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")

    for one in book.standings():
        state = "SILENT" if one.silent else "heard "
        print(f"{one.device:20} {state} {when(one.heard_at)}  {one.size:>9} entries  {one.origin}")
    alarms = book.alarms()
    print(f"{len(alarms)} alarms" + (":" if alarms else ""))
    for alarm in alarms:
        print(f"{when(alarm.at)}  {alarm.kind:12} {alarm.device:20} {alarm.text}")
    return 1 if alarms else 0
