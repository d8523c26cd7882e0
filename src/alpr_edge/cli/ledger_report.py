"""`alpr-edge ledger report` and `memo`: pages for people, from ledgers and exports."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.cli.ledger_args import ledger_path, own_keys, progress_line, read_keys

if TYPE_CHECKING:
    from alpr_edge.ledger.report import DeviceReport


def register(actions: Any) -> None:
    """Add `report` and `memo` below `ledger`."""
    report = actions.add_parser(
        "report",
        help="the audit report as HTML (and PDF), for one device or many",
        description="The audit report: exceptions first, one self-contained page.",
    )
    report.add_argument("ledgers", nargs="*", type=Path, metavar="LEDGER")
    report.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    report.add_argument("--pdf", action="store_true", help="also FILE.pdf, with Chromium")
    _shared(report)
    report.set_defaults(call=_report)
    memo = actions.add_parser(
        "memo",
        help="draft of an information memo after a suspected disclosure",
        description="What left, when, to whom, how many reads, which ids; with the evidence.",
    )
    memo.add_argument("ledgers", nargs="*", type=Path, metavar="LEDGER")
    memo.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    memo.add_argument(
        "--suspicion",
        choices=["lost-device", "leaked-certificate", "stolen-laptop", "other"],
        default="other",
    )
    memo.add_argument(
        "--certificate",
        type=_digest,
        metavar="HEX",
        help="only what left under the broker's certificate whose SHA-256 begins so",
    )
    _shared(memo)
    memo.set_defaults(call=_memo)


def _shared(parser: Any) -> None:
    parser.add_argument("--config", metavar="FILE", help="the live ledger of this device")
    parser.add_argument("--key", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--witness", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--from", dest="begin", type=_day, default="", metavar="YYYY-MM-DD")
    parser.add_argument(
        "--to", dest="end", type=_day, default="", metavar="YYYY-MM-DD", help="not included"
    )
    parser.add_argument("--by", default="", metavar="NAME", help="who asks")


def _report(args: argparse.Namespace) -> int:
    """Exit status 1 if a ledger does not hold.

    Raises:
        AuditError, ConfigError: what was given cannot be used.
    """
    from alpr_edge.ledger.browser import print_pdf
    from alpr_edge.ledger.fields import person
    from alpr_edge.ledger.report import device_page, fleet_page

    found = [_facts(path, args)[0] for path in _paths(args)]
    told = {"made_at": _now(), "made_by": person(args.by)}
    page = device_page(found[0], **told) if len(found) == 1 else fleet_page(found, **told)
    _write(args.out, page)
    if args.pdf:
        print_pdf(args.out, args.out.with_suffix(".pdf"))
    return 0 if all(one.verdict.holds for one in found) else 1


def _memo(args: argparse.Namespace) -> int:
    """Write memo.html, memo.docx where python-docx is, and the evidence.

    Raises:
        AuditError, ConfigError: what was given cannot be used.
    """
    import importlib.util

    from alpr_edge.errors import AuditError
    from alpr_edge.ledger.memo import Suspicion, draft, memo_html
    from alpr_edge.ledger.memo_docx import write_docx

    try:
        args.out.mkdir(parents=True)
    except OSError as err:
        raise AuditError(
            f"{args.out}: {err.strerror}", code="ledger.memo.folder", hint="name a new folder"
        ) from err
    status = 0
    for path in _paths(args):
        one, evidence, head = _facts(path, args)
        folder = args.out / one.name.replace("/", "_")
        folder.mkdir()
        (folder / "entries.jsonl").write_text("".join(evidence), "utf-8")
        (folder / "checkpoint").write_bytes(head)
        memo = draft(
            one.name,
            Suspicion(args.suspicion),
            one.facts,
            one.verdict,
            made_at=_now(),
            evidence=("entries.jsonl", "checkpoint"),
            certificate=args.certificate or "",
        )
        _write(folder / "memo.html", memo_html(memo))
        if importlib.util.find_spec("docx") is not None:
            write_docx(memo, folder / "memo.docx")
        else:
            print("no memo.docx: pip install 'alpr-edge[host]'", file=sys.stderr)
        status = status if one.verdict.holds else 1
    return status


_EVIDENCE = {"egress", "access", "retention", "link_up", "link_down", "trigger", "login"}


def _facts(path: Path, args: argparse.Namespace) -> tuple[DeviceReport, list[str], bytes]:
    from alpr_edge.ledger.export import opened_log
    from alpr_edge.ledger.facts import Facts
    from alpr_edge.ledger.report import DeviceReport
    from alpr_edge.ledger.verify import Question, verify

    facts = Facts(args.begin, args.end)
    evidence: list[str] = []

    def visit(entry: Any) -> None:
        before = facts.entries
        facts.add(entry)
        if facts.entries > before and entry.body.kind in _EVIDENCE:
            evidence.append(entry.model_dump_json() + "\n")

    keys = read_keys(args.key) or own_keys(args)
    with opened_log(path) as log:
        question = Question(keys, read_keys(args.witness))
        verdict = verify(log, question, visit=visit, progress=progress_line)
        head = log.head() or b""
    name = verdict.origin.split("/")[1] if verdict.origin.count("/") >= 3 else path.stem
    return DeviceReport(name, facts, verdict), evidence, head


def _paths(args: argparse.Namespace) -> list[Path]:
    if args.ledgers:
        return list(args.ledgers)
    return [ledger_path(args)]


def _write(path: Path, text: str) -> None:
    from alpr_edge.errors import AuditError

    try:
        path.write_text(text, "utf-8")
    except OSError as err:
        raise AuditError(f"{path}: {err.strerror}", code="ledger.file.unwritable") from err
    print(path, file=sys.stderr)


def _digest(text: str) -> str:
    """The beginning of a SHA-256, as the report or a certificate tool shows it."""
    plain = text.lower().replace(":", "").rstrip("…")
    if not re.fullmatch(r"[0-9a-f]{8,64}", plain):
        raise argparse.ArgumentTypeError("must be 8 to 64 hexadecimal digits of a SHA-256")
    return plain


def _day(text: str) -> str:
    if not text:
        return ""
    day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    return day.strftime("%Y-%m-%dT00:00:00.000Z")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
