"""Command line of the renderer: `shards` writes training data, `sheet` a picture to look at."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2

from .designs import REGIONS
from .photo import PARTS
from .shards import beside, contact_sheet, write_shard

_EXAMPLES = """examples (run from scripts/train):
  python -m plate_renderer shards --count 20000 --seed 1 --out shards
  python -m plate_renderer sheet --out sheet.png --region us-ca
  ALPR_EDGE_FONTS=~/fonts python -m plate_renderer sheet --out sheet.png --seed 7 --corners
"""


def _parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(
        prog="plate_renderer", description=__doc__, epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("shards", "write grey images, corners and labels of one seed"),
                       ("sheet", "write a contact sheet (PNG)")):  # fmt: skip
        command = commands.add_parser(
            name, help=text, description=text, epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        command.add_argument("--seed", type=int, default=1, help="same seed, same plates")
        command.add_argument("--out", type=Path, required=True, help="folder or PNG file to write")
        command.add_argument("--region", choices=REGIONS, metavar="REGION",
                             help="only this region, such as us-ca, de, gb, br, mx")  # fmt: skip
        if name == "shards":
            command.add_argument("--count", type=int, default=20000, help="number of plates")
            command.add_argument(
                "--without",
                nargs="*",
                default=[],
                choices=sorted(PARTS),
                help="leave these parts out, to see what they are worth",
            )
        else:
            command.add_argument("--corners", action="store_true", help="mark the corners")
            command.add_argument(
                "--beside",
                type=Path,
                metavar="PHOTOS",
                help="real training crops on the right, to compare by eye",
            )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit code."""
    args = _parser().parse_args(argv)
    cv2.setNumThreads(1)  # the pictures are too small for more threads to pay
    if args.command == "shards":
        write_shard(args.out, args.seed, args.count, args.region, PARTS - set(args.without))
    else:
        sheet = contact_sheet(args.seed, region=args.region, marks=args.corners)
        if args.beside:
            sheet = beside(sheet, args.beside, args.seed, args.region)
        cv2.imwrite(str(args.out), sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
