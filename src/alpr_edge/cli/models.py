"""`alpr-edge models`: which models are there, are they the ones that may load, who signed them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpr_edge.trust.model_signature import SignedModels
    from alpr_edge.vision.verify import Finding

_SIGN = """\
Write model.sig (OpenSSF model signing 1.0: a Sigstore bundle with an in-toto statement in a DSSE
envelope) over every file of the folder, once all models in it have passed the audit. A device whose
configuration names models.keys loads nothing else. The tool `model_signing` verifies it too.
"""
_SIGN_EXAMPLES = """\
examples:
  openssl ecparam -genkey -name prime256v1 -noout -out models.key   stays off the devices
  openssl ec -in models.key -pubout >> models.pub               goes to models.keys, newest last
  alpr-edge models sign --folder models --key models.key
  alpr-edge models verify --folder models --keys models.pub
  model_signing verify key models --signature models/model.sig --public_key models.pub
"""
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
        if name == "verify":
            action.add_argument(
                "--keys", type=Path, metavar="FILE", help="PEM keys: `model.sig` must be of one"
            )
        action.set_defaults(call=call)
    _register_sign(actions)


def _register_sign(actions: Any) -> None:
    sign = actions.add_parser(
        "sign",
        help="sign a folder of models",
        description=_SIGN,
        epilog=_SIGN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sign.add_argument("--folder", type=Path, help="instead of the shipped models")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="private key, PEM")
    sign.set_defaults(call=_sign)


def _sign(args: argparse.Namespace) -> int:
    """Write `model.sig` into the folder, after every model in it was audited.

    Raises:
        KeyUnusable: the key cannot be used.
        InferenceError: a file cannot be read.
    """
    from alpr_edge.cli.keys import write
    from alpr_edge.config.files import FileTrouble, read_regular_file
    from alpr_edge.errors import KeyUnusable
    from alpr_edge.trust.model_signature import SIGNATURE_FILE
    from alpr_edge.vision.models import models_folder, sign_folder
    from alpr_edge.vision.verify import verify

    folder = args.folder or models_folder()
    pem = read_regular_file(args.key, limit_bytes=65_536)
    if isinstance(pem, FileTrouble):
        raise KeyUnusable(
            f"the key {args.key} {pem.detail}", code=f"trust.key.{pem.kind.value}", hint=pem.hint
        )
    for finding in verify(folder):
        if finding.problems:
            print(f"{_name(finding)}: {finding.problems[0]}; not signed", file=sys.stderr)
            return finding.exit_status
    out = folder / SIGNATURE_FILE
    write(out, sign_folder(folder, pem))
    print(out)
    return 0


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
    from alpr_edge.trust.key_files import load_model_keys
    from alpr_edge.vision.models import signed_models
    from alpr_edge.vision.verify import verify

    status = 0
    if args.keys is not None:
        signed = signed_models(folder, load_model_keys(args.keys))
        status = _check_signed(folder, signed)
    for finding in verify(folder):
        status = max(status, finding.exit_status)
        print(json.dumps(_as_json(finding)) if args.json else _for_people(finding), flush=True)
        for problem in finding.problems:
            print(f"alpr-edge: {_name(finding)}: {problem}", file=sys.stderr)
    return status


def _check_signed(folder: Path, signed: SignedModels) -> int:
    import hashlib

    status = 0
    for name, digest in sorted(signed.digests.items()):
        try:
            same = hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        except OSError:
            same = False
        if not same:
            print(f"alpr-edge: {name}: not the file that was signed", file=sys.stderr)
            status = 3
    print(f"signed by {signed.signer}, {len(signed.digests)} files", file=sys.stderr)
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
