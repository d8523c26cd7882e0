"""`alpr-edge attest`: check and explain what a device says of itself; list its software."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

_SHOWN = 20
_EPILOG = """\
examples:
  alpr-edge attest verify attestation.jwt --key cam-0001.vkey     explains every claim
  alpr-edge attest scan                                           face or biometric software here?
  alpr-edge attest bom > bom.cdx.json                             packages and models, CycloneDX
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "attest",
        help="check and explain what a device says of itself; list its software",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    verify = actions.add_parser(
        "verify", help="check an attestation and explain each claim in plain words"
    )
    verify.add_argument("file", type=Path, metavar="FILE", help="as published by the device")
    verify.add_argument(
        "--key",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="the device's verifier keys, as `alpr-edge ledger key` prints them",
    )
    verify.add_argument(
        "--tpm-key",
        metavar="DIGEST",
        help="SHA-256 of the TPM's key, written down when the unit was accepted: must be this one",
    )
    verify.set_defaults(call=_verify)
    scan = actions.add_parser("scan", help="look for face and biometric software here")
    scan.set_defaults(call=_scan)
    bom = actions.add_parser("bom", help="print the bill of materials (CycloneDX 1.6)")
    bom.set_defaults(call=_bom)
    for action in actions.choices.values():  # each help page shows the examples
        action.epilog, action.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter


def _verify(args: argparse.Namespace) -> int:
    """Print.

    Raises:
        BadSignature: no known key signed it. AuditError: a file cannot be read.
    """
    from datetime import UTC, datetime

    from alpr_edge.cli.ledger_args import read_file, read_keys
    from alpr_edge.trust.attestation import check, explain
    from alpr_edge.trust.keys import PublicKey

    keys = [PublicKey(key.public_key) for key in read_keys(args.key) if key.kind == 1]
    claims = check(read_file(args.file).strip(), keys)
    said = datetime.fromtimestamp(claims["iat"], UTC).isoformat()
    print(f"signed by a key of the device; said at {said} by its own clock\n")
    for name, value, says, not_proven in explain(claims):
        print(f"{name}: {value}")
        print(f"    says: {says}")
        print(f"    does not prove: {not_proven}")
    return _check_tpm(claims, args.tpm_key)


def _check_tpm(claims: dict[str, Any], known: str | None) -> int:
    """Exit status 3 where a TPM is asked for and its word is missing or another's.

    Raises:
        BadSignature: there is a quote, and it does not hold.
    """
    from alpr_edge.errors import BadSignature
    from alpr_edge.trust.attestation import claims_digest
    from alpr_edge.trust.tpm_quote import check_quote

    document = claims.get("alpr_tpm")
    if not document:
        print("\nno TPM vouches for this: it is the word of whoever holds the device's key")
        if known is not None:
            raise BadSignature(
                "the attestation has no quote of a TPM", code="trust.tpm.quote", hint="ask the unit"
            )
        return 0
    quote = check_quote(document if isinstance(document, dict) else {}, claims_digest(claims))
    if known is not None and known.lower() != quote.key:
        raise BadSignature(
            f"another TPM vouches for this: {quote.key}",
            code="trust.tpm.quote",
            hint="the unit's computer module was exchanged, or somebody else speaks for it",
        )
    print(f"\na TPM signed all the above; its key: {quote.key}")
    print(
        "    " + ("the one that was written down" if known else "write it down when you accept it")
    )
    print(f"    switched on {quote.resets} times; TPM firmware {quote.firmware:016x}")
    for number, value in quote.pcrs.items():
        print(f"    PCR {number}: {value}{' (nothing was measured)' if not int(value, 16) else ''}")
    print("    does not prove: that firmware fills the PCRs truly, nor what ran after the start")
    return 0


def _scan(args: argparse.Namespace) -> int:
    """Exit status 1 if something of the list is installed."""
    from alpr_edge.trust.biometric_rules import rules_digest
    from alpr_edge.trust.installed import scan
    from alpr_edge.vision.models import models_folder

    folder = models_folder()
    found = scan([folder], listed=_listed(folder))
    for one in found.findings:
        print(f"{one.where}: {one.about}")
    for name in found.unlisted[:_SHOWN]:
        print(f"note: {name}: a network that no manifest names; what it computes nobody here knows")
    if len(found.unlisted) > _SHOWN:
        print(f"note: and {len(found.unlisted) - _SHOWN} more such networks")
    if found.missed:
        print(f"note: {found.missed} places could not be looked at: no finding is no proof")
    print(
        f"{len(found.components)} packages, {len(found.findings)} findings; list {rules_digest()}",
        file=sys.stderr,
    )
    return 1 if found.findings else 0


def _listed(folder: Path) -> list[Path]:
    """The files that the manifest names."""
    from alpr_edge.vision.models import load_manifest

    return [folder / name for name in load_manifest(folder)]


def _bom(args: argparse.Namespace) -> int:
    """Print.

    Raises:
        InferenceError: the models' manifest is missing or damaged.
    """
    import alpr_edge
    from alpr_edge.trust.biometric_rules import rules_digest
    from alpr_edge.trust.bom import ModelPart, bill, encode
    from alpr_edge.trust.installed import scan
    from alpr_edge.vision.models import load_manifest, models_folder

    folder = models_folder()
    found = scan([folder], listed=_listed(folder))
    models = [
        ModelPart(name, digest, _TASKS.get(name.split(".")[0].split("-")[0], "licence plates"))
        for name, digest in sorted(load_manifest(folder).items())
    ]
    document = bill(
        "alpr-edge",
        alpr_edge.__version__,
        found.components,
        models,
        found.findings,
        rules_digest(),
    )
    print(encode(document).decode())
    return 0


_TASKS = {
    "detector": "finds licence plates and their corners in a masked picture",
    "recogniser": "reads the text of one straightened licence plate",
}
