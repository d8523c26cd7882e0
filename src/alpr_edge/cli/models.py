"""`alpr-edge models`: which models are there, and are they the ones that may load."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("models", help="list and check the models")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("list", "names, digests and metadata"),
        ("verify", "check every listed file's SHA-256 and load it"),
    ):
        action = actions.add_parser(
            name, help=text, description=text, epilog=f"example: alpr-edge models {name}"
        )
        action.add_argument("--folder", type=Path, help="instead of the shipped models")
        action.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """List or verify.

    Raises:
        DigestMismatch, InferenceError: from the first model that fails.
    """
    from alpr_edge.vision.models import load_manifest, load_model, models_folder

    folder = args.folder or models_folder()
    for name, digest in sorted(load_manifest(folder).items()):
        if args.action == "list":
            print(f"{name}  sha256:{digest}")
            continue
        model = load_model(name, folder=folder)
        kind = model.about.get("kind", "?")
        print(f"{name}  ok  {kind}  {model.about.get('precision', '?')}  sha256:{digest[:16]}…")
    return 0
