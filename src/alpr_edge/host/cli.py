"""`alpr-edge-tech`: what a technician has on the laptop."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shtab

from alpr_edge import __version__
from alpr_edge.errors import AlprEdgeError, ConfigError
from alpr_edge.host.files import FILES, NAMES, PUSHES, STILL, needs_reason, read_file, signature_of
from alpr_edge.host.unit import RemoteUnit
from alpr_edge.host.visit import Visit
from alpr_edge.host.wire import RATES

_EPILOG = """\
examples:
  alpr-edge-tech shell --port /dev/ttyACM0 --transcript visit.log
  alpr-edge-tech pull log --port /dev/ttyACM0 --user anna --reason "yearly audit"
  alpr-edge-tech pull still --port /dev/ttyACM0 --out pole-7.jpg
  alpr-edge-tech push register --port /dev/ttyACM0 --user anna register.json
  alpr-edge-tech push config --port /dev/ttyACM0 device.toml     with device.toml.sig beside it
  alpr-edge-tech studio --port /dev/ttyACM0

Every command takes --baud; 115200 is what units speak unless they were set otherwise.
Exit status: 0 done, 1 it failed on the way, 2 wrong usage, 3 refused by the unit's rules.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        _check_extras()
        return int(args.call(args))
    except AlprEdgeError as err:
        sys.stderr.write(f"{err}\n")
        refused = err.code.startswith(("trust.", "authority.", "exclusion.", "console.not"))
        return 3 if refused else err.exit_status
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alpr-edge-tech",
        description="Serial terminal, files and mask studio for a unit at the end of a cable.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"alpr-edge-tech {__version__}")
    shtab.add_argument_to(parser, "--print-completion", help="print a shell's completion script")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str, call: Callable[[Any], int]) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--port", required=True, metavar="DEV", help="such as /dev/ttyACM0")
        command.add_argument("--baud", type=int, default=115_200, choices=RATES, metavar="RATE")
        command.set_defaults(call=call)
        return command

    shell = add("shell", "a serial terminal with colours and a transcript", _shell)
    shell.add_argument("--transcript", type=Path, metavar="FILE", help="keep what the unit says")
    pull = add("pull", "fetch a file of the unit; goes on after a break", _pull)
    pull.add_argument("what", choices=(*FILES, STILL))
    names = ", ".join(NAMES.values())
    pull.add_argument("--out", type=Path, metavar="FILE", help=f"where to; else {names}")
    push = add("push", "bring a file to the unit; goes on after a break", _push)
    push.add_argument("what", choices=PUSHES)
    push.add_argument("file", type=Path)
    push.add_argument(
        "--signature", type=Path, metavar="FILE", help="the city's; else FILE.sig beside the file"
    )
    for command in (pull, push):
        command.add_argument(
            "--reason", metavar="TEXT", help="for the unit's ledger; else it is asked for"
        )
        command.add_argument("--user", default="", help="name on the unit; else it is asked for")
    studio = add("studio", "draw masks on the camera's own masked picture", _studio)
    studio.add_argument("--no-browser", action="store_true", help="only print the address")
    studio.add_argument(
        "--register", type=Path, metavar="FILE", help="for the map; else the unit's"
    )
    studio.add_argument("--http-port", type=int, default=0, metavar="N", help="a free one")
    return parser


def _check_extras() -> None:
    missing = [n for n in ("prompt_toolkit", "rich", "starlette", "uvicorn") if not _has(n)]
    if missing:
        raise ConfigError(
            f"not installed: {', '.join(missing)}",
            code="host.extra.missing",
            hint="pip install 'alpr-edge[host]'",
        )


def _has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _visit(args: argparse.Namespace) -> Visit:
    return Visit(args.port, args.baud, getattr(args, "user", ""))


def _shell(args: argparse.Namespace) -> int:
    from alpr_edge.host.shell import shell

    shell(_visit(args), args.transcript)
    return 0


def _pull(args: argparse.Namespace) -> int:
    from alpr_edge.host.visit import pull_to, with_unit

    out: Path = args.out or Path(NAMES[args.what])
    reason = _reason(args, "pull")

    def work(unit: RemoteUnit) -> None:
        pull_to(unit, args.what, out, progress, reason=reason)

    with _bar(f"pull {args.what}") as progress:
        with_unit(_visit(args), work, _tell)
    print(out)
    return 0


def _push(args: argparse.Namespace) -> int:
    from alpr_edge.host.visit import with_unit

    data = read_file(args.file)
    signature = read_file(args.signature) if args.signature else signature_of(args.file)
    reason = _reason(args, "push")
    with _bar(f"push {args.what}") as progress:
        done = with_unit(
            _visit(args),
            lambda unit: unit.push(args.what, data, signature, reason, progress=progress),
            _tell,
        )
    print("taken: " + ", ".join(f"{key} {value}" for key, value in dict(done or {}).items()))
    if dict(done or {}).get("pending"):
        print("old and new masks protect together until `confirm`, on the console or in the studio")
    return 0


def _studio(args: argparse.Namespace) -> int:
    from alpr_edge.host.studio.desk import load_sites
    from alpr_edge.host.studio.server import run_studio

    sites = load_sites(args.register) if args.register else ()
    return run_studio(
        _visit(args), http_port=args.http_port, browser=not args.no_browser, sites=sites
    )


def _reason(args: argparse.Namespace, act: str) -> str:
    """Why, for the unit's ledger: as given, or asked for where the unit asks."""
    from alpr_edge.host.visit import ask

    if args.reason is None and needs_reason(act, args.what):
        return ask("reason, for the ledger: ")
    return args.reason or ""


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar with rate and time left, on a terminal only."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    # The bar begins with the first piece: before it, password and code are typed.
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task(name, total=None)
    begun = False

    def progress(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            bar.start()
            begun = True
        bar.update(task, completed=done, total=total)

    try:
        yield progress
    finally:
        bar.stop()


if __name__ == "__main__":
    sys.exit(main())
