"""The command line. Parses, calls one command, turns errors into messages and exit statuses.

Exit status: 0 done, 1 some input failed, 2 wrong usage or configuration, 3 refused by policy (fail
closed), 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import alpr_edge
from alpr_edge.errors import AlprEdgeError

_EPILOG = """\
examples:
  alpr-edge read photo.jpg                      the plates in a photo
  alpr-edge read --jsonl --masks m.json DIR     one JSON object a photo
  alpr-edge demo                                the whole way, without hardware
  alpr-edge run --config configs/devices/street.toml
  alpr-edge placement check --camera cam.json --premises premises.geojson
  alpr-edge reference take --config FILE        the view that masks belong to; check compares
  alpr-edge masks check masks.json --against old.json
  alpr-edge console --port /dev/ttyGS0          a technician's serial line
  alpr-edge status --config /etc/alpr-edge/device.toml
  alpr-edge command ask status --device cam-0001 --key city.key
  alpr-edge completion bash > ~/.local/share/bash-completion/completions/alpr-edge
"""


COMMANDS = (
    "read", "run", "demo", "config", "models", "ledger", "calibrate", "premises", "placement",
    "commission", "reference", "receipts", "command", "attest", "masks", "keys", "status",
    "console",
)  # fmt: skip
"""Each is a module of this package with a `register`, in the order of the help."""


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser with these commands; imports their modules, but no model and no camera code."""
    parser = argparse.ArgumentParser(
        prog="alpr-edge",
        description="Reads licence plates, and never those at protected premises.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"alpr-edge {alpr_edge.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        import_module(f"{__name__}.{name}").register(commands)
    shell = commands.add_parser(
        "completion",
        help="print the tab completion for a shell",
        epilog='example: eval "$(alpr-edge completion bash)"',
    )
    shell.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    shell.set_defaults(call=_completion)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    words = sys.argv[1:] if argv is None else argv
    # What is asked for alone: the modules of all commands together take longer than a photo.
    first = words[0] if words else ""
    names = () if first == "--version" else (first,) if first in COMMANDS else COMMANDS
    args = build_parser(names).parse_args(words)
    try:
        status = int(args.call(args))
        sys.stdout.flush()
    except AlprEdgeError as err:
        print(f"alpr-edge: {err}", file=sys.stderr)
        return err.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) is gone: not an error, and nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _completion(args: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(build_parser(), shell=args.shell))
    return 0
