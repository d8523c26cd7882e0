"""`alpr-edge models`: which models are there, and are they the ones that may load."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpr_edge.vision.verify import Finding

_VERIFY = """\
Check every model of the folder: the manifest lists it, its SHA-256 is the listed one, its graph is
a plate detector or recogniser (operators, inputs, outputs and what they mean, no sub-graphs,
no other files), and it runs. A file that is not listed is reported: it never loads.
Exit status 0 if all is well, 3 if a model is refused, 1 if one is missing or broken.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("models", help="list and check the models")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, brief, text in (
        ("list", "names and digests", "Names and digests of the models that may load."),
        ("verify", "audit every model's digest, graph and outputs", _VERIFY),
    ):
        action = actions.add_parser(
            name,
            help=brief,
            description=text,
            epilog=f"example: alpr-edge models {name} --folder models",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.add_argument("--folder", type=Path, help="instead of the shipped models")
        action.add_argument("--json", action="store_true", help="one JSON object a model")
        action.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """List or verify; the status of the worst model.

    Raises:
        InferenceError: the manifest is missing or broken.
    """
    from alpr_edge.vision.models import load_manifest, models_folder

    folder = args.folder or models_folder()
    if args.action == "list":
        for name, digest in sorted(load_manifest(folder).items()):
            line = {"file": name, "sha256": digest}
            print(json.dumps(line) if args.json else f"{name}  sha256:{digest}")
        return 0
    from alpr_edge.vision.verify import verify

    status = 0
    for finding in verify(folder):
        status = max(status, finding.exit_status)
        print(json.dumps(_as_json(finding)) if args.json else _for_people(finding), flush=True)
        for problem in finding.problems:
            print(f"alpr-edge: {_name(finding)}: {problem}", file=sys.stderr)
    return status


def _as_json(finding: Finding) -> dict[str, Any]:
    found = finding.found
    return {
        "file": finding.name,
        "ok": not finding.problems,
        "sha256": finding.digest or None,
        "kind": found and (found.kind or None),
        "weights": found and found.weights,
        "operators": found and found.operators,
        "outputs": _outputs(finding),
        "problems": list(finding.problems),
    }


def _outputs(finding: Finding) -> dict[str, str]:
    from alpr_edge.vision.audit import KINDS

    contract = KINDS.get(finding.found.kind) if finding.found else None
    return {p.name: p.meaning for p in contract.outputs} if contract else {}


def _name(finding: Finding) -> str:
    """A file's name, fit for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in finding.name)


def _for_people(finding: Finding) -> str:
    found = finding.found
    if finding.problems or found is None:
        return f"{_name(finding)}  REFUSED"
    lines = [
        f"{finding.name}  ok  {found.kind}  sha256:{finding.digest[:16]}…",
        f"    {found.weights:,} weights; operators: "
        + ", ".join(f"{name} {count}" for name, count in found.operators.items()),
    ]
    lines += [f"    output {name}: {meaning}" for name, meaning in _outputs(finding).items()]
    return "\n".join(lines)
